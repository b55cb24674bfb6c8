"""The organisation in memory (机构快照): who handles a step is found without a statement.

1,600 people change a few times a day and are asked for with every step that opens. Triggers in the database (migration
0002) give the organisation a new random revision with each statement that changes it, in the same transaction. So a
revision names one state of these tables for ever: after a rollback none comes again, and nobody reads one that isn't
committed but the transaction that made it. Whoever reads a revision may use its snapshot, wherever it was loaded;
docs/adr/0005-directory-snapshot.md has the reasons.
"""

import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.orm import Session

from engine.batch import Batch, Statement

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

REVISION = Statement("SELECT revision FROM org_revision", revision=uuid.UUID)
_DEPARTMENTS = Statement(
    "SELECT id, code, name, kind, parent_id, head_id, director_id, disabled_at IS NOT NULL AS disabled "
    "FROM department ORDER BY sort, code",
    id=uuid.UUID,
    parent_id=uuid.UUID,
    head_id=uuid.UUID,
    director_id=uuid.UUID,
    disabled=bool,
)
_PEOPLE = Statement(
    "SELECT id, staff_number, name, post, rank, department_id, superior_id, disabled_at IS NOT NULL AS disabled, "
    "system, pinyin FROM person",
    id=uuid.UUID,
    department_id=uuid.UUID,
    superior_id=uuid.UUID,
    disabled=bool,
    system=bool,
)
_MEMBERSHIPS = Statement(
    "SELECT person_id, department_id, post FROM membership", person_id=uuid.UUID, department_id=uuid.UUID
)
_ROLES = Statement("SELECT code, name FROM role")
_ROLE_MEMBERS = Statement(
    "SELECT role, person_id, department_id FROM role_member", person_id=uuid.UUID, department_id=uuid.UUID
)


class DepartmentEntry(NamedTuple):
    """A department (科室)."""

    id: uuid.UUID
    code: str
    name: str
    kind: str
    parent_id: uuid.UUID | None
    head_id: uuid.UUID | None
    director_id: uuid.UUID | None
    disabled: bool


class PersonEntry(NamedTuple):
    """A member of staff (职工)."""

    id: uuid.UUID
    staff_number: str
    name: str
    post: str
    rank: int
    department_id: uuid.UUID
    superior_id: uuid.UUID | None
    disabled: bool
    system: bool  # 系统账号: stands in no department and no post, but for its rights


class Place(NamedTuple):
    """A person in a department, the main one or a part-time one (兼职), with the post there."""

    person: PersonEntry
    department_id: uuid.UUID
    post: str


class RoleHolder(NamedTuple):
    """A person in a role, for one department or everywhere (None)."""

    person: PersonEntry
    department_id: uuid.UUID | None


@dataclass(frozen=True, slots=True)
class Directory:
    """The organisation at one revision. People stand by rank (排序), then by name, in every group of them.

    `people` and `departments` (and both by their codes) hold disabled ones too; the groups hold active people only.
    """

    revision: uuid.UUID
    people: Mapping[uuid.UUID, PersonEntry]
    by_number: Mapping[str, PersonEntry]
    departments: Mapping[uuid.UUID, DepartmentEntry]
    by_code: Mapping[str, DepartmentEntry]
    paths: Mapping[uuid.UUID, tuple[DepartmentEntry, ...]]  # a department and those above it, the nearest first
    members: Mapping[uuid.UUID, tuple[Place, ...]]  # of a department and of those below it
    holders: Mapping[str, tuple[PersonEntry, ...]]  # of a post, main or part-time
    roles: Mapping[str, str]  # names by code
    role_holders: Mapping[str, tuple[RoleHolder, ...]]
    places: Mapping[uuid.UUID, tuple[Place, ...]]  # of an active person, the main one first
    held_roles: Mapping[uuid.UUID, frozenset[str]]  # of an active person, those held everywhere


_held: Directory | None = None  # the one that was loaded last
_loading = threading.Lock()


def directory(session: Session, revision: uuid.UUID | None = None) -> Directory:
    """Return the organisation as this transaction sees it; `revision` where the transaction has just read it.

    Within the same revision this costs nothing but the one short query for it. A new one is loaded in one round trip,
    by one thread while the others wait for it.
    """
    global _held
    if revision is None:
        batch = Batch()
        batch.query(REVISION, {})
        revision = batch.run(session)[0][0].revision
    found = _held
    if found is None or found.revision != revision:
        with _loading:
            found = _held
            if found is None or found.revision != revision:
                found = _held = _load(session)
    return found


def _load(session: Session) -> Directory:
    """Read everything at one revision: PostgreSQL shows each statement what was committed before it."""
    while True:
        batch = Batch()
        for query in (REVISION, _DEPARTMENTS, _PEOPLE, _MEMBERSHIPS, _ROLES, _ROLE_MEMBERS, REVISION):
            batch.query(query, {})
        before, departments, people, memberships, roles, role_members, after = batch.run(session)
        if before == after:
            return _built(before[0].revision, departments, people, memberships, roles, role_members)


def _built(
    revision: uuid.UUID,
    department_rows: list[Any],
    person_rows: list[Any],
    memberships: list[Any],
    roles: list[Any],
    role_members: list[Any],
) -> Directory:
    departments = {row.id: DepartmentEntry(*row) for row in department_rows}
    person_rows.sort(key=lambda row: (row.rank, row.pinyin, row.id))
    people = {row.id: PersonEntry(*row[:-1]) for row in person_rows}
    paths = {id_: _path(departments, entry) for id_, entry in departments.items()}
    further: dict[uuid.UUID, list[Place]] = {}
    for row in memberships:
        further.setdefault(row.person_id, []).append(Place(people[row.person_id], row.department_id, row.post))
    in_roles: dict[uuid.UUID, list[Any]] = {}
    for row in role_members:
        in_roles.setdefault(row.person_id, []).append(row)
    members: dict[uuid.UUID, list[Place]] = {id_: [] for id_ in departments}
    holders: dict[str, list[PersonEntry]] = {}
    role_holders: dict[str, list[RoleHolder]] = {}
    all_places: dict[uuid.UUID, tuple[Place, ...]] = {}
    held_roles: dict[uuid.UUID, frozenset[str]] = {}
    for person in people.values():  # in their order, so that every group has it
        if person.disabled:
            continue
        places = (Place(person, person.department_id, person.post), *further.get(person.id, ()))
        all_places[person.id] = places
        for place in () if person.system else places:
            for above in paths[place.department_id]:
                members[above.id].append(place)
        for post in () if person.system else dict.fromkeys(place.post for place in places):
            holders.setdefault(post, []).append(person)
        for row in in_roles.get(person.id, ()):
            role_holders.setdefault(row.role, []).append(RoleHolder(person, row.department_id))
        if person.id in in_roles:
            held_roles[person.id] = frozenset(r.role for r in in_roles[person.id] if r.department_id is None)
    return Directory(
        revision,
        MappingProxyType(people),
        MappingProxyType({person.staff_number: person for person in people.values()}),
        MappingProxyType(departments),
        MappingProxyType({entry.code: entry for entry in departments.values()}),
        MappingProxyType(paths),
        _frozen(members.items()),
        _frozen(holders.items()),
        MappingProxyType({row.code: row.name for row in roles}),
        _frozen(role_holders.items()),
        MappingProxyType(all_places),
        MappingProxyType(held_roles),
    )


def _path(departments: Mapping[uuid.UUID, DepartmentEntry], entry: DepartmentEntry) -> tuple[DepartmentEntry, ...]:
    path: dict[uuid.UUID, DepartmentEntry] = {}
    at: DepartmentEntry | None = entry
    while at is not None and at.id not in path:
        path[at.id] = at
        at = departments.get(at.parent_id) if at.parent_id else None
    return tuple(path.values())


def _frozen(groups: Iterable[tuple[_Key, list[_Value]]]) -> Mapping[_Key, tuple[_Value, ...]]:
    return MappingProxyType({key: tuple(group) for key, group in groups})
