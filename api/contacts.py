"""WeCom's contacts (企业微信通讯录): what differs from our people and departments, and bringing them into step."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path
from pydantic import BeforeValidator, Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Text
from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.contacts import admin, syncing
from engine.connectors.wecom.contacts.difference import Plan

router = Router("企业微信")

Admin = Annotated[Call, Depends(allowed(None))]


class FieldOut(Answer):
    """A field with its value before and after."""

    name: str = Field(examples=["岗位"])
    old: str = Field(examples=["护士"])
    new: str = Field(examples=["护师"])


def _field(three: tuple[str, str, str]) -> FieldOut:
    return FieldOut(name=three[0], old=three[1], new=three[2])


class ChangeOut(Answer):
    """What becomes of a department or a person."""

    kind: str = Field(description="department 部门，person 人员", examples=["person"])
    verb: str = Field(description="create 新增，update 变更，disable 停用，enable 恢复", examples=["update"])
    code: str = Field(description="部门编码或工号", examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    fields: list[Annotated[FieldOut, BeforeValidator(_field, json_schema_input_type=FieldOut)]]


class LinkOut(Answer):
    """What becomes of an account."""

    verb: str = Field(description="link 关联，rename 账号改名，vanish 离开，back 回来", examples=["rename"])
    userid: str = Field(examples=["ShanXiaoYan"])
    number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    old: str = Field(description="改名前的账号，没有改名的为空", examples=["10027"])


class ProblemOut(Answer):
    """What an administrator must decide."""

    about: str = Field(examples=["成员 单晓燕 10027"])
    message: str = Field(examples=["与职工单小燕（10027）工号或手机相同，姓名不同"])


class DifferenceOut(Answer):
    """What a synchronisation would do; without `lead` of `changes` nothing is written."""

    lead: bool
    changes: list[ChangeOut]
    links: list[LinkOut]
    problems: list[ProblemOut]
    vanishing: int = Field(description="离开的人数", examples=[2])
    allowed: int = Field(description="不用确认最多可以离开的人数", examples=[158])
    unseen: int = Field(description="不在应用可见范围内的成员数", examples=[0])
    digest: str = Field(description="同步时交回，表示看过这份差异", examples=["5c6ffbdd40d95561"])


class SyncBody(Body):
    """Which difference is meant, and how many may leave."""

    digest: Text = Field(max_length=64, examples=["5c6ffbdd40d95561"])
    confirmed: int = Field(0, ge=0, le=1_000_000, description="确认会离开的人数，超过 allowed 时才要", examples=[0])


class DoneOut(Answer):
    """What a synchronisation has written."""

    created: int = Field(examples=[1])
    updated: int = Field(examples=[12])
    disabled: int = Field(examples=[2])
    enabled: int = Field(examples=[0])
    linked: int = Field(examples=[3])
    renamed: int = Field(examples=[1])
    vanished: int = Field(examples=[2])
    problems: int = Field(examples=[0])


class RunOut(Answer):
    """A synchronisation that was written, or refused because too many would have left."""

    at: datetime
    refused: bool = Field(examples=[False])
    actor: str | None = Field(description="空表示夜间、事件或命令行", examples=["池静"])
    detail: dict[str, str | int | bool] = Field(examples=[{"by": "nightly", "updated": 3}])


class RunsOut(Answer):
    """The last synchronisations, newest first."""

    runs: list[RunOut]


class MapBody(Body):
    """Our department, by its code."""

    code: Text = Field(max_length=40, examples=["EK"])


@router.get("/admin/contacts", summary="企业微信通讯录：最近几次同步")
def runs(call: Admin) -> RunsOut:
    """List the last synchronisations."""
    found = admin.runs(call.session, call.actor)
    return RunsOut(runs=[RunOut.model_validate(run) for run in found])


@router.post("/admin/contacts/compare", summary="比较企业微信通讯录，不写入")
def compare(call: Admin) -> DifferenceOut:
    """Say what differs."""
    with unavailable():
        plan: Plan = syncing.look(call.db, call.actor)
    return DifferenceOut.model_validate(plan)


@router.post("/admin/contacts/sync", summary="按看过的差异同步企业微信通讯录")
def sync(call: Admin, body: SyncBody) -> DoneOut:
    """Bring our rows to what WeCom says."""
    with unavailable():
        _, done = syncing.sync(call.db, call.actor, by="page", confirmed=body.confirmed, expected=body.digest)
    return DoneOut.model_validate(done)


@router.put("/admin/contacts/departments/{wecom_id}", summary="指定企业微信部门对应的部门", status_code=204)
def map_department(call: Admin, wecom_id: Annotated[int, Path(ge=1, le=2**63 - 1)], body: MapBody) -> None:
    """Say which department of ours one of WeCom's is."""
    admin.map_department(call.session, call.actor, wecom_id, body.code)
