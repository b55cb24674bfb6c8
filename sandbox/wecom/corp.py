"""A corp made of somebody's list of departments and people."""

from collections.abc import Iterable
from typing import Protocol

from sandbox.people import PersonRow
from sandbox.wecom import constants
from sandbox.wecom.records import ACTIVE, DISABLED, ROOT_DEPARTMENT, Department, Member
from sandbox.wecom.state import State

_IN_WORK = "在职"


class DepartmentRow(Protocol):
    """A department; `parent` is a code or empty, `head` a staff number or empty."""

    @property
    def code(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def parent(self) -> str: ...

    @property
    def head(self) -> str: ...


class StaffRow(PersonRow, Protocol):
    """A member; `superior` is a staff number or empty, `part_time` lists further departments as `code:post;code`."""

    @property
    def post(self) -> str: ...

    @property
    def superior(self) -> str: ...

    @property
    def part_time(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def email(self) -> str: ...


def corp(departments: Iterable[DepartmentRow], people: Iterable[StaffRow]) -> State:
    """Return a corp whose userids are the staff numbers, with the departments below its root."""
    return State(*staff(departments, people))


def staff(departments: Iterable[DepartmentRow], people: Iterable[StaffRow]) -> tuple[list[Department], list[Member]]:
    """Return the departments and the members of such a corp."""
    rows = list(departments)
    ids = {row.code: ROOT_DEPARTMENT + at for at, row in enumerate(rows, start=1)}
    tree = [Department(ROOT_DEPARTMENT, constants.CORP_NAME, 0)]
    for at, row in enumerate(rows):
        parent = ids[row.parent] if row.parent else ROOT_DEPARTMENT
        tree.append(Department(ids[row.code], row.name, parent, len(rows) - at, [row.head] if row.head else []))
    heads = {(row.head, ids[row.code]) for row in rows}
    members = []
    for person in people:
        further = [part.partition(":")[0] for part in person.part_time.split(";") if part]
        own = list(dict.fromkeys(ids[code] for code in (person.department, *further)))
        members.append(
            Member(
                person.number,
                person.name,
                own,
                position=person.post,
                mobile=person.mobile,
                email=person.email,
                status=ACTIVE if person.state == _IN_WORK else DISABLED,
                leads=[number for number in own if (person.number, number) in heads],
                superiors=[person.superior] if person.superior else [],
                label=person.label,
            )
        )
    return tree, members
