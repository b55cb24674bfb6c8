"""Reconciliations on their way: caps, lists without keys, steps, kills, outages, nights, reports, rights."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update

from engine import clock, outbox
from engine.bpm.models import ActionLog, Instance
from engine.connectors.oa import loading, people, reconciling
from engine.connectors.oa.adapters.protocol import State, Unknown
from engine.connectors.oa.models import OACheck, OAFinding, OAItem, OALoad
from engine.errors import Conflict, Forbidden, NotFound
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox import Outbox
from tests.dsl import Bpm
from tests.engine.connectors.nights import ALL, HEAD, SURGEON, Night, _ekp, night  # noqa: F401
from tests.factories.oa import Line, Shelf, connected
from tests.factories.outbox import NOON

pytestmark = pytest.mark.backend("sqlite", "postgresql")


def test_repairs_end_at_the_cap(bpm: Bpm) -> None:
    with night(bpm, repairs=3) as found:
        for _ in range(5):
            bpm.start("p", "nurse")
        found.shelf.lines.clear()
        report = found.check(repair=True)
        assert (report.missing, report.repaired, report.capped, report.left) == (10, 3, 7, 7)
        assert len(found.shelf.lines) == 3
        left = [found.check(repair=True).left for _ in range(3)]
        assert left == [4, 1, 0]


def test_lists_without_keys_are_compared_as_often_as_each_is_there(bpm: Bpm) -> None:
    with night(bpm, Shelf(keys=False)) as found:
        stories = [bpm.start("p", "nurse") for _ in range(3)]
        assert found.found() == []
        found.shelf.forget(key=found.item(stories[0], "surgeon").hex)
        report = found.check(repair=True)
        [told] = report.differences
        assert (told.kind, told.item_id, told.result) == ("missing", None, "repaired")
        assert "分不出是哪条" in told.detail
        assert report.repaired == 1
        assert found.shelf.open(SURGEON) == ["a"] * 3
        assert found.found() == []


def test_of_many_that_look_alike_each_that_is_missing_is_one_difference_that_is_mended(bpm: Bpm) -> None:
    with night(bpm, Shelf(keys=False)) as found:
        stories = [bpm.start("p", "nurse") for _ in range(6)]
        for story in stories[1:5]:
            found.shelf.forget(key=found.item(story, "surgeon").hex)
        told = found.check()
        assert (told.missing, told.unable, told.repaired, told.left) == (4, 0, 0, 4)
        mended = found.check(repair=True)
        assert (mended.missing, mended.repaired, mended.unable, mended.capped, mended.left) == (4, 4, 0, 0, 0)
        assert found.shelf.open(SURGEON) == ["a"] * 6
        assert found.found() == []


def test_what_looks_alike_and_is_capped_is_mended_by_the_next_ones(bpm: Bpm) -> None:
    with night(bpm, Shelf(keys=False), repairs=1) as found:
        stories = [bpm.start("p", "nurse") for _ in range(5)]
        for story in stories[2:4]:
            found.shelf.forget(key=found.item(story, "surgeon").hex)
        results = [found.check(repair=True) for _ in range(3)]
        assert (results[0].missing, results[0].repaired, results[0].capped) == (2, 1, 1)
        assert results[-1].left == 0
        assert found.shelf.open(SURGEON) == ["a"] * 5


@pytest.mark.parametrize("apart", [[0, 1.8], [0.9, 1.9, 2.9], [0.1, 0.2, 1.9, 2.0, 3.8]], ids=str)
def test_what_was_opened_at_nearly_the_same_time_is_told_apart(bpm: Bpm, apart: list[float]) -> None:
    """The list comes newest first, in whole seconds."""
    with night(bpm, Shelf(keys=False)) as found:
        start = clock.now()
        for seconds in apart:
            clock.freeze(start + timedelta(seconds=seconds))
            bpm.start("p", "nurse")
        found.shelf.lines = [
            replace(each, received_at=each.received_at.replace(microsecond=0)) for each in reversed(found.shelf.lines)
        ]
        assert found.found() == []


def test_of_two_that_look_alike_the_one_that_is_shown_otherwise_is_told(bpm: Bpm) -> None:
    with night(bpm, Shelf(keys=False)) as found:
        first = bpm.start("p", "nurse")
        clock.freeze(clock.now() + timedelta(seconds=1.8))
        bpm.start("p", "nurse")
        wrong = found.item(first, "surgeon")
        found.shelf.change({"key": wrong.hex}, received_at=NOON - timedelta(days=1))
        [told] = found.check(repair=True).differences
        assert (told.kind, told.item_id, told.result) == ("stale", wrong, "repaired")
        assert found.found() == []


def test_a_ghost_without_a_key_goes_with_what_may_have_left_it(bpm: Bpm) -> None:
    with night(bpm, Shelf(keys=False)) as found:
        story = bpm.start("p", "nurse").approve("head_nurse")
        found.shelf.change({"key": found.item(story, "head_nurse").hex}, state=State.TODO)
        found.shelf.lines.append(Line("", HEAD, State.TODO, "谁也不认识", "审批", NOON))
        assert sorted(found.found(repair=True)) == [
            ("ghost", "theirs", HEAD, "repaired"),
            ("ghost", "theirs", HEAD, "unable"),
        ]
        assert found.shelf.open(HEAD) == ["审批"]
        [told] = found.check().differences
        assert "请 OA 管理员" in told.detail


def test_where_lists_cannot_be_read_the_report_says_so_and_all_is_put_again(bpm: Bpm) -> None:
    with night(bpm, Shelf(reads_back=False), repairs=3) as found:
        for _ in range(2):
            bpm.start("p", "nurse")
        found.shelf.lines.clear()
        report = found.check(repair=True)
        assert (report.total, report.people > 0) == (0, True)
        assert "不能读回" in report.reason
        assert "重新推送了 3 条" in report.reason
        assert (len(found.shelf.lines), found.shelf.asked) == (3, [])
        found.check(repair=True)  # what was put longest ago comes first
        assert len({each.key for each in found.shelf.lines}) == 4
        assert all(todo.quiet for todo, _ in found.shelf.puts[4:])


def test_it_is_done_in_steps_that_others_may_come_between(ekp: Night) -> None:
    with ekp.db.unit_of_work() as session:
        session.execute(update(Person).values(disabled_at=None))  # all who work there
    ekp.bpm.start("p", "nurse")
    ekp.shelf.asked.clear()  # of the reconciliation that was before
    check = ekp.begin(by="nightly")
    [row] = outbox.lease(ekp.db, "one", 1, "oa.ekp.aside")
    assert outbox.run(ekp.db, row) == "later"
    report = ekp.report(check)
    assert (report.state, report.people) == ("running", 50)
    ekp.bpm.work()
    report = ekp.report(check)
    assert report.state == "done"
    assert report.people > 1000  # everybody who may have an account there, at night
    assert len(ekp.shelf.asked) == len(set(ekp.shelf.asked)), "nobody's list is read twice"


def test_a_worker_that_is_killed_is_followed_by_another_where_it_was(ekp: Night) -> None:
    for _ in range(2):
        ekp.bpm.start("p", "nurse")
    ekp.shelf.lines.clear()
    clock.freeze(clock.now() + timedelta(minutes=10))
    check = ekp.begin()
    [slow] = outbox.lease(ekp.db, "slow", 1, "oa.ekp.aside")
    clock.freeze(clock.now() + timedelta(seconds=16))  # its lease is over
    ekp.bpm.work()
    assert ekp.report(check).missing == 4
    assert outbox.run(ekp.db, slow) == "lost" or ekp.report(check).missing == 4
    with ekp.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(OAFinding)) == 4


def test_two_workers_at_one_reconciliation_find_each_difference_once(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.lines.clear()
    clock.freeze(clock.now() + timedelta(minutes=10))
    check = ekp.begin()
    [slow] = outbox.lease(ekp.db, "slow", 1, "oa.ekp.aside")

    def overtaken() -> None:
        clock.freeze(clock.now() + timedelta(seconds=16))
        ekp.bpm.work()

    ekp.shelf.meanwhile.append(overtaken)
    assert outbox.run(ekp.db, slow) == "lost"
    report = ekp.report(check)
    assert (report.state, report.missing, len(report.differences)) == ("done", 2, 2)


def test_an_oa_that_is_away_is_waited_for(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.errors = [Unknown("没有回答")] * 2
    clock.freeze(clock.now() + timedelta(minutes=10))
    check = ekp.begin()
    for _ in range(8):
        ekp.bpm.work()
        clock.freeze(clock.now() + timedelta(seconds=30))
    report = ekp.report(check)
    assert (report.state, report.unread, report.total) == ("done", 0, 0)


def test_a_list_that_cannot_be_read_is_counted_and_holds_nothing_up(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.errors = [outbox.Permanent("不能读")]
    report = ekp.check()
    assert (report.state, report.unread, report.total) == ("done", 1, 0)
    assert "有 1 人的列表没有读到" in report.reason


def test_who_is_nobody_there_has_no_list(ekp: Night) -> None:
    ekp.shelf.unknown.add(CAST["seal_keeper"].staff_number)
    report = ekp.check(by="nightly")
    assert (report.unread, report.total) == (0, 0)


def test_what_was_open_before_is_the_first_loads(bpm: Bpm) -> None:
    clock.freeze(NOON)
    bpm.deploy_files(ALL)
    story = bpm.start("p", "nurse")
    found = Night(bpm, Shelf())
    with connected(bpm.db, found.connection):
        report = found.check(repair=True)
        assert (report.total, report.items) == (0, 2)
        assert "另有 2 条待办在接入之前就有" in report.reason
        with bpm.db.unit_of_work() as session:
            loading.start(session, None, found.connection)
        loading.top_up(bpm.db)
        assert found.check().total == 0
        loading.top_up(bpm.db)
        assert found.check().reason == ""
        found.lose(found.item(story, "surgeon"))
        assert found.found() == [("missing", "ours", SURGEON, "")]


def test_one_at_a_time_and_one_that_is_stuck_gives_way(ekp: Night) -> None:
    stuck = ekp.begin()
    with pytest.raises(Conflict, match="正在对账"):
        ekp.begin()
    with ekp.db.unit_of_work() as session:
        session.execute(delete(Outbox).where(Outbox.topic == "check"))
    ekp.check()
    assert (ekp.report(stuck).state, ekp.report(stuck).reason[:2]) == ("failed", "中断")


def test_a_defect_ends_it_with_a_reason(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    clock.freeze(clock.now() + timedelta(minutes=10))
    check = ekp.begin()
    ekp.shelf.errors = [ValueError("defect")] * 100
    for _ in range(12):
        ekp.bpm.work()
        clock.freeze(clock.now() + timedelta(hours=2))
    report = ekp.report(check)
    assert report.state == "failed"
    assert report.reason.startswith("ValueError")


def test_only_system_admins_reconcile_and_those_who_oversee_read(ekp: Night) -> None:
    for who in ("process_admin", "auditor", "nurse"):
        with pytest.raises(Forbidden):
            ekp.begin(actor=who)
    check = ekp.begin(repair=True, by="person", actor="system_admin")
    ekp.bpm.work()
    with ekp.db.reading() as session:
        for who in ("process_admin", "auditor", "system_admin"):
            viewer = ekp.bpm.actor(who)
            assert reconciling.report(session, viewer, check).started_by == ekp.bpm.actor("system_admin").name
            latest = reconciling.latest(session, viewer, "ekp")
            assert latest is not None
            assert latest.id == check
            assert len(reconciling.checks(session, viewer, "ekp")) == 2
        nurse = ekp.bpm.actor("nurse")
        for ask in (reconciling.latest, reconciling.checks):
            with pytest.raises(Forbidden):
                ask(session, nurse, "ekp")
        with pytest.raises(Forbidden):
            reconciling.report(session, nurse, check)
        with pytest.raises(NotFound):
            reconciling.report(session, None, uuid.uuid4())
        [detail] = session.scalars(select(ActionLog.detail).where(ActionLog.actor_id == ekp.bpm.person("system_admin")))
    assert '"repair":true' in detail


def test_the_report_in_plain_values(ekp: Night) -> None:
    story = ekp.bpm.start("p", "nurse")
    ekp.shelf.forget(account=HEAD)
    told = ekp.check(repair=True).json()
    assert {"id", "site", "state", "by", "repair", "started_at", "ended_at", "people", "unread", "items"} <= told.keys()
    assert (told["site"], told["missing"], told["ghost"], told["stale"], told["left"]) == ("ekp", 1, 0, 0, 0)
    assert told["differences"] == [
        {
            "kind": "missing", "side": "theirs", "item_id": str(ekp.item(story, "head_nurse")), "number": HEAD,
            "person": ekp.bpm.actor("head_nurse").name, "account": HEAD, "title": story.instance.title,
            "detail": "a：OA 的列表里没有", "result": "repaired",
        }
    ]  # fmt: skip


def test_at_three_each_site_is_reconciled_once_and_mended(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.forget(account=HEAD)
    three = NOON.replace(hour=19) + timedelta(days=1)  # 3:00 in Shanghai
    for hour in (18, 19, 19, 20, 21, 22):
        clock.freeze(three.replace(hour=hour))
        reconciling.nightly(ekp.db)
        ekp.bpm.work()
    with ekp.db.reading() as session:
        nights = session.scalars(select(OACheck).where(OACheck.by == "nightly")).all()
        assert [(n.started_at, n.state, n.missing, n.repaired) for n in nights] == [(three, "done", 1, 1)]
        assert session.scalars(select(ActionLog.verb).where(ActionLog.verb == "oa_check")).all() == ["oa_check"]
    assert ekp.shelf.open(HEAD) == ["a"]


def test_a_site_may_keep_its_nights_to_looking(bpm: Bpm) -> None:
    with night(bpm, nightly_repair=False) as found:
        bpm.start("p", "nurse")
        found.shelf.lines.clear()
        clock.freeze(NOON.replace(hour=20) + timedelta(days=1))
        reconciling.nightly(bpm.db)
        bpm.work()
        assert found.shelf.lines == []


def test_reports_and_what_is_long_over_are_forgotten_after_a_while(ekp: Night) -> None:
    over = ekp.bpm.start("p", "nurse").approve("head_nurse").approve("surgeon").approve("archivist")
    open_ = ekp.bpm.start("p", "nurse").approve("head_nurse")
    stuck = ekp.bpm.start("p", "nurse").approve("head_nurse").approve("surgeon").approve("archivist")
    with ekp.db.reading() as session:
        assert session.get_one(Instance, over.id).ended_at is not None
    ekp.change(ekp.item(stuck, "archivist"), shown="todo")
    ekp.check()
    clock.freeze(clock.now() + timedelta(days=91))
    last = ekp.check()
    while reconciling.purge(ekp.db, clock.now() - timedelta(days=90), 2):
        pass
    with ekp.db.reading() as session:
        assert list(session.scalars(select(OACheck.id))) == [last.id]
        kept = set(session.scalars(select(OAItem.instance_id)))
        assert len(list(session.scalars(select(OAItem).where(OAItem.instance_id == stuck.id)))) == 1
        assert {finding.check_id for finding in session.scalars(select(OAFinding))} == {last.id}
    assert kept == {open_.id, stuck.id}


def test_a_site_that_does_not_mirror_is_not_reconciled(bpm: Bpm) -> None:
    clock.freeze(NOON)
    found = Night(bpm, Shelf(), mirror=False)
    with connected(bpm.db, found.connection), pytest.raises(Conflict, match="无需"):
        found.begin()


def test_an_account_that_was_set_wrong_is_found_in_the_old_list(ekp: Night) -> None:
    """Moved while the OA was told late: the old list still shows it, and loses it by the next reconciliation."""
    ekp.bpm.start("p", "nurse")
    mine = next(each for each in ekp.shelf.lines if each.account == HEAD)
    with ekp.db.unit_of_work() as session:
        people.set_account(session, None, ekp.connection, HEAD, "hunurse")
    ekp.bpm.work()
    assert ekp.shelf.open("hunurse") == ["a"]
    ekp.shelf.lines.append(Line(mine.key, SURGEON, State.TODO, mine.title, mine.node, mine.received_at))
    assert ekp.found(repair=True) == [("ghost", "theirs", SURGEON, "repaired")]
    with ekp.db.reading() as session:
        assert {load.state for load in session.scalars(select(OALoad))} == {"done"}
