"""People in step with WeCom: who is who, what differs, what is written, and what never is."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from sqlalchemy import func, select

from api.app import create_app
from engine import clock, outbox
from engine.bpm.models import ActionLog
from engine.connectors.wecom import contact_events, contacts, install
from engine.connectors.wecom.answers import Department as Party
from engine.connectors.wecom.answers import Member
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.difference import Account, Plan, Snapshot, Stored
from engine.connectors.wecom.matching import compare
from engine.connectors.wecom.models import WeComAccount, WeComCallback, WeComDepartment
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Base, Database
from engine.errors import Conflict, Forbidden
from engine.org.actor import SYSTEM_ADMIN
from engine.org.demo import roster
from engine.org.models import Department, Membership, Person
from engine.org.own import Own, set_own
from engine.org.queries import actor_for, search_people
from engine.org.staff_writing import Table, Wanted
from engine.outbox import Permanent
from engine.settings import Settings
from sandbox.wecom.corp import corp
from sandbox.wecom.records import Member as SandboxMember
from sandbox.wecom.server import Running, running

assert contact_events  # importing it registers its function
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)

# -- the difference, from values alone --------------------------------------------------------------------------------

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


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([member("1001", "李四")], "姓名不同"),
        ([member("x", "钱七", mobile="13900000001")], "姓名不同"),
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


# -- with the client and the stand-in ---------------------------------------------------------------------------------


@pytest.fixture
def stand_in() -> Iterator[Running]:
    """WeCom's stand-in with the demo hospital's staff."""
    with running(corp(*roster())) as found:
        yield found


def connect(db: Database, stand_in: Running, contacts_: str = "lead", **more: Any) -> WeCom:
    wecom = install(db, WeComSettings(**{**stand_in.settings(), "contacts": contacts_, **more}), "http://piyue.test")
    assert wecom is not None
    return wecom


def everything(db: Database) -> dict[str, list[Any]]:
    """Return the rows of all tables."""
    with db.reading() as session:
        return {
            name: sorted(map(repr, session.execute(select(table)).all()))
            for name, table in Base.metadata.tables.items()
        }


def person(db: Database, number: str) -> Person:
    with db.reading() as session:
        return session.scalars(select(Person).where(Person.staff_number == number)).one()


def account(db: Database, number: str) -> WeComAccount | None:
    with db.reading() as session:
        return session.get(WeComAccount, person(db, number).id)


def verbs(db: Database) -> list[str]:
    with db.reading() as session:
        return list(
            session.scalars(select(ActionLog.verb).where(ActionLog.verb.startswith("contacts")).order_by(ActionLog.id))
        )


def test_1600_members_and_a_second_run_that_finds_nothing(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    before = everything(hospital_db)
    plan = contacts.look(hospital_db, None)
    assert everything(hospital_db) == before  # to look writes nothing
    assert len(plan.links) == 1588  # all but the twelve who have left
    assert plan.problems == []
    assert {change.verb for change in plan.changes} <= {"update"}

    calls = len(stand_in.state.calls)
    _, done = contacts.sync(hospital_db, None, by="command")
    departments = len(stand_in.state.departments)
    assert len(stand_in.state.calls) - calls <= departments + 4  # one each, the departments, the ids, a token
    assert (done.linked, done.created, done.disabled) == (1588, 0, 0)
    with hospital_db.reading() as session:
        assert session.scalar(select(func.count()).select_from(WeComAccount)) == 1588
        assert session.scalar(select(func.count()).select_from(WeComDepartment)) == departments - 1
    again, done = contacts.sync(hospital_db, None, by="command")
    assert again.empty
    assert again.changes == ()
    assert done.linked == 0
    assert verbs(hospital_db) == ["contacts_sync", "contacts_sync"]


def test_without_leading_only_accounts_are_written(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in, "accounts")
    stand_in.state.members["10027"].name = "单小燕"
    stand_in.state.members["10030"].position = "院长助理"
    stand_in.state.members["zhao6"] = SandboxMember("zhao6", "赵六", [3])
    before = everything(hospital_db)
    plan, done = contacts.sync(hospital_db, None, by="command")
    after = everything(hospital_db)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"wecom_account", "wecom_department", "action_log"}
    assert {change.code for change in plan.changes} >= {"10030", "zhao6"}  # told all the same
    assert done.created == done.updated == 0
    assert any("单小燕" in problem.about for problem in plan.problems)  # the number with another name
    assert account(hospital_db, "10027") is None


def test_what_wecom_leads(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    ward = stand_in.state.members["10027"].departments[0]
    stand_in.state.members["10027"].name = "单小燕"
    stand_in.state.members["zhao6"] = SandboxMember("zhao6", "赵六", [ward, 3], position="护师", mobile="139 0000 0006")
    stand_in.state.departments[ward].name = "儿童医学科"
    _, done = contacts.sync(hospital_db, None, by="command")
    assert (done.created, done.updated) == (1, 2)
    assert person(hospital_db, "10027").name == "单小燕"
    new = person(hospital_db, "zhao6")
    assert (new.name, new.post, new.mobile, new.pinyin.split()[0]) == ("赵六", "护师", "", "zhaoliu")
    with hospital_db.reading() as session:
        department = session.get_one(Department, new.department_id)
        assert department.name == "儿童医学科"
        assert session.scalars(select(Membership.department_id).where(Membership.person_id == new.id)).one()
        viewer = actor_for(session, new.id)
        assert [p.staff_number for p in search_people(session, viewer, "shanxiaoyan").people] == ["10027"]


def test_vanished_and_back(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    gone = stand_in.state.members.pop("10100")
    barred = stand_in.state.members["10101"]
    barred.status = 2
    _, done = contacts.sync(hospital_db, None, by="nightly")
    assert (done.vanished, done.disabled) == (2, 2)
    assert person(hospital_db, "10100").disabled_at is not None  # still there, as a row
    contacts.sync(hospital_db, None, by="nightly")  # once more changes nothing
    stand_in.state.members["10100"] = gone
    _, done = contacts.sync(hospital_db, None, by="nightly")
    assert done.enabled == 1
    assert person(hospital_db, "10100").disabled_at is None
    assert person(hospital_db, "10101").disabled_at is not None
    found = account(hospital_db, "10100")
    assert found is not None
    assert found.vanished_at is None


def test_what_the_hospital_disabled_is_not_enabled_by_a_return(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        session.get_one(Person, person(hospital_db, "10100").id).disabled_at = NOW
    gone = stand_in.state.members.pop("10100")
    contacts.sync(hospital_db, None, by="nightly")
    stand_in.state.members["10100"] = gone
    plan, _ = contacts.sync(hospital_db, None, by="nightly")
    assert person(hospital_db, "10100").disabled_at == NOW
    assert any("仍是企业微信成员" in problem.message for problem in plan.problems)


def test_nobody_is_disabled_by_an_empty_answer(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    before = everything(hospital_db)
    stand_in.state.members.clear()
    for confirmed in (0, 5_000):
        with pytest.raises(Conflict) as refusal:
            contacts.sync(hospital_db, None, by="command", confirmed=confirmed)
        assert refusal.value.code == "contacts_empty"
    assert everything(hospital_db) == before


def test_too_many_must_be_confirmed(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    for key in sorted(stand_in.state.members)[-200:]:
        del stand_in.state.members[key]
    plan = contacts.look(hospital_db, None)
    assert plan.vanishing > plan.allowed == 158
    with pytest.raises(Conflict, match="超过 158 人") as refusal:
        contacts.sync(hospital_db, None, by="nightly")
    assert refusal.value.code == "contacts_too_many_gone"
    assert verbs(hospital_db)[-1] == "contacts_refused"
    with pytest.raises(Conflict):
        contacts.sync(hospital_db, None, by="command", confirmed=plan.vanishing - 1)
    _, done = contacts.sync(hospital_db, None, by="command", confirmed=plan.vanishing, expected=plan.digest)
    assert done.disabled == plan.vanishing


def test_only_what_was_looked_at_is_applied(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    plan = contacts.look(hospital_db, None)
    assert contacts.look(hospital_db, None).digest == plan.digest
    stand_in.state.members["10027"].name = "单小燕"
    with pytest.raises(Conflict, match="再看一遍"):
        contacts.sync(hospital_db, None, by="page", expected=plan.digest)


def test_what_people_set_for_themselves_survives(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        me = actor_for(session, person(hospital_db, "10027").id)
        set_own(session, me, Own("dan xiao yan", mobile_hidden=True))
    stand_in.state.members["10027"].name = "单小燕"
    contacts.sync(hospital_db, None, by="command")
    found = person(hospital_db, "10027")
    assert (found.name, found.pinyin_override, found.mobile_hidden) == ("单小燕", "dan xiao yan", True)
    assert found.pinyin.startswith("danxiaoyan")


def test_a_narrow_scope_makes_nobody_vanish(hospital_db: Database, stand_in: Running) -> None:
    """With the secret of the contacts all ids are known, whatever the application may see."""
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    agent = next(a for a in stand_in.state.agents.values() if a.secret == stand_in.settings()["secret"])
    agent.parties = {3}
    plan = contacts.look(hospital_db, None)
    assert plan.vanishing == 0
    assert plan.unseen > 1_000


def test_only_system_admins(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    with hospital_db.reading() as session:
        nurse = actor_for(session, person(hospital_db, "10027").id)
    assert not nurse.has(SYSTEM_ADMIN)
    for act in (lambda: contacts.look(hospital_db, nurse), lambda: contacts.sync(hospital_db, nurse, by="page")):
        with pytest.raises(Forbidden):
            act()


# -- events -----------------------------------------------------------------------------------------------------------


@contextmanager
def listening(db: Database, stand_in: Running, folder: Path) -> Iterator[None]:
    """Serve our API, and let WeCom call it."""
    config = uvicorn.Config(create_app(Settings(var=folder), db), log_config=None, access_log=False, port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    stand_in.call(f"http://127.0.0.1:{port}/wecom/callback")
    yield
    server.should_exit = True
    thread.join()


def work(db: Database, stand_in: Running) -> list[str]:
    """Wait until WeCom has called, handle it, and return what came of it."""
    assert all(event.done.wait(10) and event.delivered for event in stand_in.state.events)
    while leased := outbox.lease(db, "test", 100):
        for row in leased:
            outbox.run(db, row)
    with db.reading() as session:
        return list(session.scalars(select(WeComCallback.result).order_by(WeComCallback.id)))


def test_events_in_order(hospital_db: Database, stand_in: Running, tmp_path: Path) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    with listening(hospital_db, stand_in, tmp_path):
        tell = stand_in.control
        tell.add_department(id=900, name="互联网医院", parentid=1)
        work(hospital_db, stand_in)
        tell.add_member(userid="zhao6", name="赵六", departments=[900], leads=[900])
        work(hospital_db, stand_in)
        new = person(hospital_db, "zhao6")
        with hospital_db.reading() as session:
            department = session.get_one(Department, new.department_id)
        assert (department.code, department.head_id) == ("WX900", new.id)

        tell.change_member(userid="zhao6", changes={"userid": "ZhaoLiu", "name": "赵陆"})
        work(hospital_db, stand_in)
        found = account(hospital_db, "zhao6")
        assert found is not None
        assert (found.userid, found.userid_key, person(hospital_db, "zhao6").name) == ("ZhaoLiu", "zhaoliu", "赵陆")

        tell.delete_member(userid="ZhaoLiu")
        tell.change_tag(number=7, name="党员", add_users=["10027"])
        results = work(hospital_db, stand_in)
        assert person(hospital_db, "zhao6").disabled_at is not None
        assert results[-1] == "ignored"

        tell.delete_department(number=900)
        work(hospital_db, stand_in)
        with hospital_db.reading() as session:
            assert session.get_one(Department, department.id).disabled_at is not None
            assert session.get(WeComDepartment, 900) is None
    plan = contacts.look(hospital_db, None)
    assert plan.empty


def test_an_event_while_the_whole_is_read_has_it_read_again(
    hospital_db: Database, stand_in: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the event would undo it."""
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    asked, fetch = [], contacts.fetch

    def slow(wecom: WeCom) -> Snapshot:
        snapshot = fetch(wecom)
        if not asked:
            stand_in.state.members["10027"].name = "单小燕"
            with hospital_db.unit_of_work() as session:
                session.add(
                    WeComCallback(
                        signature="s", event_key="k", event="change_contact", body="{}", received_at=clock.now()
                    )
                )
        asked.append(snapshot)
        return snapshot

    monkeypatch.setattr(contacts, "fetch", slow)
    contacts.sync(hospital_db, None, by="nightly")
    assert len(asked) == 2
    assert person(hospital_db, "10027").name == "单小燕"


def test_many_who_vanish_one_by_one_are_stopped(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    contacts.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        some = session.scalars(select(WeComAccount).order_by(WeComAccount.userid_key).limit(158)).all()
        for row in some:
            row.vanished_at = clock.now()
        last = session.scalars(select(WeComAccount).order_by(WeComAccount.userid_key.desc()).limit(1)).one()
        number, userid = session.get_one(Person, last.person_id).staff_number, last.userid
    del stand_in.state.members[userid.lower()]
    body = {"Event": "change_contact", "ChangeType": "delete_user", "UserID": userid}
    with pytest.raises(Permanent, match="没有同步"):
        contact_events.changed(hospital_db, body)
    assert person(hospital_db, number).disabled_at is None
