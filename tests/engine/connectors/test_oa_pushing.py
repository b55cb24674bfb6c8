"""Bringing an OA to the newest state while it fails: each kind of error, and what a timeout leaves open."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine import clock
from engine.connectors.oa import pushing
from sandbox.oa.server import Running
from tests.dsl import Bpm
from tests.engine.connectors.desks import Desk, number
from tests.engine.connectors.test_oa_mirroring import ANY
from tests.factories.outbox import NOON

pytestmark = pytest.mark.backend("postgresql")
KINDS = ("landray.soap", "landray.rest", "weaver.soap", "weaver.rest", "seeyon", "template")


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


@pytest.fixture(params=KINDS)
def desk(request: pytest.FixtureRequest, bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside an OA of each kind, which waits a fifth of a second for an answer."""
    found = Desk(bpm, oa_sandbox, request.param, timeout=0.2)
    bpm.deploy_files(ANY)
    return found


@pytest.mark.parametrize("fault", ["refuse", "reset_after", "timeout", "timeout_after", "html502", "garbage", "late"])
def test_whatever_passes_ends_in_the_truth_once(desk: Desk, fault: str) -> None:
    desk.fault(fault, times=2)
    story = desk.bpm.start("p", "nurse")
    desk.fault(fault, times=2)
    story.approve("head_nurse")
    desk.settle()
    assert desk.differences() == ([], [])
    assert desk.seen("archivist") == ["归档"]
    assert desk.pending("dead") == 0


def test_a_late_todo_does_not_come_back_as_a_ghost(desk: Desk) -> None:
    desk.fault("late", times=1, after=1000)
    story = desk.bpm.start("p", "nurse")
    story.approve("head_nurse")
    clock.freeze(clock.now() + timedelta(seconds=30))
    desk.bpm.work()
    desk.oa.state.faults.release()
    desk.settle()
    assert desk.differences() == ([], [])


def test_an_attempt_of_a_worker_that_was_killed_is_doubtful(desk: Desk) -> None:
    story = desk.bpm.start("p", "nurse")
    with desk.bpm.db.unit_of_work() as session:  # as if it had been told, and nobody had heard
        pushing.doubt(session, desk.connection, [story.item("head_nurse").id])
    assert desk.item(story, "head_nurse").sending == "todo"
    desk.bpm.work()
    assert desk.item(story, "head_nurse").sending == ""
    assert desk.differences() == ([], [])


def test_a_person_whom_the_oa_does_not_know_is_a_dead_letter_at_once(desk: Desk) -> None:
    desk.fault("unknown_person", "receive" if desk.kind == "seeyon" else "*", times=1)
    story = desk.bpm.start("p", "nurse")
    assert desk.pending("dead") == 1
    assert desk.pending() == 0
    problems = {i.problem for i in desk.items()}
    assert problems == {"unmapped", ""}
    story.approve("head_nurse")
    assert desk.pending("dead") == 0, "what is over needs nobody's mending"
    assert {i.problem for i in desk.items()} == {""}
    assert desk.differences() == ([], [])


def test_nobody_without_an_account_is_sent_anything(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "weaver.rest", people="table")
    bpm.deploy_files(ANY).start("p", "nurse")
    assert desk.requests() == 0
    assert desk.pending("dead") == 2
    assert "账号对照" in desk.reasons()[0]
    assert number("head_nurse") in "".join(desk.reasons())


def test_a_site_that_has_only_some_of_the_people_leaves_out_the_others(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "landray.rest", people="table", unmapped="ignore")
    bpm.deploy_files(ANY).start("p", "nurse")
    assert desk.requests() == 0
    assert desk.pending("dead") == 0
    assert {i.problem for i in desk.items()} == {"ignored"}


@pytest.mark.parametrize("fault", ["not_registered", "not_allowed"])
def test_what_fails_for_all_pauses_the_channel(desk: Desk, fault: str) -> None:
    desk.fault(fault, times=1000)
    desk.bpm.start("p", "nurse")
    assert desk.state().paused_at is not None
    assert desk.pending() == 2
    assert desk.pending("dead") == 0
    seen = desk.requests()
    desk.bpm.start("p", "nurse")
    assert desk.requests() == seen
    assert desk.pending() == 4


def test_repairs_do_not_notify_again(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "weaver.rest")
    story = bpm.deploy_files(ANY).start("p", "nurse")
    before = [r.notified for r in desk.product.rows()]
    with bpm.db.unit_of_work() as session:
        pushing.doubt(session, desk.connection, [i.item_id for i in desk.items()])
    bpm.work()
    assert [r.notified for r in desk.product.rows()] == before
    story.act("claim", "head_nurse", story.item("head_nurse").id)
    story.act("unclaim", "head_nurse", story.item("head_nurse").id)
    [back] = [r.notified for r in desk.product.rows() if r.account == number("pediatrics_head")]
    assert back == 1, "what comes back is news"


def test_each_write_of_a_key_is_later_than_the_last(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "weaver.rest")
    story = bpm.deploy_files(ANY).start("p", "nurse")
    first = desk.item(story, "head_nurse").stamp
    assert first == int(NOON.timestamp() * 1000)
    clock.freeze(NOON - timedelta(seconds=1))  # a clock that goes back
    story.approve("head_nurse")
    assert desk.item(story, "head_nurse").stamp == first + 1
    assert desk.differences() == ([], [])
