"""How an instance is shown: head, forms by rights, actions, opinions, trail; shared by work items and instances."""

import functools
import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, Field

from api.attachments import AttachmentOut
from api.boxes import AwaitedOut
from api.deps import Call
from api.schemas import Answer
from engine import attachments
from engine.bpm import definitions
from engine.bpm.queries import FormView, InstanceDetail


def _seconds(value: object) -> object:
    return value.total_seconds() if isinstance(value, timedelta) else value


Took = Annotated[float | None, BeforeValidator(_seconds), Field(description="秒", examples=[5400.0])]
Access = Annotated[str, Field(description="edit 可填，read 只读，hidden 不可见", examples=["edit"])]


class HeadOut(Answer):
    """The instance as the top of a page shows it; send `revision` back as `version` of an action."""

    id: uuid.UUID
    process_key: str = Field(examples=["leave_request"])
    process_name: str = Field(examples=["请假"])
    version_id: uuid.UUID
    version_number: int = Field(examples=[3])
    title: str = Field(examples=["单晓燕的请假申请"])
    summary: str = Field(examples=["病假 3 天"])
    urgency: int = Field(description="0 普通，1 平急，2 加急，3 特急", examples=[0])
    state: str = Field(description="running、completed、withdrawn、terminated", examples=["running"])
    revision: int = Field(examples=[2])
    initiator_id: uuid.UUID
    initiator: str = Field(examples=["单晓燕"])
    department: str = Field(examples=["儿科"])
    started_at: datetime
    ended_at: datetime | None


class RightsOut(Answer):
    """Rights per field; `default` for the rest."""

    default: Access
    fields: dict[str, Access] = Field(examples=[{"reason": "read"}])


class FormOut(Answer):
    """A form with what the viewer may see of its data; `definition` is the form-js schema."""

    form: str = Field(examples=["leave"])
    step: str = Field(examples=["head_review"])
    definition: dict[str, Any] = Field(examples=[{"type": "default", "schemaVersion": 19, "components": []}])
    rights: RightsOut
    data: dict[str, Any] = Field(examples=[{"leave_type": "病假", "days": 3}])


class OutcomeOut(Answer):
    """A result to choose (办理结果)."""

    id: str = Field(examples=["approve"])
    name: str = Field(examples=["同意"])
    opinion: str = Field(description="none 不填，optional 可填，required 必填", examples=["optional"])
    style: str = Field(examples=["primary"])
    form: str = Field(description="required 表单须填对，ignored 不看表单", examples=["required"])


class ReturnTargetOut(Answer):
    """A step that may be returned to (退回)."""

    step: str = Field(examples=["apply"])
    name: str = Field(examples=["填写申请"])


class ActionsOut(Answer):
    """What the viewer may do now; `may` names commands."""

    may: list[str] = Field(examples=[["comment", "complete", "draft", "return"]])
    outcomes: list[OutcomeOut]
    returns: list[ReturnTargetOut]
    return_modes: list[str] = Field(examples=[["rewalk", "jump"]])


class OpinionOut(Answer):
    """What somebody decided, in their words."""

    name: str = Field(examples=["欧阳静怡"])
    department: str = Field(examples=["儿科"])
    step_name: str = Field(examples=["科室负责人审批"])
    outcome_name: str | None = Field(examples=["同意"])
    text: str = Field(examples=["同意，请安排好工作交接"])
    at: datetime


class OpinionBoxOut(Answer):
    """An opinion box (意见框)."""

    name: str = Field(examples=["领导批示"])
    opinions: list[OpinionOut]


class SparedOut(Answer):
    """Who had not acted when a round was decided: the first names, and how many."""

    names: list[str] = Field(examples=[["曾淑贞"]])
    total: int = Field(examples=[1])
    policy: str = Field(examples=["any"])


class RulesOut(Answer):
    """Which rules of a decision's table hit, by their numbers from 1."""

    decision: str = Field(examples=["审批级别"])
    rules: list[int] = Field(examples=[[2]])


class RuledOut(Answer):
    """What a decision said (按决策表), and which rules hit in its table and in those that it asked."""

    decision: str = Field(examples=["审批级别"])
    result: Any = Field(examples=["人事科"])
    hits: list[RulesOut]


class EntryOut(Answer):
    """One action of the trail; without an actor the engine itself acted."""

    id: int = Field(examples=[41])
    item_id: uuid.UUID | None
    at: datetime
    actor_id: uuid.UUID | None
    actor: str | None = Field(examples=["欧阳静怡"])
    department: str | None = Field(examples=["儿科"])
    verb: str = Field(examples=["complete"])
    step: str | None = Field(examples=["head_review"])
    step_name: str | None = Field(examples=["科室负责人审批"])
    outcome: str | None = Field(examples=["approve"])
    outcome_name: str | None = Field(examples=["同意"])
    opinion: str = Field(examples=["同意，请安排好工作交接"])
    took: Took
    target: str = Field(description="退回、转办、抄送等的对象", examples=["曾淑贞"])
    note: str = Field(examples=["曾淑贞在上一步已同意，自动通过"])
    via: str = Field(description="在外部系统里办理的，是它的代码，如 oa.ekp；在这里办理的为空", examples=[""])
    spared: SparedOut | None
    ruled: RuledOut | None = Field(description="决策的结果和命中的规则；看不到它所依据的字段的人为 null")


class WaitingOut(Answer):
    """A person whose part of a step is not done."""

    person_id: uuid.UUID
    item_id: uuid.UUID
    name: str = Field(examples=["欧阳静怡"])
    state: str = Field(description="open、standby 他人已签收、queued 未轮到", examples=["open"])
    opened_at: datetime
    read_at: datetime | None


class StepOut(Answer):
    """An open step, or a read step, which keeps being read; `waiting` names at most 200 people."""

    round_id: uuid.UUID
    step: str = Field(examples=["head_review"])
    step_name: str = Field(examples=["科室负责人审批"])
    kind: str = Field(examples=["decide"])
    opened_at: datetime
    closed_at: datetime | None
    took: Took
    total: int = Field(examples=[1])
    done: int = Field(examples=[0])
    policy: str = Field(description="any、all、in_turn、share、at_least、expression、none", examples=["any"])
    value: int = Field(description="share 的百分数、at_least 的人数，其他为 0", examples=[0])
    waiting: list[WaitingOut]


class TimelineOut(Answer):
    """The trail, oldest first; `cut` when there are older entries."""

    entries: list[EntryOut]
    cut: bool = Field(examples=[False])
    steps: list[StepOut]
    awaited: list[AwaitedOut] = Field(description="除了人，流程还在等什么")


class InstanceOut(Answer):
    """An instance as the viewer may see it."""

    head: HeadOut
    forms: list[FormOut]
    actions: ActionsOut
    opinions: list[OpinionBoxOut]
    timeline: TimelineOut
    attachments: list[AttachmentOut]


class DoneOut(Answer):
    """What became of an action: `decided` when it closed the round, `replayed` when the key had been used before."""

    instance_id: uuid.UUID
    item_id: uuid.UUID | None
    verb: str = Field(examples=["complete"])
    outcome: str | None = Field(examples=["approve"])
    decided: bool = Field(examples=[True])
    replayed: bool = Field(examples=[False])


def form_out(view: FormView, version: definitions.Version) -> FormOut:
    """Return a form with its schema."""
    return FormOut(
        form=view.form,
        step=view.step,
        definition=_schema(version.id, version.files[f"forms/{view.form}.json"]),
        rights=RightsOut.model_validate(view.rights),
        data=dict(view.data),
    )


@functools.lru_cache(maxsize=500)
def _schema(_version_id: uuid.UUID, text: str) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(text)
    return found


def parts(call: Call, detail: InstanceDetail) -> dict[str, Any]:
    """Return the fields of InstanceOut for a detail that was read for the caller."""
    version = definitions.version(call.session, detail.head.version_id)
    files = attachments.describe(call.session, call.actor, detail.attachments, detail.attachments)
    return {
        "head": HeadOut.model_validate(detail.head),
        "forms": [form_out(view, version) for view in detail.forms],
        "actions": ActionsOut.model_validate(detail.actions),
        "opinions": [OpinionBoxOut.model_validate(box) for box in detail.opinions],
        "timeline": TimelineOut.model_validate(detail.timeline),
        "attachments": [AttachmentOut.model_validate(file) for file in files],
    }
