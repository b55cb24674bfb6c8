"""The staff workbook: all or nothing, again without doubling, every mistake with its place."""

import io
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import clock
from engine.errors import Forbidden, Invalid
from engine.org.actor import SYSTEM_ADMIN
from engine.org.models import Department, Membership, Person
from engine.org.staff_import import import_staff
from engine.org.staff_template import template
from engine.org.staff_writing import Report
from tests.factories import org

Row = Mapping[str, object]
Rows = Sequence[Row]

DEPARTMENTS: list[Row] = [
    {"部门编码": "NK", "部门名称": "内科系统", "部门类别": "临床", "负责人工号": "1001"},
    {
        "部门编码": "XN",
        "部门名称": "心内科",
        "部门类别": "临床",
        "上级部门编码": "NK",
        "分管院领导工号": 1001,
        "排序": 5,
    },
]
PEOPLE: list[Row] = [
    {"工号": 1001, "姓名": "曾伟", "部门编码": "NK", "岗位": "主任", "排序": 20, "手机": 13800000001.0},
    {"工号": "1002", "姓名": "单 静", "部门编码": "XN", "直接上级工号": "1001", "兼职": "NK:质控员", "邮箱": "dj@x.cn"},
]


def workbook(departments: Rows = DEPARTMENTS, people: Rows = PEOPLE, **sheets: Rows) -> bytes:
    """Return a workbook with the columns that the rows name."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, rows in {"部门": departments, "人员": people, **sheets}.items():
        columns = list(dict.fromkeys(name for row in rows for name in row))
        sheet = book.create_sheet(title)
        sheet.append(columns)
        for row in rows:
            sheet.append([row.get(name) for name in columns])
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def changed(rows: Rows, at: int, **values: object) -> list[Row]:
    """Return the rows with cells of one of them changed."""
    return [{**row, **values} if number == at else row for number, row in enumerate(rows)]


def person(session: Session, number: str) -> Person:
    return session.scalars(select(Person).where(Person.staff_number == number)).one()


def refused(session: Session, content: bytes) -> list[tuple[str, int, str, str]]:
    """Import what must be refused and return its mistakes; nothing may have been stored."""
    before = [session.scalar(select(func.count()).select_from(table)) for table in (Department, Person, Membership)]
    with pytest.raises(Invalid) as refusal:
        import_staff(session, None, content)
    after = [session.scalar(select(func.count()).select_from(table)) for table in (Department, Person, Membership)]
    assert after == before
    return [(e["sheet"], e["row"], e["column"], e["message"]) for e in refusal.value.errors]


def test_first_import(session: Session) -> None:
    assert import_staff(session, None, workbook()) == Report(created=4)
    chief, nurse = person(session, "1001"), person(session, "1002")
    upper, ward = session.scalars(select(Department).order_by(Department.code)).all()
    assert (chief.name, chief.post, chief.rank, chief.mobile, chief.pinyin.split()[0]) == (
        "曾伟", "主任", 20, "13800000001", "zengwei",
    )  # fmt: skip
    assert (nurse.name, nurse.superior_id, nurse.department_id, nurse.rank) == ("单静", chief.id, ward.id, 100)
    assert (upper.head_id, ward.parent_id, ward.director_id, ward.sort, ward.kind) == (
        chief.id, upper.id, chief.id, 5, "clinical",
    )  # fmt: skip
    assert session.execute(select(Membership.person_id, Membership.department_id, Membership.post)).all() == [
        (nurse.id, upper.id, "质控员")
    ]


def test_again_changes_nothing(session: Session) -> None:
    import_staff(session, None, workbook())
    ids = session.scalars(select(Person.id).order_by(Person.id)).all()
    assert import_staff(session, None, workbook()) == Report(unchanged=4)
    assert session.scalars(select(Person.id).order_by(Person.id)).all() == ids


def test_update_by_number_keeps_password_and_what_the_file_lacks(session: Session) -> None:
    import_staff(session, None, workbook())
    person(session, "1002").password_hash = "kept"
    session.flush()
    people = [{"工号": "1002", "姓名": "单小静", "部门编码": "NK"}]
    assert import_staff(session, None, workbook(people=people)) == Report(updated=1, unchanged=2)
    nurse = person(session, "1002")
    assert (nurse.name, nurse.email, nurse.password_hash) == ("单小静", "dj@x.cn", "kept")
    assert nurse.superior_id == person(session, "1001").id
    assert nurse.pinyin.startswith("shanxiaojing ")
    assert session.scalar(select(func.count()).select_from(Membership)) == 1
    assert person(session, "1001").disabled_at is None


def test_an_empty_cell_clears(session: Session) -> None:
    import_staff(session, None, workbook())
    people = changed(PEOPLE, 1, 直接上级工号=None, 兼职=None, 邮箱="")
    assert import_staff(session, None, workbook(people=people)) == Report(updated=1, unchanged=3)
    nurse = person(session, "1002")
    assert (nurse.superior_id, nurse.email) == (None, "")
    assert session.scalar(select(func.count()).select_from(Membership)) == 0


def test_a_changed_part_time_place_is_an_update(session: Session) -> None:
    import_staff(session, None, workbook())
    people = changed(PEOPLE, 1, 兼职="NK：院感员")
    assert import_staff(session, None, workbook(people=people)) == Report(updated=1, unchanged=3)
    assert session.scalars(select(Membership.post)).all() == ["院感员"]


def test_disable_and_enable(session: Session) -> None:
    import_staff(session, None, workbook())
    leaving = workbook(people=changed(PEOPLE, 1, 状态="停用"))
    assert import_staff(session, None, leaving) == Report(unchanged=3, disabled=1)
    left = person(session, "1002").disabled_at
    assert left is not None
    clock.freeze(clock.now() + timedelta(days=1))
    try:
        assert import_staff(session, None, leaving) == Report(unchanged=4)
    finally:
        clock.freeze(None)
    assert person(session, "1002").disabled_at == left
    assert import_staff(session, None, workbook()) == Report(unchanged=4)  # without the column nothing changes
    back = workbook(people=changed(PEOPLE, 1, 状态="在职"))
    assert import_staff(session, None, back) == Report(updated=1, unchanged=3)
    assert person(session, "1002").disabled_at is None


def test_a_reading_by_hand_stays_without_the_column(session: Session) -> None:
    import_staff(session, None, workbook(people=changed(PEOPLE, 0, 姓名拼音="ceng wei")))
    assert person(session, "1001").pinyin == "cengwei cw wei"
    import_staff(session, None, workbook())
    assert person(session, "1001").pinyin == "cengwei cw wei"


def test_a_file_may_refer_to_what_is_stored(session: Session) -> None:
    import_staff(session, None, workbook())
    departments = [{"部门编码": "HX", "部门名称": "呼吸科", "部门类别": "临床", "上级部门编码": "NK"}]
    people = [{"工号": "1003", "姓名": "仇明", "部门编码": "HX", "直接上级工号": "1001"}]
    assert import_staff(session, None, workbook(departments, people)) == Report(created=2)


def test_only_a_system_admin_imports(session: Session) -> None:
    with pytest.raises(Forbidden):
        import_staff(session, org.actor(session), workbook())
    assert import_staff(session, org.actor(session, SYSTEM_ADMIN), workbook()) == Report(created=4)


@pytest.mark.parametrize(
    ("values", "column", "message"),
    [
        ({"工号": None}, "工号", "必填"),
        ({"工号": "10 02"}, "工号", "只能用字母、数字"),
        ({"工号": "1001"}, "工号", "“1001”与第 2 行重复"),
        ({"工号": 123456789012345678}, "工号", "超过 15 位"),
        ({"工号": "1" * 21}, "工号", "最多 20 个"),
        ({"姓名": " "}, "姓名", "必填"),
        ({"姓名": "静" * 41}, "姓名", "超过 40 个字"),
        ({"姓名": "单\n静"}, "姓名", "不可见字符"),
        ({"部门编码": "ZZ"}, "部门编码", "“ZZ”不在文件中"),
        ({"直接上级工号": "9999"}, "直接上级工号", "“9999”不在文件中"),
        ({"直接上级工号": "1002"}, "直接上级工号", "绕成了圈"),
        ({"手机": "abc"}, "手机", "不是电话号码"),
        ({"邮箱": "a@b"}, "邮箱", "不是邮箱地址"),
        ({"排序": "-1"}, "排序", "不是 0 到 999999 的整数"),
        ({"排序": 1.5}, "排序", "不是 0 到 999999 的整数"),
        ({"状态": "离职"}, "状态", "请填 在职 或 停用"),
        ({"兼职": "ZZ"}, "兼职", "“ZZ”不在文件中"),
        ({"兼职": "XN"}, "兼职", "已是主要部门"),
        ({"姓名拼音": "单静"}, "姓名拼音", "请填音节"),
    ],
)
def test_mistakes_of_people(session: Session, values: dict[str, Any], column: str, message: str) -> None:
    problems = refused(session, workbook(people=changed(PEOPLE, 1, **values)))
    assert [problem[:3] for problem in problems] == [("人员", 3, column)]
    assert message in problems[0][3]


@pytest.mark.parametrize(
    ("values", "column", "message"),
    [
        ({"部门编码": "NK"}, "部门编码", "“NK”与第 2 行重复"),
        ({"部门名称": None}, "部门名称", "必填"),
        ({"部门类别": "临床科"}, "部门类别", "请填 院领导、职能科室、临床、医技"),
        ({"上级部门编码": "ZZ"}, "上级部门编码", "“ZZ”不在文件中"),
        ({"负责人工号": "9999"}, "负责人工号", "“9999”不在文件中"),
        ({"分管院领导工号": "9999"}, "分管院领导工号", "“9999”不在文件中"),
    ],
)
def test_mistakes_of_departments(session: Session, values: dict[str, Any], column: str, message: str) -> None:
    people = [row for row in PEOPLE if row["部门编码"] == "NK"]
    problems = refused(session, workbook(changed(DEPARTMENTS, 1, **values), people))
    assert [problem[:3] for problem in problems] == [("部门", 3, column)]
    assert message in problems[0][3]


def test_loops_in_the_tree(session: Session) -> None:
    departments = changed(DEPARTMENTS, 0, 上级部门编码="XN")
    assert [problem[:3] for problem in refused(session, workbook(departments))] == [
        ("部门", 2, "上级部门编码"),
        ("部门", 3, "上级部门编码"),
    ]


def test_loops_with_what_is_stored(session: Session) -> None:
    import_staff(session, None, workbook())
    departments = [{"部门编码": "NK", "部门名称": "内科系统", "部门类别": "临床", "上级部门编码": "XN"}]
    assert [problem[:3] for problem in refused(session, workbook(departments))] == [("部门", 2, "上级部门编码")]


def test_four_levels(session: Session) -> None:
    lower: list[Row] = [
        {"部门编码": code, "部门名称": code, "部门类别": "临床", "上级部门编码": above}
        for code, above in (("C", "XN"), ("D", "C"))
    ]
    problems = refused(session, workbook([*DEPARTMENTS, *lower]))
    assert problems == [("部门", 5, "上级部门编码", "部门超过 3 级：NK → XN → C → D")]


def test_a_stored_department_may_not_sink_below_three_levels(session: Session) -> None:
    import_staff(session, None, workbook())
    departments: list[Row] = [
        {"部门编码": "A", "部门名称": "甲", "部门类别": "临床", "上级部门编码": None},
        {"部门编码": "B", "部门名称": "乙", "部门类别": "临床", "上级部门编码": "A"},
        {"部门编码": "NK", "部门名称": "内科系统", "部门类别": "临床", "上级部门编码": "B"},
    ]
    problems = refused(session, workbook(departments))
    assert ("部门", 4, "上级部门编码", "系统中的下级部门“XN”会超过 3 级") in problems


def test_a_long_chain_of_superiors_is_walked_once(session: Session) -> None:
    people: list[Row] = [{"工号": "S0", "姓名": "顶", "部门编码": "NK", "直接上级工号": "S3000"}]
    people += [{"工号": f"S{n}", "姓名": "人", "部门编码": "NK", "直接上级工号": f"S{n - 1}"} for n in range(1, 3001)]
    with pytest.raises(Invalid) as refusal:
        import_staff(session, None, workbook(DEPARTMENTS, [*PEOPLE[:1], *people]))
    assert "3001 处错误" in refusal.value.message
    assert len(refusal.value.errors) == 200


def test_every_mistake_is_told_at_once(session: Session) -> None:
    people = changed(changed(PEOPLE, 0, 手机="x"), 1, 邮箱="y", 部门编码="ZZ")
    problems = refused(session, workbook(people=people))
    assert {(row, column) for _, row, column, _ in problems} == {(2, "手机"), (3, "邮箱"), (3, "部门编码")}


def test_missing_sheets_and_columns(session: Session) -> None:
    assert refused(session, workbook(people=[])) == [("人员", 1, "", "缺少这张工作表或它的列名，请从模板开始填写")]
    people = [{"工号": "1", "姓名": "甲"}]
    assert [problem[:3] for problem in refused(session, workbook(people=people))] == [("人员", 1, "部门编码")]


def test_a_column_twice(session: Session) -> None:
    book = load_workbook(io.BytesIO(workbook()))
    book["人员"].cell(1, 9, "工号")
    buffer = io.BytesIO()
    book.save(buffer)
    assert [problem[:3] for problem in refused(session, buffer.getvalue())] == [("人员", 1, "工号")]


def test_the_template_imports_as_nothing_and_names_every_column(session: Session) -> None:
    assert import_staff(session, None, template()) == Report()
    book = load_workbook(io.BytesIO(template()))
    assert book.sheetnames == ["部门", "人员", "填写说明"]
    assert [cell.value for cell in book["人员"][1]][:3] == ["工号", "姓名", "部门编码"]
    assert all(cell.number_format == "@" for cell in book["人员"][2])
    assert len(list(book["填写说明"].rows)) >= 5


def test_the_template_s_example_is_a_valid_row(session: Session) -> None:
    import_staff(
        session, None, workbook([*DEPARTMENTS, {"部门编码": "ZK", "部门名称": "质控办", "部门类别": "职能科室"}])
    )
    book = load_workbook(io.BytesIO(template()))
    book["部门"].delete_rows(2)
    for cell, value in zip(book["人员"][2], ["10086", "曾伟", "NK"], strict=False):
        cell.value = value
    buffer = io.BytesIO()
    book.save(buffer)
    assert import_staff(session, None, buffer.getvalue()) == Report(created=1)
