"""Reconciliation: whatever differs between our rows, our record and the OA's lists is found, told and mended."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from engine import clock, outbox
from engine.bpm.models import ActionLog, Instance, WorkItem
from engine.connectors.oa import loading, people, reconciling
from engine.connectors.oa.adapters.protocol import State, Unknown
from engine.connectors.oa.models import OACheck, OAFinding, OAItem, OALoad
from engine.connectors.oa.reconciling import Report
from engine.connectors.oa.sites import Connection
from engine.errors import Conflict, Forbidden, NotFound
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox import Outbox
from tests.dsl import Bpm, Story, task
from tests.engine.bpm.contracts.kit import line
from tests.factories.oa import Line, Shelf, connected, site
from tests.factories.outbox import NOON

pytestmark = pytest.mark.backend("sqlite", "postgresql")

HEAD, SURGEON, ARCHIVIST = (CAST[who].staff_number for who in ("head_nurse", "surgeon", "archivist"))
ALL = line(
    ("a", task("a", "head_nurse", "surgeon", inner='<piyue:round policy="all"/>')), ("b", task("b", "archivist"))
)


class Night:
    """The hospital beside one OA, and reconciliations of it."""

    def __init__(self, bpm: Bpm, shelf: Shelf, **settings: Any) -> None:
        self.bpm, self.db, self.shelf = bpm, bpm.db, shelf
        self.connection = Connection(site(**settings), shelf)
        bpm.deploy_files(ALL)

    def begin(self, *, repair: bool = False, by: str = "command", actor: str | None = None) -> uuid.UUID:
        with self.db.unit_of_work() as session:
            who = self.bpm.actor(actor) if actor else None
            return reconciling.start(session, who, self.connection, repair=repair, by=by).id

    def check(self, *, repair: bool = False, by: str = "command") -> Report:
        clock.freeze(clock.now() + timedelta(minutes=10))  # what was pushed a moment ago isn't looked at
        found = self.begin(repair=repair, by=by)
        self.bpm.work()
        return self.report(found)

    def report(self, check_id: uuid.UUID) -> Report:
        with self.db.reading() as session:
            return reconciling.report(session, None, check_id)

    def found(self, **options: Any) -> list[tuple[str, str, str | None, str]]:
        """Reconcile; return (kind, side, number, result) of the differences."""
        report = self.check(**options)
        assert report.state == "done"
        kinds = [d.kind for d in report.differences]
        assert (report.missing, report.ghost, report.stale) == tuple(map(kinds.count, ("missing", "ghost", "stale")))
        return [(d.kind, d.side, d.number, d.result) for d in report.differences]

    def item(self, story: Story, who: str) -> uuid.UUID:
        return story.item(who, None, "open", "done").id

    def change(self, item: uuid.UUID, **values: Any) -> None:
        """Let our record of an item be another."""
        with self.db.unit_of_work() as session:
            session.execute(update(OAItem).where(OAItem.item_id == item).values(**values))

    def lose(self, item: uuid.UUID) -> None:
        """Let our record of an item be lost, as where a backup was restored."""
        with self.db.unit_of_work() as session:
            session.execute(delete(OAItem).where(OAItem.item_id == item))


@contextmanager
def night(bpm: Bpm, shelf: Shelf | None = None, **settings: Any) -> Iterator[Night]:
    clock.freeze(NOON)
    found = Night(bpm, shelf or Shelf(), **settings)
    with connected(bpm.db, found.connection):
        found.check()  # nothing was open before: from now on everything must be there
        yield found


@pytest.fixture
def ekp(bpm: Bpm) -> Iterator[Night]:
    with night(bpm) as found:
        yield found


def test_where_all_is_well_nothing_is_found(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.bpm.start("p", "nurse").approve("surgeon").approve("head_nurse")
    report = ekp.check()
    assert (report.state, report.total, report.left, report.items, report.unread) == ("done", 0, 0, 3, 0)
    assert report.people >= 3
    assert set(ekp.shelf.asked) >= {HEAD, SURGEON, ARCHIVIST}


def test_what_the_oa_lost_is_put_there_again_quietly(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.forget(account=HEAD)
    assert ekp.found() == [("missing", "theirs", HEAD, "")]
    assert ekp.shelf.open(HEAD) == []
    assert ekp.found(repair=True) == [("missing", "theirs", HEAD, "repaired")]
    assert ekp.shelf.open(HEAD) == ["a"]
    assert ekp.shelf.puts[-1][0].quiet
    assert ekp.found() == []


def test_a_ghost_of_what_was_handled_goes(ekp: Night) -> None:
    story = ekp.bpm.start("p", "nurse").approve("head_nurse")
    ekp.shelf.change({"key": ekp.item(story, "head_nurse").hex}, state=State.TODO)
    assert ekp.found(repair=True) == [("ghost", "theirs", HEAD, "repaired")]
    assert ekp.shelf.open(HEAD) == []
    assert ekp.found() == []


def test_a_ghost_that_nobody_here_ever_heard_of_goes_by_its_key(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.lines.append(Line(uuid.uuid4().hex, HEAD, State.TODO, "从前的", "审批", NOON))
    ekp.shelf.lines.append(Line("no-key-of-ours", HEAD, State.TODO, "别处的", "审批", NOON))
    assert ekp.found(repair=True) == [("ghost", "theirs", HEAD, "repaired"), ("ghost", "theirs", HEAD, "unable")]
    assert ekp.shelf.open(HEAD) == ["a", "审批"]
    report = ekp.check()
    assert (report.ghost, report.unable, report.left) == (1, 1, 1)


def test_a_ghost_of_an_item_whose_record_is_lost_goes_too(ekp: Night) -> None:
    story = ekp.bpm.start("p", "nurse").approve("head_nurse")
    item = ekp.item(story, "head_nurse")
    ekp.shelf.change({"key": item.hex}, state=State.TODO)
    ekp.lose(item)
    assert ekp.found(repair=True, by="nightly") == [("ghost", "theirs", HEAD, "repaired")]
    assert ekp.shelf.open(HEAD) == []


def test_what_stands_in_somebody_elses_list_goes_there_and_stays_here(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    mine = next(each for each in ekp.shelf.lines if each.account == HEAD)
    ekp.shelf.lines.append(Line(mine.key, ARCHIVIST, State.TODO, mine.title, mine.node, mine.received_at))
    ekp.bpm.start("p", "nurse").approve("surgeon").approve("head_nurse")  # the archivist has something too
    assert ekp.found(repair=True) == [("ghost", "theirs", ARCHIVIST, "repaired")]
    assert (ekp.shelf.open(HEAD), ekp.shelf.open(ARCHIVIST)) == (["a"], ["b"])
    assert ekp.found() == []


@pytest.mark.parametrize(
    "change", [{"title": "另一个标题"}, {"node": "另一个节点"}, {"state": State.READ}], ids=lambda c: next(iter(c))
)
def test_what_is_shown_otherwise_is_put_right(ekp: Night, change: dict[str, Any]) -> None:
    ekp.bpm.start("p", "nurse")
    before = sorted(ekp.shelf.lines, key=lambda each: each.key)
    ekp.shelf.change({"account": HEAD}, **change)
    assert ekp.found(repair=True) == [("stale", "theirs", HEAD, "repaired")]
    assert sorted(ekp.shelf.lines, key=lambda each: each.key) == before


def test_what_is_shown_twice_is_shown_once(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    ekp.shelf.lines.append(next(each for each in ekp.shelf.lines if each.account == HEAD))
    report = ekp.check(repair=True)
    assert [(d.kind, d.detail) for d in report.differences] == [("stale", "a：OA 的列表里有 2 条")]
    assert ekp.shelf.open(HEAD) == ["a"]


def test_a_title_that_the_oa_cut_is_no_difference(ekp: Night) -> None:
    story = ekp.bpm.start("p", "nurse")
    item = ekp.item(story, "head_nurse")
    long = "关于心血管内科购置三台十二导联心电图机及配套导联线的申请（第二次补充材料）"
    ekp.change(item, title=long)
    ekp.shelf.change({"account": HEAD}, title=long[:30] + "…")
    assert ekp.found() == []
    ekp.shelf.change({"account": HEAD}, title="关于…")
    assert ekp.found() == [("stale", "theirs", HEAD, "")]


def test_our_own_record_is_compared_with_the_rows(ekp: Night) -> None:
    """Told nothing: opened, closed and finished behind the mirror's back, and a push whose row is lost."""
    lost, closed, opened, unknown = (ekp.bpm.start("p", "nurse") for _ in range(4))
    ekp.lose(ekp.item(lost, "head_nurse"))
    ekp.shelf.forget(key=ekp.item(lost, "head_nurse").hex)
    with ekp.db.unit_of_work() as session:
        mine = update(WorkItem).where(WorkItem.id == ekp.item(closed, "head_nurse"))
        session.execute(mine.values(state="done", closed_at=clock.now(), outcome="approve"))
    ekp.change(ekp.item(opened, "head_nurse"), wanted="done", shown="done")
    ekp.change(ekp.item(unknown, "head_nurse"), sending="todo")
    found = [each for each in ekp.found(repair=True) if each[1] == "ours"]
    assert sorted(found) == [
        ("ghost", "ours", HEAD, "repaired"),
        ("missing", "ours", HEAD, "repaired"),
        ("missing", "ours", HEAD, "repaired"),
        ("stale", "ours", HEAD, "repaired"),
    ]
    assert ekp.shelf.open(HEAD) == ["a"] * 3
    assert ekp.found() == []


def test_what_is_about_to_be_pushed_is_no_difference(ekp: Night) -> None:
    story = ekp.bpm.start("p", "nurse")
    with ekp.db.unit_of_work() as session:
        outbox.pause(session, ekp.bpm.actor("process_admin"), "oa.ekp", "维护")
    story.approve("head_nurse")
    clock.freeze(clock.now() + timedelta(minutes=10))
    check = ekp.begin(repair=True)
    with ekp.db.unit_of_work() as session:
        outbox.resume(session, ekp.bpm.actor("process_admin"), "oa.ekp")
    [row] = outbox.lease(ekp.db, "test", 1, "oa.ekp.aside")
    assert outbox.run(ekp.db, row) == "later"
    assert ekp.report(check).total == 0
    ekp.bpm.work()
    assert ekp.report(check).state == "done"


@pytest.mark.parametrize("keys", [True, False])
def test_what_changes_while_a_list_is_on_its_way_is_no_difference(bpm: Bpm, keys: bool) -> None:
    with night(bpm, Shelf(keys=keys)) as found:
        bpm.start("p", "nurse")
        other = bpm.start("p", "nurse")

        def meanwhile() -> None:
            other.approve("head_nurse")  # in the list, but no more open
            bpm.start("p", "nurse")  # open, but not yet in the list

        clock.freeze(clock.now() + timedelta(minutes=10))
        check = found.begin(repair=True)
        rows = outbox.lease(found.db, "check", 1, "oa.ekp.aside")
        while HEAD not in found.shelf.asked or found.shelf.meanwhile:
            if bpm.person("head_nurse") == _next(found):
                found.shelf.meanwhile.append(meanwhile)
            outbox.run(found.db, rows[0])
            rows = outbox.lease(found.db, "check", 1, "oa.ekp.aside")
            if not rows:
                break
        for row in rows:
            outbox.run(found.db, row)
        bpm.work()
        assert found.report(check).differences == []
        assert found.shelf.open(HEAD) == ["a", "a"]
        assert found.check().total == 0


def _next(found: Night) -> uuid.UUID | None:
    """Return whom the reconciliation comes to next."""
    with found.db.reading() as session:
        after = session.scalars(select(OACheck.after).where(OACheck.state == "running")).one() or uuid.UUID(int=0)
        mine = select(OAItem.person_id).where(OAItem.person_id > after).order_by(OAItem.person_id).limit(1)
        return session.scalar(mine)


def test_an_item_of_somebody_unmapped_is_told_and_put_once_there_is_an_account(bpm: Bpm) -> None:
    with night(bpm, people="mobile") as found:
        with bpm.db.unit_of_work() as session:
            session.execute(update(Person).where(Person.staff_number == HEAD).values(mobile=""))
            session.execute(update(Person).where(Person.staff_number == SURGEON).values(mobile="13800001111"))
        bpm.start("p", "nurse")
        report = found.check(repair=True)
        assert [(d.kind, d.number, d.result) for d in report.differences] == [("missing", HEAD, "unable")]
        assert "没有对应账号" in report.differences[0].detail
        with bpm.db.unit_of_work() as session:
            session.execute(update(Person).where(Person.staff_number == HEAD).values(mobile="13800002222"))
        assert found.found(repair=True) == [("missing", "ours", HEAD, "repaired")]
        assert found.shelf.open("13800002222") == ["a"]
        assert found.found() == []


def test_what_the_oa_refuses_again_and_again_is_one_dead_letter(ekp: Night) -> None:
    ekp.shelf.unknown.add(HEAD)
    ekp.bpm.start("p", "nurse")
    for _ in range(3):
        assert ekp.found(repair=True) == [("missing", "ours", HEAD, "repaired")]
    with ekp.db.reading() as session:
        assert session.scalar(select(func.count()).where(Outbox.state == "dead")) == 1


def test_who_has_another_number_now_has_their_items_there(ekp: Night) -> None:
    ekp.bpm.start("p", "nurse")
    with ekp.db.unit_of_work() as session:
        session.execute(update(Person).where(Person.staff_number == HEAD).values(staff_number="H-77"))
    assert ekp.found(repair=True) == [("stale", "ours", "H-77", "repaired")]
    assert (ekp.shelf.open(HEAD), ekp.shelf.open("H-77")) == ([], ["a"])
    assert ekp.found() == []


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
        assert report.repaired == 3
        assert found.shelf.open(SURGEON) == ["a"] * 3
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
    ekp.bpm.start("p", "nurse")
    check = ekp.begin(by="nightly")
    [row] = outbox.lease(ekp.db, "one", 1, "oa.ekp.aside")
    assert outbox.run(ekp.db, row) == "later"
    report = ekp.report(check)
    assert (report.state, report.people) == ("running", 50)
    ekp.bpm.work()
    report = ekp.report(check)
    assert report.state == "done"
    assert report.people > 1000  # everybody who may have an account there, at night
    assert len(ekp.shelf.asked) == len(set(ekp.shelf.asked)) + len(
        [each for each in ekp.shelf.asked if each in (HEAD, SURGEON)]
    ) - len({HEAD, SURGEON} & set(ekp.shelf.asked))


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
