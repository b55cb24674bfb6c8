"""Several OAs at once; a dead one delays nothing; handled by a click in WeCom or over HTTP it goes too (issue 5)."""

from pathlib import Path

import pytest

from engine import clock, outbox
from engine.bpm import commands
from engine.connectors import oa as connector
from engine.settings import Settings
from sandbox.oa.server import Running as RunningOA
from sandbox.wecom.server import Running
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import CHIEF, HEAD, Office
from tests.contracts.wecom.ward import opened
from tests.dsl import Bpm
from tests.engine.connectors.desks import connect, number, site

pytestmark = pytest.mark.backend("postgresql")


def test_four_oas_show_the_same_and_lose_the_same(office: Opening) -> None:
    kinds = {"ekp": "landray.soap", "eco": "weaver.soap", "a8": "seeyon", "old": "template"}
    desks = [office(kind, code) for code, kind in kinds.items()]
    connect(desks[0].bpm, *(desk.site for desk in desks))
    story = desks[0].begin(HEAD, CHIEF)
    for desk in desks:
        desk.exact()
        assert f"/oa/{desk.site.code}/" in desk.row(HEAD).link
    desks[1].pause()
    story.approve(by=HEAD)
    assert [desk.seen(HEAD) for desk in desks] == [[], ["review"], [], []], "each has a state of its own"
    desks[1].resume()
    for desk in desks:
        desk.exact()


def test_two_sites_of_one_make_do_not_mix(office: Opening) -> None:
    """A code tells them apart: what one has handled is kept apart from the other."""
    one, two = office("landray.rest", "one"), office("template", "two")
    connect(one.bpm, one.site, two.site)
    one.oa.state.people.pop(number(HEAD))
    one.begin(HEAD)
    assert one.unmapped() == [number(HEAD)] == two.unmapped()
    one.pause()
    with one.bpm.db.reading() as session:
        states = {state.system: state.paused_at is not None for state in outbox.states(session)}
    assert states[one.site.system]
    assert not states[two.site.system]


@pytest.mark.parametrize(
    "how", ["timeout", *(pytest.param(each, marks=pytest.mark.slow) for each in ("refuse", "html502"))]
)
def test_a_dead_oa_delays_neither_the_other_nor_who_waits_here(office: Opening, how: str) -> None:
    dead, well = office("landray.rest", "dead", timeout=0.3), office("template", "well")
    connect(dead.bpm, dead.site, well.site)
    clock.freeze(clock.now())
    dead.fault(how, times=10_000, seconds=5.0)
    stories = [dead.begin(HEAD), *(dead.start() for _ in range(9))]
    assert well.seen(HEAD) == ["review"] * 10
    for story in stories[:5]:
        story.approve(by=HEAD)
    well.exact()
    assert dead.pending("dead") == 0
    assert dead.state().open_until is not None
    assert dead.requests() <= 8, "the breaker is open: nobody waits ten times for the timeout"
    for story in stories[5:]:
        story.reject(by=HEAD)
    dead.settle()
    dead.exact()
    well.exact()


def test_requests_do_not_ask_the_oa_at_all(office: Opening) -> None:
    """What a person does is saved without a word to the OA; a worker tells it."""
    desk = office("landray.soap")
    story = desk.begin(HEAD)
    before = desk.requests()
    with desk.bpm.db.unit_of_work() as session:
        commands.complete(session, desk.bpm.actor(HEAD), story.item(HEAD).id, "approve", opinion="好")
    assert desk.requests() == before
    lanes = outbox.lanes()
    assert desk.site.system in lanes, "threads of its own"
    desk.bpm.work()
    desk.exact()


def test_six_hours_of_silence_and_then_everything_is_as_it_should(office: Opening) -> None:
    desk = office("weaver.rest")
    clock.freeze(clock.now())
    kept = [desk.begin(HEAD, CHIEF), *(desk.start() for _ in range(4))]
    desk.oa.state.forget_requests()
    desk.fault("html502", times=1_000_000)
    never = set[str]()
    for _ in range(6):
        desk.later(hours=1)
        story = desk.start()
        never |= {story.item(who).id.hex for who in (HEAD, CHIEF)}
        story.act("withdraw", "nurse", story.id, reason="不请了")
    for story in kept[:3]:
        story.approve(by=HEAD)
    desk.oa.state.faults.clear()
    sent = {seen.key for seen in desk.asked() if not seen.fault}
    for _ in range(6):
        desk.later(minutes=10)
    desk.exact()
    sent |= {seen.key for seen in desk.asked() if not seen.fault}
    shown = {row.key for row in desk.product.rows()}
    assert not never & shown, "what opened and closed unsent was never shown"
    assert desk.pending() == 0


@pytest.mark.backend("sqlite")
def test_a_click_in_wecom_or_over_http_takes_it_off_the_desk(
    bpm: Bpm, wecom_sandbox: Running, oa_sandbox: RunningOA, tmp_path: Path
) -> None:
    with opened(bpm, wecom_sandbox, tmp_path) as ward:
        desk = Office(bpm, oa_sandbox, "landray.soap")
        connector.install(bpm.db, Settings(base_url=ward.url), [site(oa_sandbox, "landray.soap")])
        ward.begin(HEAD, CHIEF)
        assert desk.seen(HEAD) == ["review"] == desk.seen(CHIEF)
        ward.press(HEAD, "同意")
        assert desk.seen(HEAD) == [] == desk.seen(CHIEF)
        desk.exact()
        story = bpm.start("p", by="nurse")
        with ward.api(HEAD) as api:
            answer = api.post(f"/api/v1/work-items/{story.item(HEAD).id}/complete", json={"outcome": "approve"})
            assert answer.status_code == 200, answer.text
        ward.work()
        desk.exact()
        assert desk.seen("doctor") == ["then", "then"]

        desk.fault("html502", times=1000)
        story = bpm.start("p", by="nurse")
        assert ward.card(HEAD).acting, "a dead OA keeps no card back"
        ward.press(HEAD, "同意")
        story.expect_open(("then", "doctor"))
        desk.settle()
        desk.exact()
