"""Messages and signals between instances: what one throws is delivered to each that waits, one transaction each."""

import uuid
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import outbox
from engine.bpm import runtime
from engine.bpm.commands import opening
from engine.bpm.commands.case import Case, key_reused
from engine.bpm.commands.jobs import stuck
from engine.bpm.extensions import is_reserved
from engine.bpm.models import InstanceState, Subscription
from engine.errors import Forbidden, Invalid
from engine.org.actor import ADMIN, Actor

SCOPE = "messages:send"  # of service tokens


def spread(session: Session, row: outbox.Leased) -> None:
    """Address a thrown event to the instances that wait for it now (outbox handler).

    A signal reaches everybody; a message the one that waited longest among those whose correlation it names (an empty
    correlation of the waiting event takes any).
    """
    event = row.payload
    waiting = (
        select(Subscription)
        .where(Subscription.kind == event["kind"], Subscription.name == event["name"])
        .where(Subscription.correlation.in_(["", event["correlation"]]))
        .order_by(Subscription.correlation.desc(), Subscription.instance_id, Subscription.task_id)
    )
    if event["kind"] == "message":
        waiting = waiting.limit(1)
    for found in session.scalars(waiting):
        payload = event | {"instance": str(found.instance_id), "task": found.task_id}
        key = f"event:{row.id}:{found.instance_id}:{found.task_id}"
        outbox.enqueue(session, "event", str(found.instance_id), "deliver", payload, idem_key=key)


def deliver(session: Session, row: outbox.Leased) -> None:
    """Deliver an event to one waiting task (outbox handler); one that no longer waits is passed over.

    A message goes to the next who waits then: one that was sent before it may have been delivered to the same task.
    """
    instance_id, task_id = uuid.UUID(row.payload["instance"]), int(row.payload["task"])
    case = Case.by_id(session, None, instance_id)
    waits = session.get(Subscription, (instance_id, task_id))
    if waits is None and row.payload["kind"] == "message":
        spread(session, row)
        return
    if waits is None or case.instance_state != InstanceState.RUNNING:
        return
    element, name = runtime.element_of(case.definition, case.state, task_id) or "", waits.name
    with stuck():
        case.advance(runtime.Deliver(task_id, row.payload["payload"]))
        opening.open_pending(case, None)
    case.log(
        "event",
        step=element,
        step_name=case.definition.names.get(element, "")[:80],
        detail={"name": name},
        by=_sender(row.payload.get("sender")),
    )
    case.save()


def send_message(
    session: Session,
    name: str,
    *,
    correlation: str = "",
    payload: Mapping[str, Any] | None = None,
    key: str,
    actor: Actor | None = None,
) -> None:
    """Let another system send a message (消息) to whoever waits for it; the same `key` again does nothing.

    Raises Conflict where the key was used for another message.

    `actor` is None for the system itself. Raises Forbidden unless it is a process admin or acts by a token with the
    scope `messages:send`, Invalid where the payload has a name that the engine keeps for itself.
    """
    if actor is not None and not (actor.has(ADMIN) if actor.scopes is None else SCOPE in actor.scopes):
        raise Forbidden("只有流程管理员和有权限范围 messages:send 的服务令牌可以发消息", code="not_message_sender")
    if actor is not None and (kept := sorted(filter(is_reserved, payload or {}))):  # nobody would take them over
        raise Invalid(f"数据名称“{kept[0][:40]}”由引擎保留，请换一个名称", code="name_reserved")
    stored = key if actor is None else f"{actor.person_id}:{key}"
    body = {"kind": "message", "name": name, "correlation": correlation, "payload": dict(payload or {})}
    digest = blake2b(stored.encode(), digest_size=16).hexdigest()
    idem_key = f"message:{digest}"
    sender = (
        None if actor is None else {"person": str(actor.person_id), "token": actor.token_id and str(actor.token_id)}
    )
    outbox.enqueue(session, "event", f"message:{name}", "thrown", body | {"sender": sender}, idem_key=idem_key)
    sent = session.scalar(select(outbox.Outbox.payload).where(outbox.Outbox.idem_key == idem_key))
    if sent is None or {k: v for k, v in orjson.loads(sent).items() if k in body} != body:
        raise key_reused()


def _sender(found: Mapping[str, str | None] | None) -> tuple[uuid.UUID, uuid.UUID | None] | None:
    """Return the person, or system account, who sent an event from outside, and the token by which they did."""
    if found is None or found["person"] is None:
        return None
    return uuid.UUID(found["person"]), uuid.UUID(found["token"]) if found["token"] else None
