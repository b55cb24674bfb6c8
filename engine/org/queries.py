"""Reads of the organisation. The directory is open to every member of staff; a few fields are not."""

import base64
import binascii
import json
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select, tuple_
from sqlalchemy.orm import Session, aliased

from engine.errors import Invalid, NotFound
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.directory import directory
from engine.org.identity import actor_for as actor_for
from engine.org.models import Department, Membership, Person
from engine.org.pinyin import normalised

MAX_PAGE = 100
_CHUNK = 5_000  # ids in one statement; SQLite takes 32,766


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """A person as lists show them."""

    id: uuid.UUID
    staff_number: str
    name: str
    post: str
    department_id: uuid.UUID
    department: str


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of people and the cursor of the next one, None after the last."""

    people: tuple[FoundPerson, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DepartmentNode:
    """A department in the tree; `level` counts from 1, `people` are the active ones whose main department it is."""

    id: uuid.UUID
    code: str
    name: str
    kind: str
    parent_id: uuid.UUID | None
    level: int
    head_id: uuid.UUID | None
    people: int


@dataclass(frozen=True, slots=True)
class PersonCard:
    """A person's entry in the directory (名片)."""

    id: uuid.UUID
    staff_number: str
    name: str
    post: str
    department_id: uuid.UUID
    department: str
    part_time: tuple[tuple[str, str], ...]  # department, post
    superior: str
    mobile: str
    email: str
    disabled: bool


def search_people(
    session: Session,
    viewer: Actor,
    text: str,
    department_id: uuid.UUID | None = None,
    limit: int = 20,
    cursor: str | None = None,
) -> PeoplePage:
    """Find active people by part of the name, the beginning of its pinyin or initials, or of the staff number (工号).

    An empty `text` finds everyone; `department_id` narrows to a department and those below it, part-time places
    included. Sorted by pinyin. `limit` is 1 to 100 people a page; `cursor` comes from the page before. Raises Invalid
    for a cursor that no page gave.
    """
    statement = (
        select(Person.id, Person.staff_number, Person.name, Person.post, Person.department_id, Department.name,
               Person.pinyin)
        .join(Department, Department.id == Person.department_id)
        .where(Person.disabled_at.is_(None), Person.system.is_(False))
        .order_by(Person.pinyin, Person.id)
    )  # fmt: skip
    # databases refuse NUL and lone surrogates
    if text := "".join(filter(str.isprintable, unicodedata.normalize("NFKC", text))).strip():
        statement = statement.where(_matches(text))
    if department_id is not None:
        below = _department_and_below(session, department_id)
        part_time = select(Membership.person_id).where(Membership.department_id.in_(below))
        statement = statement.where(or_(Person.department_id.in_(below), Person.id.in_(part_time)))
    if cursor is not None:
        statement = statement.where(tuple_(Person.pinyin, Person.id) > tuple_(*_read_cursor(cursor)))
    limit = max(1, min(limit, MAX_PAGE))
    rows = session.execute(statement.limit(limit + 1)).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return PeoplePage(
        people=tuple(FoundPerson(*row[:6]) for row in rows[:limit]),
        next_cursor=None if last is None else _write_cursor(last.pinyin, last.id),
    )


def departments(session: Session, viewer: Actor) -> list[DepartmentNode]:
    """Return the active departments as a tree read from top to bottom: each one before those below it."""
    counts = dict(
        session.execute(
            select(Person.department_id, func.count())
            .where(Person.disabled_at.is_(None), Person.system.is_(False))
            .group_by(Person.department_id)
        ).all()
    )
    children: dict[uuid.UUID | None, list[Department]] = {}
    query = select(Department).where(Department.disabled_at.is_(None)).order_by(Department.sort, Department.code)
    for department in session.scalars(query):
        children.setdefault(department.parent_id, []).append(department)

    def below(parent_id: uuid.UUID | None, level: int) -> Iterator[DepartmentNode]:
        for d in children.get(parent_id, ()):
            yield DepartmentNode(d.id, d.code, d.name, d.kind, d.parent_id, level, d.head_id, counts.get(d.id, 0))
            yield from below(d.id, level + 1)

    return list(below(None, 1))


def person_card(session: Session, viewer: Actor, person_id: uuid.UUID) -> PersonCard:
    """Return a person's card. Who has left keeps a card, because the trail names them; its numbers only a system admin
    sees. A mobile number that the person hides nobody else sees. Raises NotFound.
    """
    superior = aliased(Person)
    row = session.execute(
        select(Person, Department.name, superior.name)
        .join(Department, Department.id == Person.department_id)
        .outerjoin(superior, superior.id == Person.superior_id)
        .where(Person.id == person_id)
    ).first()
    if row is None:
        raise NotFound("没有这位职工", code="person_not_found")
    person, department, superior_name = row
    part_time = session.execute(
        select(Department.name, Membership.post)
        .join(Department, Department.id == Membership.department_id)
        .where(Membership.person_id == person_id)
        .order_by(Department.sort, Department.code)
    )
    own = person_id == viewer.person_id
    reachable = person.disabled_at is None or viewer.has(SYSTEM_ADMIN)
    return PersonCard(
        id=person.id,
        staff_number=person.staff_number,
        name=person.name,
        post=person.post,
        department_id=person.department_id,
        department=department,
        part_time=tuple(part_time),
        superior=superior_name or "",
        mobile=person.mobile if reachable and (own or not person.mobile_hidden) else "",
        email=person.email if reachable else "",
        disabled=person.disabled_at is not None,
    )


def people_named(session: Session, viewer: Actor, text: str) -> list[uuid.UUID]:
    """Return everybody with exactly this staff number or name, who has left and system accounts too."""
    return [person.id for person in directory(session).people.values() if text in (person.staff_number, person.name)]


def names(session: Session, viewer: Actor, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the names of people, disabled ones included; unknown ids are left out."""
    found: dict[uuid.UUID, str] = {}
    for part in _chunks(ids):
        found.update(session.execute(select(Person.id, Person.name).where(Person.id.in_(part))).all())
    return found


def department_names(session: Session, viewer: Actor, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Return the names of departments, disabled ones included; unknown ids are left out."""
    found: dict[uuid.UUID, str] = {}
    for part in _chunks(ids):
        query = select(Department.id, Department.name).where(Department.id.in_(part))
        found.update(session.execute(query).all())
    return found


def _department_and_below(session: Session, department_id: uuid.UUID) -> list[uuid.UUID]:
    top = select(Department.id).where(Department.id == department_id).cte("below", recursive=True)
    tree = top.union(select(Department.id).join(top, Department.parent_id == top.c.id))
    return list(session.scalars(select(tree.c.id)))


def _chunks(ids: Iterable[uuid.UUID]) -> Iterator[list[uuid.UUID]]:
    """Cut ids into parts that one statement takes, each id once."""
    every = list(dict.fromkeys(ids))
    for at in range(0, len(every), _CHUNK):
        yield every[at : at + _CHUNK]


def _matches(text: str) -> ColumnElement[bool]:
    small = text.lower()
    found = [
        func.lower(Person.name).contains("".join(small.split()), autoescape=True),
        func.lower(Person.staff_number).startswith(small, autoescape=True),
    ]
    if text.isascii() and (keys := normalised(text)):
        found += [Person.pinyin.startswith(keys), Person.pinyin.contains(f" {keys}")]
    return or_(*found)


def _write_cursor(pinyin: str, id_: uuid.UUID) -> str:
    return base64.urlsafe_b64encode(json.dumps([pinyin, id_.hex]).encode()).decode()


def _read_cursor(cursor: str) -> tuple[str, uuid.UUID]:
    try:
        pinyin, id_ = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if not pinyin.isascii() or not pinyin.isprintable():
            raise ValueError(cursor)
        return pinyin, uuid.UUID(id_)
    except (binascii.Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid("分页位置不正确，请从第一页重新开始", code="bad_cursor") from error
