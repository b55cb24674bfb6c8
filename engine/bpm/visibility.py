"""Who may see an instance: its people, those whom its process names as readers, process admins and auditors.

The people of an instance are its initiator, whoever has or had a work item of it, and whoever it was copied to. For
everybody else it doesn't exist: the refusal is the same as for an unknown id.
"""

import uuid
from typing import Any

import orjson
from sqlalchemy import Uuid, bindparam, select, text
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ExecutableOption

from engine.bpm import assignment, definitions
from engine.bpm.assignment import AssignmentContext
from engine.bpm.extensions import Assign
from engine.bpm.models import Instance
from engine.errors import NotFound
from engine.feel import FeelError, to_plain
from engine.org.actor import Actor
from engine.org.directory import directory

TAKES_PART = (
    "(EXISTS (SELECT 1 FROM work_item WHERE instance_id = instance.id AND assignee_id = :viewer)"
    " OR EXISTS (SELECT 1 FROM copy WHERE instance_id = instance.id AND person_id = :viewer))"
)
"""SQL: whether the person :viewer has or had a work item of the row `instance`, or a copy."""

_SEEN = select(Instance, text(TAKES_PART).bindparams(bindparam("viewer", type_=Uuid()))).where(
    Instance.id == bindparam("id")
)


def may_see(session: Session, viewer: Actor, instance_id: uuid.UUID) -> bool:
    """Whether the viewer may see an instance; False for one that doesn't exist."""
    return _visible(session, viewer, instance_id) is not None


def require(session: Session, viewer: Actor, instance_id: uuid.UUID, *options: ExecutableOption) -> Instance:
    """Return an instance that the viewer may see. Raises NotFound for any other, whether it exists or not.

    `options` load more of it in the same statement, e.g. `undefer(Instance.data)`.
    """
    instance = _visible(session, viewer, instance_id, *options)
    if instance is None:
        raise not_found()
    return instance


def not_found() -> NotFound:
    """Return the one answer for what isn't there and for what this viewer may not know of."""
    return NotFound("没有这一项，或者您无权查看", code="not_found")


def _visible(session: Session, viewer: Actor, instance_id: uuid.UUID, *options: ExecutableOption) -> Instance | None:
    row = session.execute(_SEEN.options(*options), {"id": instance_id, "viewer": viewer.person_id}).first()
    if row is None:
        return None
    instance: Instance = row[0]
    return instance if sees(session, viewer, instance, takes_part=row[1]) else None


def sees(session: Session, viewer: Actor, instance: Any, *, takes_part: bool) -> bool:
    """Whether the viewer may see an instance of which a row is at hand, with its data; `takes_part` is TAKES_PART."""
    return (
        takes_part or viewer.sees_all or instance.initiator_id == viewer.person_id or _reads(session, viewer, instance)
    )


def _reads(session: Session, viewer: Actor, instance: Any) -> bool:
    readers = definitions.version(session, instance.version_id).definition.process.readers
    # those that don't read the instance's data come first
    return any(matches(session, rule, viewer, instance) for rule in sorted(readers, key=_uses_data))


def _uses_data(rule: Assign) -> bool:
    expressions = [text for text in (rule.department, rule.value) if text and text.startswith("=")]
    return bool(rule.field or expressions) or rule.of not in (None, "initiator")


def matches(session: Session, rule: Assign, viewer: Actor, instance: Any) -> bool:
    """Whether an assignment rule names the viewer; an expression that has no answer names nobody."""
    definition = definitions.version(session, instance.version_id).definition
    data: dict[str, Any] = orjson.loads(instance.data) if _uses_data(rule) else {}
    context = AssignmentContext(
        initiator_id=instance.initiator_id,
        initiator_department_id=instance.department_id,
        previous_id=None,  # of no step: a reader reads the whole
        data=data,
        evaluate=lambda text: to_plain(definition.expression(text).evaluate(data)),
    )
    try:
        found = assignment.resolve(directory(session), [rule], context)
    except FeelError:
        return False
    return any(handler.person_id == viewer.person_id for handler in found)
