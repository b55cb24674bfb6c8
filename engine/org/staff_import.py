"""Import of departments and people (人员导入) from the staff workbook: all or nothing, again without doubling."""

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from engine import clock
from engine.audit import record
from engine.db import new_id
from engine.errors import Conflict, Forbidden
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.models import Department, Membership, Person
from engine.org.pinyin import search_keys
from engine.org.staff_sheets import Line, Sheets, read

MAX_LEVELS = 3  # of the department tree

_DEPARTMENT = (
    Department.name, Department.kind, Department.parent_id, Department.head_id, Department.director_id,
    Department.sort, Department.disabled_at,
)  # fmt: skip
_PERSON = (
    Person.name, Person.pinyin, Person.department_id, Person.post, Person.rank, Person.superior_id, Person.mobile,
    Person.email, Person.disabled_at,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    """What an import did, in rows of both sheets; each row is counted once."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    disabled: int = 0  # were active before


@dataclass(slots=True)
class _Table:
    """One table as stored and as it will be, both by code."""

    ids: dict[str, uuid.UUID] = field(default_factory=dict)  # of what is stored and what the file adds
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)

    def id(self, code: str) -> uuid.UUID | None:
        """Return the id behind a checked code; None for an empty cell."""
        return self.ids[code] if code else None


def import_staff(session: Session, actor: Actor | None, content: bytes) -> Report:
    """Create, update and disable departments and people by a workbook (xlsx) of `staff_template.template`.

    Rows are matched by department code (部门编码) and staff number (工号); what the file doesn't name stays as it is.
    `actor` is None on the command line. Raises Forbidden unless the actor is a system admin, Invalid with `errors`
    (place, sheet, row, column, message) where anything in the file is wrong: nothing is imported then.
    """
    if actor is not None and not actor.has(SYSTEM_ADMIN):
        raise Forbidden("只有系统管理员可以导入人员", code="not_system_admin")
    sheets = read(content)
    departments = _load(session, Department.code, Department.id, _DEPARTMENT, sheets.departments)
    people = _load(session, Person.staff_number, Person.id, _PERSON, sheets.people)
    sheets.problems += _system_problems(session, sheets)
    sheets.problems += _reference_problems(sheets, departments, people)
    sheets.problems += _tree_problems(sheets, departments)
    sheets.problems += _superior_problems(sheets, people)
    sheets.refuse_problems()
    for code, line in sheets.departments.items():
        departments.wanted[code] = _wanted_department(line, departments, people, departments.stored.get(code))
    for number, line in sheets.people.items():
        people.wanted[number] = _wanted_person(line, departments, people, people.stored.get(number))
    try:
        _write(session, departments, people)
        moved = _write_memberships(session, sheets, departments, people)
    except IntegrityError as error:
        raise Conflict("人员数据刚刚被另一次导入修改，请重新导入", code="concurrent_import") from error
    session.expire_all()  # what the caller holds of these tables is old
    report = _report(departments, people, moved)
    record(session, actor, "staff_import", asdict(report), at=clock.now())
    return report


def _load(
    session: Session,
    code: InstrumentedAttribute[str],
    id_: InstrumentedAttribute[uuid.UUID],
    columns: tuple[InstrumentedAttribute[Any], ...],
    lines: Mapping[str, Line],
) -> _Table:
    table = _Table()
    for row in session.execute(select(code, id_, *columns)):
        table.ids[row[0]] = row[1]
        table.stored[row[0]] = dict(zip((column.key for column in columns), row[2:], strict=True))
    for new in lines.keys() - table.ids.keys():
        table.ids[new] = new_id()
    return table


def _system_problems(session: Session, sheets: Sheets) -> Iterator[dict[str, Any]]:
    """Say where the file names a system account: it is no member of staff, superior or head."""
    taken = set(session.scalars(select(Person.staff_number).where(Person.system)))
    lines = [(line, ("负责人工号", "分管院领导工号")) for line in sheets.departments.values()]
    lines += [(line, ("工号", "直接上级工号")) for line in sheets.people.values()]
    for line, columns in lines:
        for column in columns:
            if (number := line.values.get(column)) in taken:
                yield line.problem(column, f"“{number}”是系统账号，不是职工")


def _reference_problems(sheets: Sheets, departments: _Table, people: _Table) -> Iterator[dict[str, Any]]:
    unknown_department, unknown_person = "部门编码“{}”不在文件中，系统中也没有", "工号“{}”不在文件中，系统中也没有"
    for line in sheets.departments.values():
        if (code := line.values.get("上级部门编码")) and code not in departments.ids:
            yield line.problem("上级部门编码", unknown_department.format(code))
        for column in ("负责人工号", "分管院领导工号"):
            if (number := line.values.get(column)) and number not in people.ids:
                yield line.problem(column, unknown_person.format(number))
    for line in sheets.people.values():
        if (code := line.values.get("部门编码")) and code not in departments.ids:
            yield line.problem("部门编码", unknown_department.format(code))
        if (number := line.values.get("直接上级工号")) and number not in people.ids:
            yield line.problem("直接上级工号", unknown_person.format(number))
        for code in line.values.get("兼职", ()):
            if code not in departments.ids:
                yield line.problem("兼职", unknown_department.format(code))
            elif code == line.values.get("部门编码"):
                yield line.problem("兼职", f"“{code}”已是主要部门，兼职只填其他部门")


def _tree_problems(sheets: Sheets, departments: _Table) -> Iterator[dict[str, Any]]:
    parents = _chain_after(sheets.departments, "上级部门编码", departments, "parent_id")
    circular = _circular(parents)
    for code in parents:
        line, way = sheets.departments.get(code), _climb(code, parents)
        if code in circular and line:
            yield line.problem("上级部门编码", "上级部门绕成了圈，请改正")
        if len(way) <= MAX_LEVELS or not circular.isdisjoint(way):
            continue
        if line:
            yield line.problem("上级部门编码", f"部门超过 {MAX_LEVELS} 级：{' → '.join(reversed(way))}")
        else:  # a stored department sinks with one that the file moves
            for moved in filter(None, map(sheets.departments.get, way)):
                yield moved.problem("上级部门编码", f"系统中的下级部门“{code}”会超过 {MAX_LEVELS} 级")


def _superior_problems(sheets: Sheets, people: _Table) -> Iterator[dict[str, Any]]:
    circular = _circular(_chain_after(sheets.people, "直接上级工号", people, "superior_id"))
    for number, line in sheets.people.items():
        if number in circular:
            yield line.problem("直接上级工号", "直接上级绕成了圈，请改正")


def _chain_after(lines: Mapping[str, Line], column: str, table: _Table, attribute: str) -> dict[str, str]:
    """Return whom each code hangs below once the file is imported; "" for the top."""
    codes = {id_: code for code, id_ in table.ids.items()}
    above = {code: codes.get(values[attribute], "") for code, values in table.stored.items()}
    for code, line in lines.items():
        if column in line.values or code not in above:
            above[code] = line.values.get(column, "")
    return above


def _climb(code: str, above: Mapping[str, str]) -> list[str]:
    """Return the codes from this one upwards, one more than there may be levels at most."""
    way = [code]
    while len(way) <= MAX_LEVELS and (code := above.get(code, "")):
        way.append(code)
    return way


def _circular(above: Mapping[str, str]) -> set[str]:
    """Return the codes that hang below themselves; each code is walked over once."""
    found: set[str] = set()
    done: set[str] = set()
    for start in above:
        way: dict[str, None] = {}
        code = start
        while code and code not in done and code not in way:
            way[code] = None
            code = above.get(code, "")
        if code in way:
            passed = list(way)
            found.update(passed[passed.index(code) :])
        done.update(way)
    return found


def _wanted_department(
    line: Line, departments: _Table, people: _Table, stored: dict[str, Any] | None
) -> dict[str, Any]:
    values = line.values
    wanted = {**(stored or {"parent_id": None, "head_id": None, "director_id": None, "sort": 0, "disabled_at": None})}
    wanted |= {"name": values["部门名称"], "kind": values["部门类别"]}
    if "上级部门编码" in values:
        wanted["parent_id"] = departments.id(values["上级部门编码"])
    if "负责人工号" in values:
        wanted["head_id"] = people.id(values["负责人工号"])
    if "分管院领导工号" in values:
        wanted["director_id"] = people.id(values["分管院领导工号"])
    if "排序" in values:
        wanted["sort"] = values["排序"] or 0
    return wanted | _state(values, wanted)


def _wanted_person(line: Line, departments: _Table, people: _Table, stored: dict[str, Any] | None) -> dict[str, Any]:
    values = line.values
    wanted = {**(stored or {"superior_id": None, "rank": 100, "post": "", "mobile": "", "email": ""})}
    wanted |= {"name": values["姓名"], "department_id": departments.ids[values["部门编码"]]}
    # without the column a reading given by hand earlier stays
    if "姓名拼音" in values or stored is None or stored["name"] != values["姓名"]:
        wanted["pinyin"] = search_keys(values["姓名"], values.get("姓名拼音", ""))
    if "直接上级工号" in values:
        wanted["superior_id"] = people.id(values["直接上级工号"])
    if "排序" in values:
        wanted["rank"] = 100 if values["排序"] is None else values["排序"]
    for column, attribute in (("岗位", "post"), ("手机", "mobile"), ("邮箱", "email")):
        if column in values:
            wanted[attribute] = values[column]
    return wanted | _state(values, {"disabled_at": None, **wanted})


def _state(values: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    if "状态" not in values:
        return {"disabled_at": wanted["disabled_at"]}
    return {"disabled_at": (wanted["disabled_at"] or clock.now()) if values["状态"] else None}


def _write(session: Session, departments: _Table, people: _Table) -> None:
    new_departments = [code for code in departments.wanted if code not in departments.stored]
    new_people = [number for number in people.wanted if number not in people.stored]
    # rows first and their references to one another after them: departments name people and people departments
    if new_departments:
        without: dict[str, Any] = {"parent_id": None, "head_id": None, "director_id": None}
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


def _write_memberships(session: Session, sheets: Sheets, departments: _Table, people: _Table) -> set[str]:
    """Write the part-time places that the file names and return the staff numbers whose places changed."""
    stored: dict[uuid.UUID, dict[uuid.UUID, str]] = {}
    for membership in session.execute(select(Membership.person_id, Membership.department_id, Membership.post)):
        stored.setdefault(membership.person_id, {})[membership.department_id] = membership.post
    changed: set[str] = set()
    for number, line in sheets.people.items():
        if "兼职" not in line.values:
            continue
        wanted = {departments.ids[code]: post for code, post in line.values["兼职"].items()}
        if wanted != stored.get(people.ids[number], {}):
            changed.add(number)
    if changed:
        ids = [people.ids[number] for number in changed]
        for at in range(0, len(ids), 1_000):
            session.execute(delete(Membership).where(Membership.person_id.in_(ids[at : at + 1_000])))
        rows = [
            {"person_id": people.ids[number], "department_id": departments.ids[code], "post": post}
            for number in sheets.people
            if number in changed
            for code, post in sheets.people[number].values["兼职"].items()
        ]
        if rows:
            session.execute(insert(Membership), rows)
    return changed


def _report(departments: _Table, people: _Table, moved: set[str]) -> Report:
    counts = dict.fromkeys(("created", "updated", "unchanged", "disabled"), 0)
    for table in (departments, people):
        for code, wanted in table.wanted.items():
            stored = table.stored.get(code)
            if stored is None:
                counts["created"] += 1
            elif wanted["disabled_at"] and not stored["disabled_at"]:
                counts["disabled"] += 1
            elif wanted != stored or (table is people and code in moved):
                counts["updated"] += 1
            else:
                counts["unchanged"] += 1
    return Report(**counts)
