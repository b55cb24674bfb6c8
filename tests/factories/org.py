"""People and departments for tests: each call adds one row, with names and numbers of its own where none are given."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from sqlalchemy.orm import Session

from engine.org.actor import Actor
from engine.org.identity import actor_for
from engine.org.models import Department, Membership, Person, Role, RoleMember
from engine.org.pinyin import search_keys

_NUMBERS = count(1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def department(session: Session, name: str = "", *, parent: Department | None = None, **values: Any) -> Department:
    """Add a department (科室); `values` are further columns."""
    number = next(_NUMBERS)
    row = Department(
        code=values.pop("code", f"D{number}"),
        name=name or f"科室{number}",
        kind=values.pop("kind", "clinical"),
        parent_id=parent.id if parent else None,
        **values,
    )
    session.add(row)
    session.flush()
    return row


def person(
    session: Session, name: str = "", *, of: Department | None = None, disabled: bool = False, **values: Any
) -> Person:
    """Add a person of a department, a new one by default."""
    number = next(_NUMBERS)
    name = name or f"职工{number}"
    row = Person(
        staff_number=values.pop("staff_number", f"P{number}"),
        name=name,
        pinyin=search_keys(name),
        department_id=(of or department(session)).id,
        disabled_at=LONG_AGO if disabled else None,
        **values,
    )
    session.add(row)
    session.flush()
    return row


def head(session: Session, of: Department, name: str = "", **values: Any) -> Person:
    """Add a person as the head (负责人) of a department."""
    row = person(session, name, of=of, **values)
    of.head_id = row.id
    session.flush()
    return row


def part_time(session: Session, who: Person, where: Department, post: str = "") -> None:
    """Give a person a part-time place (兼职)."""
    session.add(Membership(person_id=who.id, department_id=where.id, post=post))
    session.flush()


def role(session: Session, code: str, *members: Person, of: Department | None = None, name: str = "") -> None:
    """Give people a role (角色), everywhere or for one department."""
    if session.get(Role, code) is None:
        session.add(Role(code=code, name=name or code))
        session.flush()
    session.add_all(RoleMember(role=code, person_id=m.id, department_id=of.id if of else None) for m in members)
    session.flush()


def actor(session: Session, *roles: str, **values: Any) -> Actor:
    """Add a person with these roles and return them as an actor."""
    row = person(session, **values)
    for code in roles:
        role(session, code, row)
    return actor_for(session, row.id)
