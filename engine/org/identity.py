"""Who is asking: a person with roles and departments, read in one statement.

Roles for one department only (role_member.department_id) say who handles that department's steps; they give the holder
no rights of their own, so they are no part of an Actor.
"""

import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Select, String, bindparam, cast, func, select
from sqlalchemy.orm import Session, aliased

from engine.errors import NotFound
from engine.org.actor import Actor
from engine.org.models import Department, Membership, Person, RoleMember

_Parent = aliased(Department)
_Further, _FurtherParent = aliased(Department), aliased(Department)


def _text(column: Any) -> ColumnElement[str]:
    return func.coalesce(cast(column, String), "")


_ROLES = (
    select(func.aggregate_strings(RoleMember.role, ","))
    .where(RoleMember.person_id == Person.id, RoleMember.department_id.is_(None))
    .scalar_subquery()
)
_PART_TIME = (
    select(
        func.aggregate_strings(
            _text(_Further.id) + "," + _text(_Further.parent_id) + "," + _text(_FurtherParent.parent_id), ","
        )
    )
    .join_from(Membership, _Further, _Further.id == Membership.department_id)
    .outerjoin(_FurtherParent, _FurtherParent.id == _Further.parent_id)
    .where(Membership.person_id == Person.id)
    .scalar_subquery()
)


def select_actor(*more: Any) -> tuple[Select[Any], Callable[..., Actor]]:
    """Return a select of active people with the columns of an Actor after `more`, and what makes an Actor of a row.

    The select may be narrowed and joined to Person further.
    """
    statement = (
        select(
            *more,
            Person.id,
            Person.name,
            Person.department_id,
            Department.name,
            _ROLES,
            _text(Department.parent_id) + "," + _text(_Parent.parent_id) + "," + func.coalesce(_PART_TIME, ""),
        )
        .select_from(Person)
        .join(Department, Department.id == Person.department_id)
        .outerjoin(_Parent, _Parent.id == Department.parent_id)
        .where(Person.disabled_at.is_(None))
    )
    first = len(more)

    def as_actor(row: Any, scopes: frozenset[str] | None = None) -> Actor:
        person_id, name, department_id, department_name, roles, further = row[first:]
        return Actor(
            person_id=person_id,
            name=name,
            department_id=department_id,
            department_name=department_name,
            roles=frozenset(roles.split(",")) if roles else frozenset(),
            departments=frozenset([department_id, *(uuid.UUID(text) for text in further.split(",") if text)]),
            scopes=scopes,
        )

    return statement, as_actor


_SELECT, _as_actor = select_actor()
_BY_ID = _SELECT.where(Person.id == bindparam("id"))


def actor_for(session: Session, person_id: uuid.UUID) -> Actor:
    """Return a person as an actor. Raises NotFound where there is no such person or the person is disabled."""
    row = session.execute(_BY_ID, {"id": person_id}).first()
    if row is None:
        raise NotFound("没有这位职工，或已停用", code="person_not_found")
    return _as_actor(row)
