"""Import of departments and people (人员导入) from the staff workbook: all or nothing, again without doubling."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.errors import Forbidden
from engine.org import staff_writing
from engine.org.actor import SYSTEM_ADMIN, Actor
from engine.org.staff_sheets import Line, Sheets, read
from engine.org.staff_writing import MAX_LEVELS, Report, Row, Table, Wanted


def import_staff(session: Session, actor: Actor | None, content: bytes) -> Report:
    """Create, update and disable departments and people by a workbook (xlsx) of `staff_template.template`.

    Rows are matched by department code (部门编码) and staff number (工号); what the file doesn't name stays as it is.
    `actor` is None on the command line. Raises Forbidden unless the actor is a system admin, Invalid with `errors`
    (place, sheet, row, column, message) where anything in the file is wrong: nothing is imported then.
    """
    if actor is not None and not actor.has(SYSTEM_ADMIN):
        raise Forbidden("只有系统管理员可以导入人员", code="not_system_admin")
    sheets = read(content)
    wanted = staff_writing.load(session)
    departments, people = wanted.departments, wanted.people
    departments.add(sheets.departments)
    people.add(sheets.people)
    sheets.problems += _system_problems(wanted, sheets)
    sheets.problems += _reference_problems(sheets, departments, people)
    sheets.problems += _tree_problems(sheets, departments)
    sheets.problems += _superior_problems(sheets, people)
    sheets.refuse_problems()
    for code, line in sheets.departments.items():
        departments.wanted[code] = _wanted_department(line, departments, people, departments.stored.get(code))
    for number, line in sheets.people.items():
        people.wanted[number] = _wanted_person(line, number, wanted)
        if "兼职" in line.values:
            wanted.places[number] = line.values["兼职"]
    report = staff_writing.write(session, wanted)
    record(session, actor, "staff_import", asdict(report), at=clock.now())
    return report


def _system_problems(wanted: Wanted, sheets: Sheets) -> Iterator[dict[str, Any]]:
    """Say where the file names a system account: it is no member of staff, superior or head."""
    lines = [(line, ("负责人工号", "分管院领导工号")) for line in sheets.departments.values()]
    lines += [(line, ("工号", "直接上级工号")) for line in sheets.people.values()]
    for line, columns in lines:
        for column in columns:
            if (number := line.values.get(column)) in wanted.systems:
                yield line.problem(column, f"“{number}”是系统账号，不是职工")


def _reference_problems(sheets: Sheets, departments: Table, people: Table) -> Iterator[dict[str, Any]]:
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


def _tree_problems(sheets: Sheets, departments: Table) -> Iterator[dict[str, Any]]:
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


def _superior_problems(sheets: Sheets, people: Table) -> Iterator[dict[str, Any]]:
    circular = _circular(_chain_after(sheets.people, "直接上级工号", people, "superior_id"))
    for number, line in sheets.people.items():
        if number in circular:
            yield line.problem("直接上级工号", "直接上级绕成了圈，请改正")


def _chain_after(lines: Mapping[str, Line], column: str, table: Table, attribute: str) -> dict[str, str]:
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


def _wanted_department(line: Line, departments: Table, people: Table, stored: dict[str, Any] | None) -> dict[str, Any]:
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


def _wanted_person(line: Line, number: str, of: Wanted) -> Row:
    values, stored = line.values, of.people.stored.get(number)
    wanted = {**(stored or {"superior_id": None, "rank": 100, "post": "", "mobile": "", "email": ""})}
    wanted |= {"name": values["姓名"], "department_id": of.departments.ids[values["部门编码"]]}
    # without the column a reading given by hand earlier stays
    if "姓名拼音" in values or stored is None or stored["name"] != values["姓名"]:
        wanted["pinyin"] = of.keys(number, values["姓名"], values.get("姓名拼音", ""))
    if "直接上级工号" in values:
        wanted["superior_id"] = of.people.id(values["直接上级工号"])
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
