"""Start an instance (发起): the initiator's step is completed with the data that was sent."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm import definitions, runtime
from engine.bpm.commands import attaching, checks, describing, opening
from engine.bpm.commands import statements as sql
from engine.bpm.commands.case import Case, ProcessFault, idem, key_reused, replay
from engine.bpm.commands.requests import keyed
from engine.bpm.commands.talking import use_up_draft
from engine.bpm.models import Instance, InstanceState, ItemState, Process
from engine.db import new_id
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.org.actor import Actor
from engine.org.models import Department

__all__ = ["Started", "may_start", "start"]


@dataclass(frozen=True, slots=True)
class Started:
    """A new instance."""

    instance_id: uuid.UUID
    title: str


@dataclass(slots=True)
class _NewRow:
    """Stands in for the locked row while the instance does not exist yet."""

    id: uuid.UUID
    process_key: str
    version_id: uuid.UUID
    initiator_id: uuid.UUID
    department_id: uuid.UUID
    started_at: Any
    engine_state: bytes = b""
    data: bytes = b"{}"
    title: str = ""
    summary: str = ""
    urgency: int = 0
    state: str = InstanceState.RUNNING
    version: int = 0


def may_start(actor: Actor, starters: tuple[str, ...], department_codes: frozenset[str]) -> bool:
    """Whether the actor is among those whom a process lets start it."""
    for starter in starters:
        kind, _, name = starter.partition(":")
        if (
            kind == "everyone"
            or (kind == "role" and name in actor.roles)
            or (kind == "department" and name in department_codes)
        ):
            return True
    return False


@keyed
def start(
    session: Session,
    actor: Actor,
    process_key: str,
    *,
    data: Mapping[str, Any],
    urgency: int | None = None,
    draft_id: uuid.UUID | None = None,
    key: str | None = None,
) -> Started:
    """Start a process with its form's data; returns the instance.

    Refusals: NotFound for an unknown process, Forbidden for who may not start it, Conflict while it is suspended,
    Invalid per field of the form. The same `key` again gives the same instance.
    """
    stored_key = idem(actor, key)
    if (done := replay(session, stored_key, "start")) is not None:
        if session.scalar(select(Instance.process_key).where(Instance.id == done.instance_id)) != process_key:
            raise key_reused()
        return Started(done.instance_id, orjson.loads(done.detail)["title"])
    process = session.get(Process, process_key)
    if process is None:
        raise NotFound(f"没有流程“{process_key[:60]}”", code="process_not_found")
    version = definitions.current(session, process_key)
    if not may_start(actor, version.definition.process.starters, _codes(session, actor, version)):
        raise Forbidden(f"您不能发起“{process.name}”", code="not_starter")
    if process.suspended_at is not None:
        raise Conflict(f"流程“{process.name}”已停用，暂不能发起", code="process_suspended")
    if draft_id is not None:
        use_up_draft(session, actor, draft_id)
    now = clock.now()
    row = _NewRow(new_id(), process_key, version.id, actor.person_id, actor.department_id, now)
    case = Case(session, actor, row, now)
    case.key = stored_key
    case.data = {"initiator": _initiator(case, actor)}
    written: dict[str, Any] = {}  # the first row of the batch, filled when all is known
    case.batch.add(sql.INSERT_INSTANCE, written)
    step = version.definition.start_step
    values = {} if step is None else checks.form_data(case, step, data)
    if urgency is not None:
        if urgency not in range(4):
            raise Invalid("缓急只能是 0（普通）到 3（特急）", code="urgency")
        row.urgency = urgency
    try:
        case.apply(runtime.start(version.definition, case.data | values, now=now))
    except runtime.RuntimeFault as fault:
        raise Invalid(
            f"流程图有错误，没有发起：{fault.message}", code="process_fault", element=fault.element
        ) from fault
    row.urgency = row.urgency or describing.describe(version, case.data)["urgency"]
    try:
        submitted = _submit(case, actor, step, values)
        opening.open_pending(case, actor.person_id)
    except ProcessFault as fault:  # there is no instance yet that an incident could stand on
        raise Invalid(f"流程图有错误，没有发起：{fault.reason}", code="process_fault", **fault.fields) from fault
    shown = describing.describe(version, case.data)
    case.log("start", outcome="submit", step=step, detail={"title": shown["title"]}, **submitted)
    ended = case.instance_state != InstanceState.RUNNING
    written |= {
        "id": row.id,
        "process_key": process_key,
        "version_id": version.id,
        "initiator_id": actor.person_id,
        "department_id": actor.department_id,
        "state": case.instance_state,
        "engine_state": case.state,
        "data": orjson.dumps(case.data),
        "started_at": now,
        "ended_at": now if ended else None,
        **shown,
        "urgency": row.urgency,
    }
    if rows := describing.search_values(version, case.data, row.id, case.data):
        case.batch.add(sql.UPSERT_SEARCH, rows)
    case.items_changed = True
    case.write_opened()
    outbox.put(session, case.batch, case.outbox_rows())
    case.batch.run(session)
    if step is not None:
        attaching.bind(case, step, values, None)
    return Started(row.id, shown["title"])


def _submit(case: Case, actor: Actor, step: str | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the initiator's step with a round of its own, so that a return finds it; tell the trail which."""
    mine = next((o for o in case.pending if o.step == step), None)
    if mine is None or step is None:
        return {}
    case.pending.remove(mine)
    outcome = case.definition.tasks[step].outcomes[0].id
    round_row = opening.new_round(case, mine, actor.person_id) | {
        "outcome": outcome,
        "closed_at": case.now,
    }
    case.rounds[-1] = round_row
    done = {
        "origin": "started",
        "state": ItemState.DONE,
        "outcome": outcome,
        "read_at": case.now,
        "closed_at": case.now,
    }
    case.opened.append(opening.new_item(case, round_row, actor.person_id, "您是发起人", **done))
    case.advance(runtime.Complete(mine.task_id, outcome, values))
    return {"item_id": case.opened[0]["id"], "round_id": round_row["id"], "step_name": round_row["step_name"]}


def _initiator(case: Case, actor: Actor) -> dict[str, Any]:
    person = case.directory.people.get(actor.person_id)
    return {
        "id": str(actor.person_id),
        "name": actor.name,
        "department_id": str(actor.department_id),
        "department": actor.department_name,
        "post": "" if person is None else person.post,
    }


def _codes(session: Session, actor: Actor, version: definitions.Version) -> frozenset[str]:
    if not any(s.startswith("department:") for s in version.definition.process.starters):
        return frozenset()
    return frozenset(session.scalars(select(Department.code).where(Department.id.in_(actor.departments))))
