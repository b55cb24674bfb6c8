"""Who is who, and what differs: from values alone, without WeCom and without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.connectors.wecom.client.answers import Department as Party
from engine.connectors.wecom.client.answers import Member
from engine.connectors.wecom.contacts.difference import Account, Plan, Snapshot, Stored
from engine.connectors.wecom.contacts.matching import compare
from engine.org.staff_writing import Table, Wanted

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)

ROOT = Party(1, "演示医院", 0, 0)
WARD = Party(2, "儿科", 1, 100)
OTHER = Party(3, "外科", 1, 90)


def member(userid: str, name: str = "", *departments: int, **more: Any) -> Member:
    values: dict[str, Any] = {
        "main_department": None, "position": "", "mobile": "", "email": "", "alias": "", "status": 1,
        "leads": frozenset(), "orders": (), "departments": departments or (2,),
    }  # fmt: skip
    return Member(userid=userid, name=name, **values | more)


def stored(*people: str, accounts: dict[str, Account] | None = None, **rows: dict[str, Any]) -> Stored:
    """Return a hospital of two departments (EK 儿科, WK 外科); people are `number name`, `rows` say more of them."""
    departments, persons = Table(), Table()
    departments.add(["EK", "WK"])
    for code, name in (("EK", "儿科"), ("WK", "外科")):
        departments.stored[code] = {
            "name": name, "kind": "clinical", "parent_id": None, "head_id": None, "director_id": None, "sort": 0,
            "disabled_at": None,
        }  # fmt: skip
    for line in people:
        number, name = line.split()
        persons.add([number])
        persons.stored[number] = {
            "name": name, "pinyin": "", "department_id": departments.ids["EK"], "post": "护士", "rank": 100,
            "superior_id": None, "mobile": "", "email": "", "disabled_at": None,
        } | rows.get(f"p{number}", {})  # fmt: skip
    return Stored(Wanted(departments, persons), accounts or {}, {})


def difference(have: Stored, *members: Member, departments: tuple[Party, ...] = (ROOT, WARD, OTHER)) -> Plan:
    there = frozenset(m.userid.lower() for m in members)
    return compare(have, Snapshot(departments, members, there), NOW)


def told(plan: Plan) -> list[tuple[str, str, str]]:
    return [(change.kind, change.verb, change.code) for change in plan.changes]


def links(plan: Plan) -> list[tuple[str, str, str]]:
    return [(link.verb, link.userid, link.number) for link in plan.links]


def test_who_is_who() -> None:
    known = {"zhang": Account("1001", "Zhang", None)}
    have = stored("1001 张三", "1002 李四", "1003 王五", accounts=known, p1003={"mobile": "13900000003"})
    plan = difference(
        have,
        member("Zhang", "张三"),  # by account
        member("1002", "李四"),  # by staff number
        member("wangwu", "王 五", mobile="+8613900000003"),  # by mobile
        member("zhao6", "赵六", 3, position="医师"),  # by nothing
    )
    assert links(plan) == [("link", "1002", "1002"), ("link", "wangwu", "1003"), ("link", "zhao6", "zhao6")]
    assert told(plan) == [("person", "create", "zhao6")]
    assert ("岗位", "", "医师") in plan.changes[0].fields
    assert plan.departments == {2: "EK", 3: "WK"}
    assert plan.problems == []


def test_without_matching_nobody_is_known_but_by_their_account() -> None:
    have = stored("1001 张三", "1002 李四", accounts={"zhang": Account("1001", "Zhang", None)})
    members = (member("Zhang", "张三", position="医师"), member("1002", "李四"), member("zhao6", "赵六"))
    snapshot = Snapshot((ROOT, WARD, OTHER), members, frozenset(m.userid.lower() for m in members))
    plan = compare(have, snapshot, NOW, matching=False)
    assert (links(plan), plan.problems) == ([], [])
    assert told(plan) == [("person", "update", "1001")]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("1001", "李四")], "姓名不同"),
        ([member("x", "钱七", mobile="13900000001")], "姓名不同"),
        ([member("x", "x", mobile="13900000001")], "没有给出姓名"),
        ([member("1001", "张三"), member("x", "张三", mobile="13900000001")], "同一位职工"),
        ([member("SYS-HIS", "挂号系统")], "系统账号"),
        ([member("1009", "孙八")], "已停用"),
        ([member("a" * 21, "周九")], "不能作工号"),
        ([member("newcomer", "吴十", 1)], "不在任何科室"),
    ],
)
def test_what_nobody_may_guess(members: list[Member], message: str) -> None:
    have = stored("1001 张三", "1009 孙八", "SYS-HIS 挂号", p1001={"mobile": "13900000001"}, p1009={"disabled_at": NOW})
    have.org.systems = frozenset({"SYS-HIS"})
    plan = difference(have, *members)
    assert message in plan.problems[-1].message
    assert len(plan.links) == len(members) - 1
    assert all(change.verb != "create" for change in plan.changes)


def test_one_who_has_an_account_gets_no_second_one() -> None:
    have = stored("1001 张三", accounts={"zhang": Account("1001", "Zhang", None)})
    plan = difference(have, member("Zhang", "张三"), member("1001", "张三"))
    assert links(plan) == []
    assert "已关联账号 Zhang" in plan.problems[0].message

    renamed = difference(have, member("1001", "张三"))  # the old one is gone: it was renamed
    assert [(link.verb, link.userid, link.old) for link in renamed.links] == [("rename", "1001", "Zhang")]


def test_an_account_that_comes_back_under_another_name_is_another_s() -> None:
    left = NOW - timedelta(days=90)
    have = stored("1001 张三", accounts={"zhang": Account("1001", "zhang", left)}, p1001={"disabled_at": left})
    assert "换了姓名" in difference(have, member("zhang", "张弓")).problems[0].message
    back = difference(have, member("zhang", "张三"))
    assert links(back) == [("back", "zhang", "1001")]
    assert told(back) == [("person", "enable", "1001")]


def test_who_holds_a_system_role_is_not_disabled_but_told() -> None:
    accounts = {"zhang": Account("1001", "zhang", None), "li": Account("1002", "li", None)}
    have = replace(stored("1001 张三", "1002 李四", accounts=accounts), officers=frozenset({"1001"}))
    plan = compare(have, Snapshot(gone=frozenset({"zhang", "li"})), NOW)
    assert links(plan) == [("vanish", "li", "1002"), ("vanish", "zhang", "1001")]
    assert told(plan) == [("person", "disable", "1002")]
    assert [(problem.about, "系统角色" in problem.message) for problem in plan.problems] == [("职工张三（1001）", True)]


def test_whom_the_hospital_has_disabled_stays_so() -> None:
    left = NOW - timedelta(days=90)
    have = stored("1001 张三", accounts={"zhang": Account("1001", "zhang", None)}, p1001={"disabled_at": left})
    plan = difference(have, member("zhang", "张三"))
    assert told(plan) == []
    assert "仍是企业微信成员" in plan.problems[0].message


def test_departments_alike_are_told_apart_by_their_place() -> None:
    have = stored("1001 张三")
    have.org.departments.add(["EK1", "WK1"])
    for code, above in (("EK1", "EK"), ("WK1", "WK")):
        have.org.departments.stored[code] = {
            **have.org.departments.stored["EK"], "name": "护理组", "parent_id": have.org.departments.ids[above],
        }  # fmt: skip
    nursing = (Party(4, "护理组", 2, 0), Party(5, "护理组", 3, 0))
    plan = difference(have, member("1001", "张三"), departments=(ROOT, WARD, OTHER, *nursing))
    assert plan.departments == {2: "EK", 3: "WK", 4: "EK1", 5: "WK1"}
    lost = difference(stored_twins(), member("1001", "张三"), departments=(ROOT, Party(9, "护理组", 1, 0)))
    assert lost.departments == {}
    assert "2 个同名部门" in lost.problems[0].message


def stored_twins() -> Stored:
    have = stored("1001 张三")
    for row in have.org.departments.stored.values():
        row["name"] = "护理组"
    return have


def test_what_lies_too_deep_is_part_of_the_third_level() -> None:
    deep = (Party(4, "一病区", 2, 0), Party(5, "甲组", 4, 0), Party(6, "一小组", 5, 0))
    plan = difference(stored("1001 张三"), member("1001", "张三", 6), departments=(ROOT, WARD, *deep))
    assert plan.departments == {2: "EK", 4: "WX4", 5: "WX5"}
    (moved,) = (change for change in plan.changes if change.kind == "person")
    assert moved.fields == (("部门", "儿科", "甲组"),)


def test_a_leader_becomes_head_where_we_have_another() -> None:
    have = stored("1001 张三", "1002 李四")
    have.org.departments.stored["EK"]["head_id"] = have.org.people.ids["1001"]
    second = member("1002", "李四", leads=frozenset({2}), orders=(5,))
    plan = difference(have, member("1001", "张三"), second)
    assert [change.fields for change in plan.changes] == [(("负责人", "张三", "李四"),)]
    both = difference(have, member("1001", "张三", leads=frozenset({2}), orders=(1,)), second)
    assert both.org.departments.wanted["EK"]["head_id"] == have.org.people.ids["1001"]  # ours is one of them


def test_a_place_with_a_post_of_its_own_is_the_hospital_s() -> None:
    have = stored("1001 张三")
    have.org.stored_places = {"1001": {"WK": "质控员"}}
    assert told(difference(have, member("1001", "张三", 2))) == []
    have.org.stored_places = {"1001": {"WK": ""}}
    (change,) = difference(have, member("1001", "张三", 2)).changes
    assert change.fields == (("兼职", "外科", ""),)
