"""The demo hospital (演示医院): 1,600 staff in 60 departments, the same at every run, imported like a real workbook.

All names are invented. `CAST` are the people of the story, with staff numbers that don't change; the login page of the
demo and the tests offer them.
"""

import random
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from engine.org import demo_data as data
from engine.org.models import Department, Person, RoleMember
from engine.org.roles import ensure_roles
from engine.org.staff_import import import_staff
from engine.org.staff_template import ACTIVE, DISABLED, staff_workbook

_SEED = 20_240_501
_FIRST_NUMBER = 10_001
_DISABLED = 12
_PART_TIME = ("ZK:质控员", "YG:感控员", "KJ:教学秘书", "YW:医务联络员")
_PART_TIME_PEOPLE = 30
_READERS = 40


@dataclass(frozen=True, slots=True)
class CastMember:
    """A person of the story; `label` says in Chinese who it is, for the login page."""

    staff_number: str
    name: str
    label: str


@dataclass(frozen=True, slots=True)
class DemoStaff:
    """Ids of the demo hospital: people by staff number, departments by code."""

    people: Mapping[str, uuid.UUID]
    departments: Mapping[str, uuid.UUID]

    def person(self, key: str) -> uuid.UUID:
        """Return the id of a member of CAST."""
        return self.people[CAST[key].staff_number]


CAST: Mapping[str, CastMember] = {
    key: CastMember(str(_FIRST_NUMBER + at), name, data.LABELS[key])
    for at, (key, name, *_) in enumerate(data.CAST_ROWS)
}


_LABELS = {member.staff_number: member.label for member in CAST.values()}


@dataclass(frozen=True, slots=True)
class DemoDepartment:
    """A department as the workbook has it; `head` and `director` are staff numbers."""

    code: str
    name: str
    kind: str
    parent: str
    head_post: str
    head: str  # staff number
    director: str
    size: int


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """A person as the workbook has it."""

    number: str
    name: str
    department: str
    post: str
    superior: str = ""
    part_time: str = ""
    state: str = ACTIVE

    @property
    def mobile(self) -> str:
        """The mobile number."""
        return f"1380000{int(self.number) - _FIRST_NUMBER + 1:04}"

    @property
    def label(self) -> str:
        """Who it is in the story, in Chinese; empty for all others."""
        return _LABELS.get(self.number, "")

    @property
    def email(self) -> str:
        """The mail address."""
        return f"{self.number}@hospital.example"


@cache
def roster() -> tuple[tuple[DemoDepartment, ...], tuple[DemoPerson, ...]]:
    """Return the departments and the people of the demo hospital, without a database."""
    chance = random.Random(_SEED)  # nosec B311
    people = _cast()
    departments = tuple(_staffed(department, people, chance) for department in _departments())
    _vary(departments, people, chance)
    return departments, tuple(people.values())


def load_demo(session: Session) -> DemoStaff:
    """Load the demo hospital where it isn't there yet and return its ids; what has changed since is left as it is.

    Where somebody of CAST is missing the whole hospital is imported anew, over what is there.
    """
    numbers = [member.staff_number for member in CAST.values()]
    there = session.scalar(select(func.count()).select_from(Person).where(Person.staff_number.in_(numbers)))
    if there != len(numbers):
        departments, people = roster()
        import_staff(session, None, _workbook(departments, people))
        ensure_roles(session)
        _assign_roles(session, departments)
    return _ids(session)


def _ids(session: Session) -> DemoStaff:
    people = session.execute(select(Person.staff_number, Person.id)).all()
    departments = session.execute(select(Department.code, Department.id)).all()
    return DemoStaff(dict(people), dict(departments))


def _departments() -> list[DemoDepartment]:
    found = []
    for line in data.DEPARTMENT_ROWS.split("\n"):
        if line:
            code, name, kind, parent, head, director, size = line.split()
            # a head that isn't of the cast comes later, see _staffed
            number = CAST[head].staff_number if head in CAST else ""
            parent = "" if parent == "-" else parent
            found.append(DemoDepartment(code, name, kind, parent, head, number, CAST[director].staff_number, int(size)))
    return found


def _cast() -> dict[str, DemoPerson]:
    """Make the people of the story, by staff number."""
    found = {}
    for key, name, department, post, _, superior in data.CAST_ROWS:
        number = CAST[key].staff_number
        found[number] = DemoPerson(number, name, department, post, CAST[superior].staff_number if superior else "")
    return found


def _staffed(department: DemoDepartment, people: dict[str, DemoPerson], chance: random.Random) -> DemoDepartment:
    """Add to `people` whom a department still lacks; return it with its head."""
    colleagues = [person for person in people.values() if person.department == department.code]
    for post in _posts(department, [person.post for person in colleagues]):
        person = DemoPerson(str(_FIRST_NUMBER + len(people)), _name(chance), department.code, post)
        people[person.number] = person
        colleagues.append(person)
        department = replace(department, head=department.head or person.number)
    head_nurse = next((person.number for person in colleagues if person.post == "护士长"), "")
    for person in colleagues:
        if person.post in ("护士", "护师"):
            people[person.number] = replace(person, superior=head_nurse)
    return department


def _vary(departments: Iterable[DemoDepartment], people: dict[str, DemoPerson], chance: random.Random) -> None:
    """Disable some of the ordinary people and give others a second post."""
    special = {department.head for department in departments} | {member.staff_number for member in CAST.values()}
    ordinary = [person for person in people.values() if person.number not in special and person.post != "护士长"]
    disabled = {person.number for person in chance.sample(ordinary, _DISABLED)}
    clinical = {department.code for department in departments if department.kind == "临床"}
    wards = [person for person in ordinary if person.department in clinical and person.number not in disabled]
    for number in disabled:
        people[number] = replace(people[number], state=DISABLED)
    for at, person in enumerate(chance.sample(wards, _PART_TIME_PEOPLE)):
        people[person.number] = replace(person, part_time=_PART_TIME[at % len(_PART_TIME)])


def _posts(department: DemoDepartment, taken: list[str]) -> Iterator[str]:
    """Name the posts that are still to be filled, the head's first."""
    left = department.size - len(taken)
    leading = [] if department.head else [department.head_post]
    leading += [post for post in data.LEADING_POSTS.get(department.kind, ()) if post not in taken]
    yield from leading[:left]
    others = data.OTHER_POSTS.get(department.kind, ())
    for at in range(left - len(leading)):
        yield others[at % len(others)]


def _name(chance: random.Random) -> str:
    polyphonic = chance.random() < data.POLYPHONIC_SHARE
    surname: str = chance.choice(data.POLYPHONIC_SURNAMES if polyphonic else data.SURNAMES)
    given = data.FEMALE if chance.random() < 0.68 else data.MALE
    return surname + "".join(chance.choices(given, k=1 if chance.random() < 0.2 else 2))


def _workbook(departments: Iterable[DemoDepartment], people: Iterable[DemoPerson]) -> bytes:
    return staff_workbook(
        [
            [d.code, d.name, d.kind, d.parent, d.head, d.director, at * 10, ACTIVE]
            for at, d in enumerate(departments, start=1)
        ],
        [
            [p.number, p.name, p.department, p.post, p.superior, p.mobile, p.email, p.part_time,
             data.RANKS.get(p.post, 100), p.state, ""]
            for p in people
        ],
    )  # fmt: skip


def _assign_roles(session: Session, departments: Iterable[DemoDepartment]) -> None:
    members = [(role, CAST[key].staff_number) for key, _, _, _, roles, _ in data.CAST_ROWS for role in roles]
    # readers of circulated documents: the heads of the clinical, the technical and the first administrative departments
    heads = [d.head for kind in ("临床", "医技", "职能科室") for d in departments if d.kind == kind and d.size]
    members += [("doc_reader", number) for number in heads[:_READERS]]
    ids = _ids(session).people
    stored = set(session.execute(select(RoleMember.role, RoleMember.person_id)).all())
    rows = [
        {"role": role, "person_id": ids[number], "department_id": None}
        for role, number in members
        if (role, ids[number]) not in stored
    ]
    if rows:
        session.execute(insert(RoleMember), rows)
