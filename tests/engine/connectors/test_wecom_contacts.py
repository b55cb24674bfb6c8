"""People in step with WeCom: who is who, what differs, what is written, and what never is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from api.app import create_app
from engine import clock, outbox
from engine.bpm.models import ActionLog
from engine.connectors.wecom import accounts, install
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.contacts import events, syncing
from engine.connectors.wecom.contacts.difference import Snapshot
from engine.connectors.wecom.models import WeComAccount, WeComCallback, WeComDepartment
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Base, Database
from engine.errors import Conflict, Forbidden
from engine.org import roles, staff_writing
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, SYSTEM_ADMIN
from engine.org.models import Department, Membership, Person
from engine.org.own import Own, set_own
from engine.org.queries import actor_for, search_people
from engine.org.staff_writing import Report, Wanted
from engine.outbox import Permanent
from engine.settings import Settings
from sandbox.serving import serving
from sandbox.wecom.records import Member as SandboxMember
from sandbox.wecom.server import Running

assert events  # importing it registers its function
NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)

# -- with the client and the stand-in ---------------------------------------------------------------------------------


@pytest.fixture
def stand_in(wecom_sandbox: Running) -> Iterator[Running]:
    """WeCom's stand-in with the demo hospital's staff; the clock goes on afterwards."""
    yield wecom_sandbox
    clock.freeze(None)


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
            if name != "outbox_channel"  # the calls to WeCom are counted there
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
    plan = syncing.look(hospital_db, None)
    assert everything(hospital_db) == before  # to look writes nothing
    assert len(plan.links) == 1588  # all but the twelve who have left
    assert plan.problems == []
    assert {change.verb for change in plan.changes} <= {"update"}

    calls = len(stand_in.state.calls)
    _, done = syncing.sync(hospital_db, None, by="command")
    departments = len(stand_in.state.departments)
    assert len(stand_in.state.calls) - calls <= departments + 4  # one each, the departments, the ids, a token
    assert (done.linked, done.created, done.disabled) == (1588, 0, 0)
    with hospital_db.reading() as session:
        assert session.scalar(select(func.count()).select_from(WeComAccount)) == 1588
        assert session.scalar(select(func.count()).select_from(WeComDepartment)) == departments - 1
    again, done = syncing.sync(hospital_db, None, by="command")
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
    plan, done = syncing.sync(hospital_db, None, by="command")
    after = everything(hospital_db)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"wecom_account", "wecom_department", "action_log"}
    assert {change.code for change in plan.changes} >= {"10030", "zhao6"}  # told all the same
    assert done.created == done.updated == 0
    assert any("单小燕" in problem.about for problem in plan.problems)  # the number with another name
    assert account(hospital_db, "10027") is None


def test_what_wecom_leads(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    ward = stand_in.state.members["10027"].departments[0]
    stand_in.state.members["10027"].name = "单小燕"
    stand_in.state.members["zhao6"] = SandboxMember("zhao6", "赵六", [ward, 3], position="护师", mobile="139 0000 0006")
    stand_in.state.departments[ward].name = "儿童医学科"
    _, done = syncing.sync(hospital_db, None, by="command")
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
    syncing.sync(hospital_db, None, by="command")
    gone = stand_in.state.members.pop("10100")
    barred = stand_in.state.members["10101"]
    barred.status = 2
    _, done = syncing.sync(hospital_db, None, by="nightly")
    assert (done.vanished, done.disabled) == (2, 2)
    assert person(hospital_db, "10100").disabled_at is not None  # still there, as a row
    syncing.sync(hospital_db, None, by="nightly")  # once more changes nothing
    stand_in.state.members["10100"] = gone
    _, done = syncing.sync(hospital_db, None, by="nightly")
    assert done.enabled == 1
    assert person(hospital_db, "10100").disabled_at is None
    assert person(hospital_db, "10101").disabled_at is not None
    found = account(hospital_db, "10100")
    assert found is not None
    assert found.vanished_at is None


def test_who_comes_back_or_is_another_member_is_verified_anew(hospital_db: Database, stand_in: Running) -> None:
    """WeCom's administrator can give a userid, or a name and mobile, to whomever they like."""
    connect(hospital_db, stand_in, "accounts")
    syncing.sync(hospital_db, None, by="command")

    def joined(number: str) -> bool:
        found = account(hospital_db, number)
        assert found is not None
        return found.joined_at is not None

    with hospital_db.unit_of_work() as session:
        for number in ("10100", "10101", "10102"):
            session.get_one(WeComAccount, person(hospital_db, number).id).joined_at = NOW
    members = stand_in.state.members
    gone, other = members.pop("10100"), members.pop("10101")
    syncing.sync(hospital_db, None, by="nightly")
    assert not joined("10100")
    members["10100"] = gone
    mobile = person(hospital_db, "10101").mobile
    members["mallory"] = SandboxMember("mallory", other.name, other.departments, mobile=mobile)
    for agent in stand_in.state.agents.values():
        agent.sensitive = True  # an application that is told mobiles
    syncing.sync(hospital_db, None, by="nightly")
    found = account(hospital_db, "10101")
    assert found is not None
    assert found.userid == "mallory"
    assert [joined(number) for number in ("10100", "10101", "10102")] == [False, False, True]


def test_what_the_hospital_disabled_is_not_enabled_by_a_return(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        session.get_one(Person, person(hospital_db, "10100").id).disabled_at = NOW
    gone = stand_in.state.members.pop("10100")
    syncing.sync(hospital_db, None, by="nightly")
    stand_in.state.members["10100"] = gone
    plan, _ = syncing.sync(hospital_db, None, by="nightly")
    assert person(hospital_db, "10100").disabled_at == NOW
    assert any("仍是企业微信成员" in problem.message for problem in plan.problems)


def test_nobody_is_disabled_by_an_empty_answer(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    before = everything(hospital_db)
    stand_in.state.members.clear()
    for confirmed in (0, 5_000):
        with pytest.raises(Conflict) as refusal:
            syncing.sync(hospital_db, None, by="command", confirmed=confirmed)
        assert refusal.value.code == "contacts_empty"
    assert everything(hospital_db) == before


def test_too_many_must_be_confirmed(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    for key in sorted(stand_in.state.members)[-200:]:
        del stand_in.state.members[key]
    plan = syncing.look(hospital_db, None)
    assert plan.vanishing > plan.allowed == 158
    with pytest.raises(Conflict, match="超过 158 人") as refusal:
        syncing.sync(hospital_db, None, by="nightly")
    assert refusal.value.code == "contacts_too_many_gone"
    assert verbs(hospital_db)[-1] == "contacts_refused"
    with pytest.raises(Conflict):
        syncing.sync(hospital_db, None, by="command", confirmed=plan.vanishing - 1)
    _, done = syncing.sync(hospital_db, None, by="command", confirmed=plan.vanishing, expected=plan.digest)
    assert done.disabled == plan.vanishing


def test_only_what_was_looked_at_is_applied(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    plan = syncing.look(hospital_db, None)
    assert syncing.look(hospital_db, None).digest == plan.digest
    stand_in.state.members["10027"].name = "单小燕"
    with pytest.raises(Conflict, match="再看一遍"):
        syncing.sync(hospital_db, None, by="page", expected=plan.digest)


def test_what_people_set_for_themselves_survives(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        me = actor_for(session, person(hospital_db, "10027").id)
        set_own(session, me, Own("dan xiao yan", mobile_hidden=True))
    stand_in.state.members["10027"].name = "单小燕"
    syncing.sync(hospital_db, None, by="command")
    found = person(hospital_db, "10027")
    assert (found.name, found.pinyin_override, found.mobile_hidden) == ("单小燕", "dan xiao yan", True)
    assert found.pinyin.startswith("danxiaoyan")


def test_a_narrow_scope_makes_nobody_vanish(hospital_db: Database, stand_in: Running) -> None:
    """With the secret of the contacts all ids are known, whatever the application may see."""
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    agent = next(a for a in stand_in.state.agents.values() if a.secret == stand_in.settings()["secret"])
    agent.parties = {3}
    plan = syncing.look(hospital_db, None)
    assert plan.vanishing == 0
    assert plan.unseen > 1_000


def test_only_system_admins(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    with hospital_db.reading() as session:
        nurse = actor_for(session, person(hospital_db, "10027").id)
    assert not nurse.has(SYSTEM_ADMIN)
    for act in (lambda: syncing.look(hospital_db, nurse), lambda: syncing.sync(hospital_db, nurse, by="page")):
        with pytest.raises(Forbidden):
            act()


# -- events -----------------------------------------------------------------------------------------------------------


@contextmanager
def listening(db: Database, stand_in: Running, folder: Path) -> Iterator[None]:
    """Serve our API, and let WeCom call it."""
    with serving(create_app(Settings(var=folder), db)) as url:
        stand_in.call(f"{url}/wecom/callback")
        yield


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
    syncing.sync(hospital_db, None, by="command")
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
        work(hospital_db, stand_in)  # each event has a connection of its own: told at once, they may come in any order
        tell.change_tag(number=7, name="党员", add_users=["10027"])
        results = work(hospital_db, stand_in)
        assert person(hospital_db, "zhao6").disabled_at is not None
        assert results[-1] == "ignored"

        tell.delete_department(number=900)
        work(hospital_db, stand_in)
        with hospital_db.reading() as session:
            assert session.get_one(Department, department.id).disabled_at is not None
            assert session.get(WeComDepartment, 900) is None
    plan = syncing.look(hospital_db, None)
    assert plan.empty


def test_an_event_while_the_whole_is_read_has_it_read_again(
    hospital_db: Database, stand_in: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read before the event would undo it."""
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    asked: list[Snapshot] = []
    fetch = syncing.fetch

    def slow(wecom: WeCom, *more: Any) -> Snapshot:
        snapshot = fetch(wecom, *more)
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

    monkeypatch.setattr(syncing, "fetch", slow)
    syncing.sync(hospital_db, None, by="nightly")
    assert len(asked) == 2
    assert person(hospital_db, "10027").name == "单小燕"


def test_many_who_vanish_one_by_one_are_stopped(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        some = session.scalars(select(WeComAccount).order_by(WeComAccount.userid_key).limit(158)).all()
        for row in some:
            row.vanished_at = clock.now()
        last = session.scalars(select(WeComAccount).order_by(WeComAccount.userid_key.desc()).limit(1)).one()
        number, userid = session.get_one(Person, last.person_id).staff_number, last.userid
    del stand_in.state.members[userid.lower()]
    body = {"Event": "change_contact", "ChangeType": "delete_user", "UserID": userid}
    with pytest.raises(Permanent, match="没有同步"):
        events.changed(hospital_db, body)
    assert person(hospital_db, number).disabled_at is None


def test_the_night_counts_who_vanished_in_the_day_before_it(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    with hospital_db.reading() as session:
        here = sorted(session.scalars(select(WeComAccount.userid_key)))
    for key in here[-100:]:
        del stand_in.state.members[key]
    _, done = syncing.sync(hospital_db, None, by="nightly")
    assert done.vanished == 100
    for key in here[-200:-100]:
        del stand_in.state.members[key]
    with pytest.raises(Conflict, match="将有 200 人"):
        syncing.sync(hospital_db, None, by="nightly")
    clock.freeze(clock.now() + syncing.DAY)
    _, done = syncing.sync(hospital_db, None, by="nightly")
    assert done.vanished == 100


@pytest.mark.parametrize("role", [ADMIN, SYSTEM_ADMIN, AUDITOR, DESIGNER])
def test_who_holds_a_system_role_is_left_to_a_person(hospital_db: Database, stand_in: Running, role: str) -> None:
    connect(hospital_db, stand_in)
    syncing.sync(hospital_db, None, by="command")
    with hospital_db.unit_of_work() as session:
        roles.grant(session, None, role, "10100")
    for number in ("10100", "10101"):
        del stand_in.state.members[number]
        events.changed(hospital_db, {"Event": "change_contact", "ChangeType": "delete_user", "UserID": number})
    assert person(hospital_db, "10101").disabled_at is not None
    assert person(hospital_db, "10100").disabled_at is None
    left = account(hospital_db, "10100")
    assert left is not None
    assert left.vanished_at is not None  # nobody comes in by the userid meanwhile
    plan, done = syncing.sync(hospital_db, None, by="nightly")
    assert (done.disabled, person(hospital_db, "10100").disabled_at) == (0, None)
    assert any("10100" in problem.about for problem in plan.problems)


def test_who_comes_in_while_it_is_written_keeps_their_account(
    hospital_db: Database, stand_in: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry takes no lock on the organisation."""
    connect(hospital_db, stand_in)
    write = staff_writing.write

    def entered(session: Session, wanted: Wanted) -> Report:
        nurse = session.scalars(select(Person).where(Person.staff_number == "10027")).one()
        accounts.open_account(session, nurse, "10027", "staff_number")
        return write(session, wanted)

    monkeypatch.setattr(staff_writing, "write", entered)
    syncing.sync(hospital_db, None, by="command")
    mine = account(hospital_db, "10027")
    assert mine is not None
    assert mine.joined_at is not None


def test_once_a_night_by_the_worker(hospital_db: Database, stand_in: Running) -> None:
    connect(hospital_db, stand_in)

    def night(day: int, hour: int) -> list[str]:
        clock.freeze(datetime(2026, 3, day, hour, 30, tzinfo=clock.LOCAL))
        syncing.nightly(hospital_db)
        return [outbox.run(hospital_db, row) for row in outbox.lease(hospital_db, "w", 8)]

    assert night(2, 1) == night(2, 6) == []
    assert [night(3, 2), night(3, 2), night(3, 5)] == [["done"], [], []]
    assert verbs(hospital_db) == ["contacts_sync"]
    for member in list(stand_in.state.members)[:200]:
        del stand_in.state.members[member]
    assert night(4, 2) == ["dead"]  # nobody is disabled, and the page of what wasn't delivered says why
    assert verbs(hospital_db) == ["contacts_sync", "contacts_refused"]
    with hospital_db.reading() as session:
        letter = session.scalars(select(outbox.Outbox).where(outbox.Outbox.state == "dead")).one()
        assert "没有同步" in letter.last_error
        assert session.scalars(select(WeComAccount).where(WeComAccount.vanished_at.is_not(None))).all() == []
