"""The first load: resumable, paused, fresh items first, nobody notified (issue 5, "First load")."""

import uuid

import pytest
from sqlalchemy import select, update

from engine import clock
from engine.connectors.oa import loading
from engine.connectors.oa.loading import Progress
from engine.connectors.oa.models import OALoad
from engine.connectors.oa.sites import Sites
from engine.errors import Conflict, Forbidden
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import EACH_PRODUCT, HEAD, Office, process
from tests.dsl import Bpm, Story
from tests.engine.connectors.desks import connect, number

pytestmark = pytest.mark.backend("postgresql")


def _before(bpm: Bpm, many: int) -> list[Story]:
    """Start processes while no OA is connected."""
    bpm.deploy_files(process(HEAD))
    return [bpm.start("p", by="nurse") for _ in range(many)]


def _act(desk: Office, verb: str, who: str = "system_admin", **options: bool) -> None:
    with desk.bpm.db.unit_of_work() as session:
        getattr(loading, verb)(session, desk.bpm.actor(who), desk.connection, **options)


def _progress(desk: Office) -> Progress:
    with desk.bpm.db.reading() as session:
        found = loading.progress(session, desk.bpm.actor("auditor"), desk.site.code)
    assert found is not None
    return found


def _load(desk: Office, rounds: int = 30) -> None:
    for _ in range(rounds):
        loading.top_up(desk.bpm.db)
        desk.later(seconds=2)


@pytest.mark.parametrize("kind", EACH_PRODUCT)
def test_what_was_open_before_is_there_and_nobody_was_notified(bpm: Bpm, office: Opening, kind: str) -> None:
    stories = _before(bpm, 7)
    stories[0].approve(by=HEAD)
    desk = office(kind)
    assert desk.product.rows() == []
    _act(desk, "start")
    assert (_progress(desk).state, _progress(desk).total) == ("running", 7)
    _load(desk, 4)
    desk.exact()
    assert len(desk.seen(HEAD)) == 6
    assert desk.seen("doctor") == ["then"]
    done = _progress(desk)
    assert (done.state, done.shown, done.failed) == ("done", 7, 0)
    if kind in ("weaver.rest", "template"):
        assert sum(row.notified for row in desk.product.rows()) == 0
    fresh = desk.start()
    assert desk.seen(HEAD).count("review") == 7
    if kind in ("weaver.rest", "template"):
        [told] = [row for row in desk.product.rows() if row.notified]
        assert told.key == fresh.item(HEAD).id.hex, "what is new is told as always"


def test_it_rests_goes_on_and_new_items_do_not_wait_for_it(bpm: Bpm, office: Opening) -> None:
    stories = _before(bpm, 40)
    desk = office("weaver.rest", per_minute=600)
    clock.freeze(clock.now())
    _act(desk, "start")
    loading.top_up(bpm.db)
    waiting = desk.pending()
    assert 0 < waiting < 40, "few rows stand before what opens now"
    fresh = desk.start()
    rows = desk.product.rows()
    assert fresh.item(HEAD).id.hex in {row.key for row in rows}
    assert len(rows) <= waiting + 1

    _act(desk, "pause")
    _load(desk, 3)
    assert len(desk.seen(HEAD)) == waiting + 1
    assert _progress(desk).state == "paused"
    for story in (stories[0], stories[-1]):
        story.reject(by=HEAD)
    before = bpm.db.part(Sites)
    assert before is not None
    before.close()
    connect(bpm, desk.site)  # another process, after a restart
    _act(desk, "resume")
    _load(desk, 4)
    desk.exact()
    assert len(desk.seen(HEAD)) == 39
    assert _progress(desk).state == "done"
    keys = [row.key for row in desk.product.rows()]
    assert stories[-1].items("done")[-1].id.hex not in keys, "what closed meanwhile was never sent"


def test_a_crash_between_two_pages_repeats_nothing(bpm: Bpm, office: Opening) -> None:
    _before(bpm, 12)
    desk = office("landray.soap", per_minute=600)
    clock.freeze(clock.now())
    _act(desk, "start")
    loading.top_up(bpm.db)
    bpm.work()
    with bpm.db.unit_of_work() as session:  # where it stood was lost with the crash
        assert session.scalar(select(OALoad.after)) != uuid.UUID(int=0)
        session.execute(update(OALoad).values(after=uuid.UUID(int=0)))
    _load(desk, 6)
    desk.exact()
    assert len(desk.asked("sendTodo")) == 12


def test_once_is_enough_and_only_admins_begin(bpm: Bpm, office: Opening) -> None:
    _before(bpm, 1)
    desk = office("landray.rest")
    for who in ("nurse", "process_admin", "auditor"):
        with pytest.raises(Forbidden):
            _act(desk, "start", who)
    with pytest.raises(Conflict):
        _act(desk, "pause")
    _act(desk, "start")
    with pytest.raises(Conflict):
        _act(desk, "start")
    _load(desk, 3)
    with pytest.raises(Conflict):
        _act(desk, "start")
    _act(desk, "start", again=True)
    _load(desk, 3)
    desk.exact()


def test_whom_the_oa_does_not_know_is_counted_and_stops_nothing(bpm: Bpm, office: Opening) -> None:
    bpm.deploy_files(process(HEAD, "surgeon"))
    for _ in range(3):
        bpm.start("p", by="nurse")
    desk = office("landray.rest")
    desk.oa.state.people.pop(number(HEAD))
    _act(desk, "start")
    _load(desk, 4)
    assert len(desk.seen("surgeon")) == 3
    done = _progress(desk)
    assert (done.state, done.total, done.shown, done.failed) == ("done", 6, 3, 3)
    assert desk.unmapped() == [number(HEAD)]
