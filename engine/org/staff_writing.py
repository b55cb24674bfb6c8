"""The one writer of departments and people (人员写入): rows as they are stored and as they are wanted, by code.

The workbook and WeCom's contacts both say what they want in a `Wanted`; what differs is told field by field
(`changes`), counted (`report`) and written (`write`). A person's own fields (本人设置) are in none of it.
"""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from engine.db import new_id
from engine.errors import Conflict
from engine.org.models import Department, Membership, Person
from engine.org.pinyin import search_keys

MAX_LEVELS = 3  # of the department tree

_DEPARTMENT = (
    Department.name, Department.kind, Department.parent_id, Department.head_id, Department.director_id,
    Department.sort, Department.disabled_at,
)  # fmt: skip
_PERSON = (
    Person.name, Person.pinyin, Person.department_id, Person.post, Person.rank, Person.superior_id, Person.mobile,
    Person.email, Person.disabled_at,
)  # fmt: skip
_CHUNK = 1_000

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Report:
    """What a writing did, in rows of departments and people; each row is counted once."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    disabled: int = 0  # were active before


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one row: `verb` is create, update, disable or enable; `fields` are (name, old, new) in words."""

    kind: str  # department, person
    verb: str
    code: str  # department code, staff number
    name: str
    fields: tuple[tuple[str, str, str], ...] = ()


@dataclass(slots=True)
class Table:
    """One table as stored and as it will be, both by code."""

    ids: dict[str, uuid.UUID] = field(default_factory=dict)  # of what is stored and what is added
    stored: dict[str, Row] = field(default_factory=dict)
    wanted: dict[str, Row] = field(default_factory=dict)

    def id(self, code: str) -> uuid.UUID | None:
        """Return the id behind a checked code; None for an empty one."""
        return self.ids[code] if code else None

    def add(self, codes: Iterable[str]) -> None:
        """Give ids to codes that aren't stored."""
        for code in codes:
            if code not in self.ids:
                self.ids[code] = new_id()

    def codes(self) -> dict[uuid.UUID, str]:
        """Return the codes by id."""
        return {id_: code for code, id_ in self.ids.items()}


@dataclass(slots=True)
class Wanted:
    """The organisation as stored, and what of it is to be otherwise.

    `places` are the part-time places (兼职) of the people named in it: posts by department code.
    """

    departments: Table
    people: Table
    places: dict[str, dict[str, str]] = field(default_factory=dict)
    stored_places: dict[str, dict[str, str]] = field(default_factory=dict)
    readings: dict[str, str] = field(default_factory=dict)  # people's own (person.pinyin_override), by number
    systems: frozenset[str] = frozenset()  # numbers of system accounts: no members of staff

    @property
    def moved(self) -> set[str]:
        """The staff numbers whose part-time places change."""
        return {n for n, places in self.places.items() if places != self.stored_places.get(n, {})}

    def keys(self, number: str, name: str, reading: str = "") -> str:
        """Return a person's search keys; the person's own reading comes before any other."""
        return search_keys(name, self.readings.get(number, "") or reading)


def load(session: Session) -> Wanted:
    """Read the organisation; nothing is wanted otherwise yet."""
    found = Wanted(_table(session, Department.code, Department.id, _DEPARTMENT), Table())
    found.people = _table(session, Person.staff_number, Person.id, _PERSON)
    numbers, codes = found.people.codes(), found.departments.codes()
    for person_id, department_id, post in session.execute(
        select(Membership.person_id, Membership.department_id, Membership.post)
    ):
        found.stored_places.setdefault(numbers[person_id], {})[codes[department_id]] = post
    own = select(Person.staff_number, Person.pinyin_override).where(Person.pinyin_override != "")
    found.readings = dict(session.execute(own).all())
    found.systems = frozenset(session.scalars(select(Person.staff_number).where(Person.system)))
    return found


def _table(
    session: Session,
    code: InstrumentedAttribute[str],
    id_: InstrumentedAttribute[uuid.UUID],
    columns: tuple[InstrumentedAttribute[Any], ...],
) -> Table:
    table = Table()
    for row in session.execute(select(code, id_, *columns)):
        table.ids[row[0]] = row[1]
        table.stored[row[0]] = dict(zip((column.key for column in columns), row[2:], strict=True))
    return table


def write(session: Session, wanted: Wanted) -> Report:
    """Write what differs. Raises Conflict where somebody else has written meanwhile."""
    try:
        _write_rows(session, wanted.departments, wanted.people)
        _write_places(session, wanted)
    except IntegrityError as error:
        raise Conflict("人员数据刚刚被另一次导入修改，请重新导入", code="concurrent_import") from error
    session.expire_all()  # what the caller holds of these tables is old
    return report(wanted)


def _write_rows(session: Session, departments: Table, people: Table) -> None:
    new_departments = [code for code in departments.wanted if code not in departments.stored]
    new_people = [number for number in people.wanted if number not in people.stored]
    # rows first and their references to one another after them: departments name people and people departments
    if new_departments:
        without: Row = {"parent_id": None, "head_id": None, "director_id": None}
        session.execute(
            insert(Department),
            [{**departments.wanted[c], **without, "id": departments.ids[c], "code": c} for c in new_departments],
        )
    if new_people:
        session.execute(
            insert(Person),
            [{**people.wanted[n], "superior_id": None, "id": people.ids[n], "staff_number": n} for n in new_people],
        )
    changed_departments = [c for c in departments.wanted if departments.wanted[c] != departments.stored.get(c)]
    changed_people = [
        n
        for n in people.wanted
        if people.wanted[n] != people.stored.get(n) and (n in people.stored or people.wanted[n]["superior_id"])
    ]
    if changed_departments:
        session.execute(
            update(Department), [{**departments.wanted[c], "id": departments.ids[c]} for c in changed_departments]
        )
    if changed_people:
        session.execute(update(Person), [{**people.wanted[n], "id": people.ids[n]} for n in changed_people])


def _write_places(session: Session, wanted: Wanted) -> None:
    moved = sorted(wanted.moved)
    ids = [wanted.people.ids[number] for number in moved]
    for at in range(0, len(ids), _CHUNK):
        session.execute(delete(Membership).where(Membership.person_id.in_(ids[at : at + _CHUNK])))
    rows = [
        {"person_id": wanted.people.ids[number], "department_id": wanted.departments.ids[code], "post": post}
        for number in moved
        for code, post in wanted.places[number].items()
    ]
    if rows:
        session.execute(insert(Membership), rows)


def report(wanted: Wanted) -> Report:
    """Count what is wanted."""
    counts = dict.fromkeys(("created", "updated", "unchanged", "disabled"), 0)
    moved = wanted.moved
    for table in (wanted.departments, wanted.people):
        for code, row in table.wanted.items():
            stored = table.stored.get(code)
            if stored is None:
                counts["created"] += 1
            elif row["disabled_at"] and not stored["disabled_at"]:
                counts["disabled"] += 1
            elif row != stored or (table is wanted.people and code in moved):
                counts["updated"] += 1
            else:
                counts["unchanged"] += 1
    return Report(**counts)


_FIELDS = {
    "department": {
        "name": "名称", "kind": "类别", "parent_id": "上级部门", "head_id": "负责人", "director_id": "分管院领导",
        "sort": "排序",
    },
    "person": {
        "name": "姓名", "department_id": "部门", "post": "岗位", "superior_id": "直接上级", "mobile": "手机",
        "email": "邮箱", "rank": "排序",
    },
}  # fmt: skip


def changes(wanted: Wanted) -> Iterator[Change]:
    """Yield what differs, department after department, then person after person, in words that a reader knows."""
    moved = wanted.moved
    names = _names(wanted)
    for kind, table in (("department", wanted.departments), ("person", wanted.people)):
        for code, row in table.wanted.items():
            stored = table.stored.get(code)
            fields = [
                (word, names(key, None if stored is None else stored[key]), names(key, row[key]))
                for key, word in _FIELDS[kind].items()
                if stored is None or stored[key] != row[key]
            ]
            if kind == "person" and code in moved:
                fields.append(("兼职", _places(wanted, code, stored=True), _places(wanted, code)))
            if stored is None:
                verb = "create"
            elif bool(row["disabled_at"]) != bool(stored["disabled_at"]):
                verb = "disable" if row["disabled_at"] else "enable"
            elif fields:
                verb = "update"
            else:
                continue
            yield Change(kind, verb, code, row["name"], tuple(f for f in fields if f[1] != f[2]))


def _names(wanted: Wanted) -> Any:
    departments, people = wanted.departments, wanted.people
    codes, numbers = departments.codes(), people.codes()

    def named(table: Table, by_id: dict[uuid.UUID, str], id_: uuid.UUID | None) -> str:
        code = "" if id_ is None else by_id.get(id_, "")
        row = table.wanted.get(code) or table.stored.get(code)
        return "" if row is None else row["name"]

    def words(key: str, value: Any) -> str:
        if key in ("department_id", "parent_id"):
            return named(departments, codes, value)
        if key in ("head_id", "director_id", "superior_id"):
            return named(people, numbers, value)
        return "" if value is None else str(value)

    return words


def _places(wanted: Wanted, number: str, *, stored: bool = False) -> str:
    places = (wanted.stored_places if stored else wanted.places).get(number, {})
    rows = wanted.departments
    named = {code: (rows.wanted.get(code) or rows.stored[code])["name"] for code in places}
    return "、".join(f"{named[code]}{f'（{post}）' if post else ''}" for code, post in sorted(places.items()))
