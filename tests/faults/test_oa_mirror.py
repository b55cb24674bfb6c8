"""The mirror under faults: whatever happened to items and to the OA, its list ends as ours."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import clock
from engine.bpm import commands
from engine.errors import EngineError
from sandbox.oa.server import Running
from tests.api.conftest import Api
from tests.dsl import Bpm, Story
from tests.engine.connectors.desks import Desk
from tests.engine.connectors.phones import Phones, _phones  # noqa: F401
from tests.engine.connectors.test_oa_mirroring import ALL, ANY, TURN
from tests.factories.outbox import NOON
from tests.serving import eventually
from workers.loop import Worker

pytestmark = [pytest.mark.faults, pytest.mark.backend("postgresql")]

PEOPLE = ("nurse", "head_nurse", "pediatrics_head", "archivist", "office_clerk")
ACTS = ("approve", "reject", "claim", "unclaim", "send_back", "take_back", "reassign", "read", "withdraw", "start")
FAULTS = ("refuse", "reset_after", "timeout", "timeout_after", "html502", "garbage", "late", "duplicate", "fault")
OPERATIONS = ("act", "fault", "restart", "work", "wait", "confirm")


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


def event() -> st.SearchStrategy[tuple[Any, ...]]:
    """Return what may happen next: somebody acts, the OA fails or restarts, the worker works, time goes by."""
    act = st.tuples(st.just("act"), st.sampled_from(ACTS), st.integers(0, 4), st.integers(0, 7))
    return st.one_of(
        act,
        act,
        act,
        st.tuples(st.just("work")),
        st.tuples(st.just("work")),
        st.tuples(st.just("fault"), st.sampled_from(FAULTS), st.integers(1, 3), st.integers(0, 5)),
        st.tuples(st.just("restart")),
        st.tuples(st.just("wait"), st.integers(1, 400)),
        st.tuples(st.just("confirm")),
    )


class History:
    """One history of some instances beside one OA."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.bpm = desk, desk.bpm
        self.stories: list[Story] = []
        self.start(0)

    def start(self, which: int) -> None:
        """Start another instance; the worker hears of it when it works."""
        key = ("p_any", "p_all", "p_turn")[which % 3]
        with self.bpm.db.unit_of_work() as session:
            started = commands.start(session, self.bpm.actor("nurse"), key, data={})
        self.stories.append(Story(self.bpm, started.instance_id))

    def happen(self, what: tuple[Any, ...]) -> None:
        """Let one thing happen."""
        match what:
            case ("act", "start", who, which):
                self.start(who + which)
            case ("act", verb, who, which):
                self.act(verb, PEOPLE[who], self.stories[which % len(self.stories)])
            case ("fault", kind, times, after):
                self.desk.fault(kind, times=times, **({"after": after} if kind == "late" else {}))
            case ("restart",):
                self.desk.restart()
            case ("wait", seconds):
                clock.freeze(clock.now() + timedelta(seconds=seconds))
            case ("work",):
                self.bpm.work()
            case ("confirm",):
                self.desk.confirm()

    def act(self, verb: str, who: str, story: Story) -> None:
        """Let somebody try something; who may not is refused."""
        with self.bpm.db.reading() as _:
            items = [i for i in story.items("open", "standby", "done") if i.person == who]
        actor = self.bpm.actor(who)
        opened = [i for i in items if i.state == "open"]
        try:
            with self.bpm.db.unit_of_work() as session:
                match verb:
                    case "withdraw":
                        commands.withdraw(session, actor, story.id, reason="不办了")
                    case "take_back" if items:
                        commands.take_back(session, actor, items[-1].id)
                    case "approve" | "reject" if opened:
                        commands.complete(session, actor, opened[-1].id, verb, opinion="意见", data={})
                    case "read" if opened:
                        commands.acknowledge(session, actor, opened[-1].id)
                    case "claim" | "unclaim" if opened:
                        getattr(commands, verb)(session, actor, opened[-1].id)
                    case "send_back" if opened:
                        commands.send_back(session, actor, opened[-1].id, to="initiator", mode="rewalk", opinion="补")
                    case "reassign" if opened:
                        to = self.bpm.person("office_clerk")
                        commands.reassign(session, actor, opened[-1].id, to=to, reason="代办")
        except EngineError:
            pass


def renamed(files: dict[str, str], key: str) -> dict[str, str]:
    """Return a process under another key."""
    return {
        name: text.replace('process id="p" name="p"', f'process id="{key}" name="{key}"')
        for name, text in files.items()
    }


@pytest.fixture(params=["landray.soap", "weaver.rest", "seeyon", "template"])
def desk(request: pytest.FixtureRequest, bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside an OA that answers at once or not at all."""
    for key, files in (("p_any", ANY), ("p_all", ALL), ("p_turn", TURN)):
        bpm.deploy_files(renamed(files, key))
    return Desk(bpm, oa_sandbox, request.param, timeout=0.1)


def run(desk: Desk, events: list[tuple[Any, ...]]) -> None:
    """Let a history happen and settle, and compare."""
    desk.bpm.work()
    desk.forget()
    history = History(desk)
    for what in events:
        history.happen(what)
    desk.bpm.work()
    desk.settle()
    missing, more = desk.differences(*history.stories)
    if more and desk.connection.adapter.reads_back and set(more) <= desk.open(*history.stories):
        desk.reconcile()  # a proxy that repeats a request of an OA that takes it for another item: the night finds it
        missing, more = desk.differences()  # and what earlier histories have left open
    assert (missing, more) == ([], [])
    assert desk.pending() == 0
    assert desk.reasons() == []


HISTORY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@given(st.lists(event(), max_size=25))
@settings(HISTORY, max_examples=12)
def test_the_list_there_ends_as_the_list_here(desk: Desk, events: list[tuple[Any, ...]]) -> None:
    run(desk, events)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@given(st.lists(event(), max_size=25))
@settings(HISTORY, max_examples=250)
def test_a_thousand_histories_have_no_difference(desk: Desk, events: list[tuple[Any, ...]]) -> None:
    run(desk, events)


HOURS_DOWN, AT_ONCE = 6, 5


@pytest.mark.parametrize("items", [300, pytest.param(5000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
def test_after_six_hours_down_nothing_is_lost_and_nothing_stays(bpm: Bpm, oa_sandbox: Running, items: int) -> None:
    desk = Desk(bpm, oa_sandbox, "landray.soap", timeout=1)
    bpm.deploy_files(ANY)
    kept = bpm.start("p", "nurse")  # shown before the OA goes down, handled while it is
    desk.fault("refuse", times=10**9)
    done = 1
    while done < items:  # each round: some that stay open, some that are closed meanwhile
        clock.freeze(clock.now() + timedelta(hours=HOURS_DOWN) / (items / AT_ONCE))
        for number in range(AT_ONCE):
            story = bpm.start("p", "nurse")
            if number:
                story.act("withdraw", "nurse", story.id, reason="不办了")
            done += 1
    kept.approve("head_nurse")
    attempted = {seen.key for seen in desk.oa.state.requests("landray")}
    down = len(desk.oa.state.requests("landray"))
    assert desk.state().open_until is not None
    desk.settle(hours=12)
    assert desk.differences() == ([], [])
    assert (desk.pending(), desk.pending("dead")) == (0, 0)
    writes = [s for s in desk.oa.state.requests("landray")[down:] if s.operation != "getTodo"]
    still = {row.key for row in desk.product.rows() if row.state == "todo"}
    assert len(still) == 2 * -(-(items - 1) // AT_ONCE) + 1  # two candidates each, and what follows `kept`
    assert {s.key for s in writes if s.operation == "sendTodo"} == still
    assert {s.key for s in writes} <= still | attempted, "what opened and closed untried is never spoken of"


def test_a_dead_oa_delays_neither_wecom_nor_requests(phones: Phones, oa_sandbox: Running, tmp_path: Path) -> None:
    clock.freeze(None)
    desk = Desk(phones.bpm, oa_sandbox, "landray.soap", timeout=8)
    phones.bpm.deploy_files(ANY)
    desk.fault("timeout", times=10**9)
    worker = Worker(phones.bpm.db, [])
    worker.start()
    try:
        with start_blocking_portal() as portal:
            nurse = Api(phones.bpm.db, phones.bpm.staff, tmp_path, portal).person("nurse")
            for _ in range(20):
                assert nurse.ask("POST", "/processes/p/instances", json={"data": {}}).status_code == 201
        eventually(lambda: len(phones.cards("head_nurse")) == 20)
        assert desk.product.rows() == []
        assert {i.shown for i in desk.items()} == {""}, "the OA has answered nothing meanwhile"
    finally:
        oa_sandbox.state.faults.clear()
        worker.stop(timeout=20)
