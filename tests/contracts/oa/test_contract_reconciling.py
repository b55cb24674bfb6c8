"""Missing, ghost and stale rows, planted by hand on both sides, are found and mended (design 05, "stays true" 6)."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from engine import clock
from engine.connectors.oa import reconciling
from engine.connectors.oa.models import OACheck, OAItem
from engine.errors import Conflict, Forbidden
from engine.outbox import Outbox
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import CHIEF, HEAD, READ_BACK, Office, counts, kinds
from tests.engine.connectors.desks import OPEN, number

pytestmark = pytest.mark.backend("sqlite")


def _inside(desk: Office, who: str) -> Any:
    """Return the row itself of somebody's."""
    [row] = [r for r in desk.product.waiting(number(who)) if r.state in OPEN and not r.own]
    return row


def _plant_ghost(desk: Office, like: str, who: str) -> None:
    """Put into somebody's list what we have never had."""
    ghost = _inside(desk, like).copied()
    ghost.id, ghost.key, ghost.account = desk.product.number(), uuid.uuid4().hex, number(who)
    ghost.title = "早已没有的申请"
    with desk.oa.state.lock:
        desk.product.add(ghost)


def _lose(desk: Office, who: str) -> None:
    with desk.oa.state.lock:
        desk.product.remove(_inside(desk, who))


def _retitle(desk: Office, who: str) -> None:
    with desk.oa.state.lock:
        _inside(desk, who).title = "别的标题"


def _double(desk: Office, who: str) -> None:
    twin = _inside(desk, who).copied()
    twin.id = desk.product.number()
    with desk.oa.state.lock:
        desk.product.add(twin)


def _relist(desk: Office, who: str) -> None:
    """What is to be decided stands among what is to be read."""
    with desk.oa.state.lock:
        row = _inside(desk, who)
        row.state = row.kind = "read"


@pytest.mark.parametrize("kind", READ_BACK)
def test_where_nothing_differs_nothing_is_found(office: Opening, kind: str) -> None:
    desk = office(kind)
    desk.begin(HEAD, CHIEF)
    desk.start().approve(by=HEAD)
    desk.product.start_own(number(HEAD), "OA 自己的事项")
    report = desk.compare()
    assert (report.state, counts(report), report.unread) == ("done", (0, 0, 0), 0)
    assert report.people >= 3
    assert report.items >= 3


@pytest.mark.parametrize("kind", READ_BACK)
@pytest.mark.parametrize("planted", ["missing", "reopened", "unknown", "closed here"])
def test_what_was_planted_is_found_and_mended_without_telling_anybody(office: Opening, kind: str, planted: str) -> None:
    desk = office(kind)
    story = desk.begin(HEAD, CHIEF)
    done = desk.start().approve(by=HEAD)
    key = done.items("done")[-1].id.hex
    told = {row.id: row.notified for row in desk.product.rows()}
    desk.later(minutes=10)
    expected = (0, 1, 0)
    if planted == "missing":
        _lose(desk, HEAD)
        expected = (1, 0, 0)
    elif planted == "reopened":
        with desk.oa.state.lock:
            row = next(r for r in desk.product.having(key) if r.account == number(HEAD))
            row.state = row.kind = "todo"
    elif planted == "unknown":
        _plant_ghost(desk, HEAD, CHIEF)
    else:
        desk.pause()
        story.approve(by=HEAD)
        with desk.bpm.db.unit_of_work() as session:
            session.execute(delete(Outbox).where(Outbox.system == desk.site.system))
        desk.resume()
        expected = (1, 2, 0)  # both had it, and the next step's is missing
    found = desk.compare()
    assert counts(found) == expected, found.differences
    mended = desk.compare(repair=True)
    if planted == "unknown" and kind.startswith("weaver"):  # its lists carry no flowid: nobody can tell what to delete
        assert (mended.repaired, mended.unable) == (0, 1)
        return
    assert mended.repaired == sum(expected), mended.differences
    desk.exact()
    assert counts(desk.compare()) == (0, 0, 0)
    if not kind.startswith("landray"):
        new = [row for row in desk.product.rows() if row.open and row.notified > told.get(row.id, 0)]
        assert new == [], "repairs tell nobody"


@pytest.mark.parametrize(
    ("kind", "plant"),
    [
        ("template", _retitle),
        ("template", _relist),
        ("landray.soap", _double),
        ("landray.soap", _relist),
        ("weaver.rest", _retitle),
        ("landray.soap", _retitle),
        ("weaver.rest", _relist),
    ],
)
def test_what_is_stale_is_found_and_mended(office: Opening, kind: str, plant: Callable[[Office, str], None]) -> None:
    desk = office(kind)
    desk.begin(HEAD)
    right = desk.row(HEAD)
    desk.later(minutes=10)
    plant(desk, HEAD)
    found = desk.compare()
    assert sum(counts(found)) >= 1, found
    desk.compare(repair=True)
    assert counts(desk.compare()) == (0, 0, 0)
    desk.exact()
    now = desk.row(HEAD)
    assert (now.title, now.state, now.node) == (right.title, right.state, right.node)


def test_a_ghost_in_the_list_of_somebody_who_has_nothing_else(office: Opening) -> None:
    desk = office("landray.rest")
    story = desk.begin(HEAD)
    key = story.item(HEAD).id.hex
    story.approve(by=HEAD)
    desk.later(minutes=10)
    with desk.oa.state.lock:
        desk.product.reopen(desk.product.having(key)[0], "todo", tell=False)
    found = desk.compare(repair=True)
    assert kinds(found) == [("ghost", "theirs", number(HEAD))]
    desk.exact()


def test_a_ghost_from_before_our_database_was_restored(office: Opening) -> None:
    """What was pushed after the backup is unknown here; its person may have had nothing before."""
    desk = office("landray.rest")
    desk.begin(HEAD)
    _plant_ghost(desk, HEAD, "surgeon")
    desk.later(minutes=10)
    found = desk.compare(repair=True)
    assert counts(found) == (0, 1, 0), found.differences
    desk.exact()


def test_our_own_side_is_compared_too(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD, CHIEF)
    assert counts(desk.compare()) == (0, 0, 0)
    with desk.bpm.db.unit_of_work() as session:
        session.execute(delete(OAItem).where(OAItem.item_id == story.item(HEAD).id))
        session.execute(update(OAItem).where(OAItem.item_id == story.item(CHIEF).id).values(wanted="done"))
    found = desk.compare()
    assert ("missing", "ours", number(HEAD)) in kinds(found), kinds(found)
    assert [k for k in kinds(found) if k[1] == "ours" and k[2] == number(CHIEF)], kinds(found)
    desk.compare(repair=True)
    assert counts(desk.compare()) == (0, 0, 0)
    story.approve(by=HEAD)
    desk.exact()


def test_an_oa_that_cannot_be_read_says_so_and_is_sent_all_again(office: Opening) -> None:
    desk = office("seeyon")
    desk.begin(HEAD, CHIEF)
    _lose(desk, HEAD)
    report = desk.compare()
    assert report.state == "done"
    assert report.reason, "it says that nothing was read back"
    desk.compare(repair=True)
    desk.exact()


@pytest.mark.parametrize("kind", ["template", "weaver.rest"])
def test_repairs_are_capped_and_counted(office: Opening, kind: str) -> None:
    desk = office(kind, repairs=2)
    desk.begin(HEAD, CHIEF)
    for _ in range(2):
        desk.start()
    for who in (HEAD, CHIEF):
        for row in list(desk.product.waiting(number(who))):
            with desk.oa.state.lock:
                desk.product.remove(row)
    desk.later(minutes=10)
    report = desk.compare(repair=True)
    assert counts(report) == (6, 0, 0)
    assert (report.repaired, report.capped) == (2, 4)
    assert len(desk.seen(HEAD) + desk.seen(CHIEF)) == 2
    again = desk.compare(repair=True)
    assert (again.missing, again.repaired, again.capped) == (4, 2, 2)
    desk.compare(repair=True)
    desk.exact()


def _night(days: int, hour: int, minute: int) -> datetime:
    """Return a moment of a night to come."""
    day = clock.now().astimezone(clock.LOCAL) + timedelta(days=days)
    return day.replace(hour=hour, minute=minute, second=0, microsecond=0)


@pytest.mark.parametrize("mending", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_night_at_three_once(office: Opening, mending: bool) -> None:
    desk = office("landray.rest", nightly_repair=mending)

    def began() -> list[tuple[str, bool]]:
        reconciling.nightly(desk.bpm.db)
        desk.bpm.work()
        with desk.bpm.db.reading() as session:
            return [(c.by, c.repair) for c in session.scalars(select(OACheck).order_by(OACheck.started_at))]

    desk.bpm.only_the_cast()
    clock.freeze(_night(1, 3, 5))
    desk.begin(HEAD)
    assert began() == [("nightly", mending)]
    assert len(began()) == 1
    _lose(desk, HEAD)
    clock.freeze(_night(1, 2, 55))
    assert len(began()) == 1, "not before three"
    clock.freeze(clock.now() + timedelta(minutes=10))
    assert began() == [("nightly", mending)] * 2
    assert len(began()) == 2, "once a night"
    with desk.bpm.db.reading() as session:
        check = reconciling.latest(session, desk.bpm.actor("auditor"), desk.site.code)
    assert check is not None
    assert (check.missing, check.repaired) == (1, int(mending))
    assert desk.seen(HEAD) == (["review"] if mending else [])


def test_who_may_begin_and_who_may_read(office: Opening) -> None:
    desk = office("landray.rest")
    desk.begin(HEAD)
    report = desk.compare()
    with desk.bpm.db.unit_of_work() as session:
        for who in ("nurse", "process_admin", "auditor"):
            with pytest.raises(Forbidden):
                reconciling.start(session, desk.bpm.actor(who), desk.connection, repair=False)
        with pytest.raises(Forbidden):
            reconciling.report(session, desk.bpm.actor("nurse"), report.id)
        assert reconciling.report(session, desk.bpm.actor("auditor"), report.id).json()["state"] == "done"
        reconciling.start(session, desk.bpm.actor("system_admin"), desk.connection, repair=False)
        with pytest.raises(Conflict):
            reconciling.start(session, desk.bpm.actor("system_admin"), desk.connection, repair=False)
