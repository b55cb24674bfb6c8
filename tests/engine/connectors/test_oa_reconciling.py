"""Reconciliation: whatever differs between our rows, our record and the OA's lists is found, told and mended."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from engine import clock, outbox
from engine.bpm.models import WorkItem
from engine.connectors.oa.adapters.protocol import State
from engine.connectors.oa.models import OACheck, OAItem
from engine.org.models import Person
from engine.outbox import Outbox
from tests.dsl import Bpm
from tests.engine.connectors.nights import ARCHIVIST, HEAD, SURGEON, Night, _ekp, night  # noqa: F401
from tests.factories.oa import Line, Shelf
from tests.factories.outbox import NOON

pytestmark = pytest.mark.backend("sqlite", "postgresql")


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


@pytest.mark.parametrize("odd", ["\ud800", "\x00"])
def test_what_no_database_takes_is_told_without_it(ekp: Night, odd: str) -> None:
    """One such line of one person's would end each reconciliation of the site."""
    ekp.bpm.start("p", "nurse")
    ekp.shelf.lines.append(Line(uuid.uuid4().hex, HEAD, State.TODO, f"从{odd}前的", f"审{odd}批", NOON))
    ekp.shelf.lines.append(Line(f"no-key{odd}", HEAD, State.TODO, f"{odd}别处的", odd, NOON))
    assert ekp.found(repair=True) == [("ghost", "theirs", HEAD, "repaired"), ("ghost", "theirs", HEAD, "unable")]
    assert [each.title for each in ekp.check().differences] == ["别处的"]


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
