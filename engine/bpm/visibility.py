"""Who may see an instance: its people, those whom its process names as readers, process admins and auditors.

The people of an instance are its initiator, whoever has or had a work item of it, and whoever it was copied to. For
everybody else it doesn't exist: the refusal is the same as for an unknown id.
"""

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ExecutableOption

from engine.bpm import assignment, definitions
from engine.bpm.assignment import AssignmentContext
from engine.bpm.extensions import Assign
from engine.bpm.models import Copy, Instance, WorkItem
from engine.errors import NotFound
from engine.feel import FeelError, to_plain
from engine.org.actor import Actor
from engine.org.models import Department, Membership, Person, RoleMember

_TAKES_PART = or_(
    exists().where(WorkItem.instance_id == Instance.id, WorkItem.assignee_id == bindparam("viewer")),
    exists().where(Copy.instance_id == Instance.id, Copy.person_id == bindparam("viewer")),
)
_SEEN = select(Instance, _TAKES_PART).where(Instance.id == bindparam("id"))


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
    instance, takes_part = row
    if takes_part or viewer.sees_all or instance.initiator_id == viewer.person_id or _reads(session, viewer, instance):
        return instance
    return None


def _reads(session: Session, viewer: Actor, instance: Instance) -> bool:
    readers = definitions.version(session, instance.version_id).definition.process.readers
    # those that need no statement come first
    return any(matches(session, rule, viewer, instance) for rule in sorted(readers, key=_needs_query))


def _needs_query(rule: Assign) -> bool:
    return rule.rule not in ("role", "field", "expression")


def matches(session: Session, rule: Assign, viewer: Actor, instance: Instance) -> bool:
    """Whether an assignment rule names the viewer, without looking up everybody else whom it names.

    An expression that has no answer names nobody.
    """
    try:
        return _Matcher(session, viewer, instance).matches(rule)
    except FeelError:
        return False


class _Matcher:
    """The rules of `engine.bpm.assignment`, asked from the viewer's side."""

    def __init__(self, session: Session, viewer: Actor, instance: Instance) -> None:
        self._session, self._viewer, self._instance = session, viewer, instance

    def matches(self, rule: Assign) -> bool:
        match rule.rule:
            case "initiator":
                return self._viewer.person_id == self._instance.initiator_id
            case "previous" | "previous_head":
                return False  # of no step: a reader reads the whole
            case "person":
                return self._exists(Person.id == self._viewer.person_id, Person.staff_number.in_(rule.persons))
            case "role" if rule.of is None:
                return rule.role in self._viewer.roles or self._in_role(rule.role)
            case "department":
                return self._in_departments(rule.department or "")
            case "field":
                return self._among(self._data().get(rule.field or ""), self._viewer.departments)
            case "expression":
                return self._among(self._evaluate((rule.value or "").removeprefix("=")), frozenset())
            case "role":
                return self._in_role(rule.role) and self._resolves(rule)
            case "post":
                return self._holds(rule.post) and self._resolves(rule)
            case _:
                return self._resolves(rule)  # heads and directors: a handful of people

    def _exists(self, *conditions: Any) -> bool:
        return bool(self._session.scalar(select(exists().where(*conditions))))

    def _in_role(self, role: str | None) -> bool:
        return self._exists(RoleMember.role == role, RoleMember.person_id == self._viewer.person_id)

    def _holds(self, post: str | None) -> bool:
        me = self._viewer.person_id
        main = exists().where(Person.id == me, Person.post == post)
        part_time = exists().where(Membership.person_id == me, Membership.post == post)
        return bool(self._session.scalar(select(or_(main, part_time))))

    def _in_departments(self, text: str) -> bool:
        # the viewer's departments hold those above them, and a department stands for those below it
        named = self._evaluate(text[1:]) if text.startswith("=") else text.split()
        if self._among(named, self._viewer.departments, people=False):
            return True
        codes = [str(entry) for entry in _entries(named)]
        return self._exists(Department.code.in_(codes), Department.id.in_(self._viewer.departments))

    def _among(self, value: object, departments: frozenset[uuid.UUID], *, people: bool = True) -> bool:
        mine = {str(id_) for id_ in departments} | ({str(self._viewer.person_id)} if people else set())
        return any(str(entry) in mine for entry in _entries(value))

    def _resolves(self, rule: Assign) -> bool:
        context = AssignmentContext(
            initiator_id=self._instance.initiator_id,
            initiator_department_id=self._instance.department_id,
            previous_id=None,
            data=self._data(),
            evaluate=self._evaluate,
        )
        found = assignment.resolve(self._session, [rule], context)
        return any(handler.person_id == self._viewer.person_id for handler in found)

    def _data(self) -> Mapping[str, Any]:
        data: dict[str, Any] = orjson.loads(self._instance.data)
        return data

    def _evaluate(self, text: str) -> object:
        definition = definitions.version(self._session, self._instance.version_id).definition
        return to_plain(definition.expression(text).evaluate(self._data()))


def _entries(value: object) -> Iterator[object]:
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _entries(entry)
    elif value is not None:
        yield value
