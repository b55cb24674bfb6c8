"""The figures on the workbench: those of the boxes, pushed once for what comes together, and only where they differ."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from engine import clock, outbox
from engine.bpm import queries
from engine.connectors.wecom import install, workbench
from engine.connectors.wecom.contacts import syncing
from engine.connectors.wecom.models import WeComBoard
from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox import Outbox
from sandbox.wecom.constants import AGENT_ID
from sandbox.wecom.server import Running
from tests.dsl import Bpm, bpmn, chain, start_task, task

assert workbench  # importing it registers its handler
FILES = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("review", "head_nurse", "pediatrics_head")
    + task("circulate", "doctor", "surgeon", kind="read")
    + '<boundaryEvent id="remind" attachedToRef="review" cancelActivity="false"><timerEventDefinition>'
    "<timeDuration>P1D</timeDuration></timerEventDefinition></boundaryEvent>"
    '<endEvent id="reminded"/><sequenceFlow id="f_r" sourceRef="remind" targetRef="reminded"/>'
    + chain("s", "apply", "review", "circulate", "e"),
    key="timed",
)


@pytest.fixture
def stand_in(wecom_sandbox: Running) -> Running:
    """WeCom's stand-in with the demo hospital's staff."""
    return wecom_sandbox


@pytest.fixture
def connected(bpm: Bpm, stand_in: Running) -> Bpm:
    """The hospital in step with WeCom, its clock held."""
    settings: dict[str, Any] = {
        **stand_in.settings(),
        "token": "",
        "aes_key": "",
    }  # nobody listens, so cards have no buttons
    install(bpm.db, WeComSettings(**settings), "http://piyue.test")
    syncing.sync(bpm.db, None, by="command")
    clock.freeze(clock.now())
    return bpm.deploy_files(FILES)


def later(bpm: Bpm, **by: float) -> None:
    clock.freeze(clock.now() + timedelta(**by))
    bpm.work()


def shown(stand_in: Running, who: str) -> list[str] | None:
    """Return what a person's phone shows: 待办, 待阅, 我发起, 逾期."""
    found = stand_in.state.workbench.get((AGENT_ID, CAST[who].staff_number))
    return None if found is None else [item["data"] for item in found["keydata"]["items"]]


def pushes(stand_in: Running) -> int:
    return sum(call.endpoint == "agent/set_workbench_data" for call in stand_in.state.calls)


def counted(bpm: Bpm, who: str) -> list[str]:
    with bpm.db.reading() as session:
        found = queries.board(session, bpm.actor(who))
    return [str(n) for n in (found.todo, found.read_todo, found.started, found.overdue)]


def test_the_figures_follow_what_happens(connected: Bpm, stand_in: Running) -> None:
    story = connected.start("timed", by="nurse")
    assert shown(stand_in, "nurse") is None  # not at once
    later(connected, seconds=8)
    assert shown(stand_in, "nurse") == ["0", "0", "1", "0"]
    assert shown(stand_in, "head_nurse") == shown(stand_in, "pediatrics_head") == ["1", "0", "0", "0"]

    story.act("claim", "head_nurse", story.item("head_nurse").id)
    later(connected, seconds=8)
    assert shown(stand_in, "pediatrics_head") == ["0", "0", "0", "0"]
    story.act("unclaim", "head_nurse", story.item("head_nurse").id)
    later(connected, seconds=8)
    assert shown(stand_in, "pediatrics_head") == ["1", "0", "0", "0"]

    later(connected, days=1)  # the timer
    later(connected, seconds=8)
    assert shown(stand_in, "head_nurse") == ["1", "0", "0", "1"]

    story.approve(by="head_nurse")
    later(connected, seconds=8)
    assert shown(stand_in, "head_nurse") == shown(stand_in, "pediatrics_head") == ["0", "0", "0", "0"]
    assert shown(stand_in, "doctor") == ["0", "1", "0", "0"]

    story.read(by="doctor").read(by="surgeon")
    later(connected, seconds=8)
    assert shown(stand_in, "doctor") == ["0", "0", "0", "0"]
    assert shown(stand_in, "nurse") == ["0", "0", "0", "0"]  # it has ended
    for who in ("nurse", "head_nurse", "pediatrics_head", "doctor", "surgeon"):
        assert shown(stand_in, who) == counted(connected, who)


def test_each_figure_opens_the_box_that_it_counts(connected: Bpm, stand_in: Running) -> None:
    connected.start("timed", by="nurse")
    later(connected, seconds=8)
    items = stand_in.state.workbench[AGENT_ID, CAST["nurse"].staff_number]["keydata"]["items"]
    assert [(item["key"], item["jump_url"]) for item in items] == [
        ("待办", "http://piyue.test/box/todo"),
        ("待阅", "http://piyue.test/box/read_todo"),
        ("我发起", "http://piyue.test/box/started?state=running"),
        ("逾期", "http://piyue.test/box/todo?overdue=1"),
    ]


def test_what_comes_together_is_pushed_once(connected: Bpm, stand_in: Running) -> None:
    for _ in range(5):
        connected.start("timed", by="nurse")
        later(connected, seconds=1)
    with connected.db.reading() as session:
        waiting = session.scalars(select(Outbox.key).where(Outbox.topic == "board", Outbox.state == "pending")).all()
    assert len(waiting) == len(set(waiting)) == 3  # the nurse and the two who are to decide
    later(connected, seconds=8)
    assert pushes(stand_in) == 3
    assert shown(stand_in, "nurse") == ["0", "0", "5", "0"]


def test_at_most_ten_a_minute(connected: Bpm, stand_in: Running) -> None:
    stand_in.state.limits.workbench_minute = 10
    for _ in range(60):
        connected.start("timed", by="nurse")
        later(connected, seconds=1)
    later(connected, seconds=8)
    assert pushes(stand_in) <= 3 * 9  # each of the three at most every eight seconds
    assert shown(stand_in, "nurse") == ["0", "0", "60", "0"]
    with connected.db.reading() as session:
        assert session.scalar(select(Outbox.id).where(Outbox.topic == "board", Outbox.last_error != "")) is None


def test_what_is_the_same_is_not_pushed_again(connected: Bpm, stand_in: Running) -> None:
    story = connected.start("timed", by="nurse")
    later(connected, seconds=8)
    before = pushes(stand_in)
    story.act("claim", "head_nurse", story.item("head_nurse").id)
    story.act("unclaim", "head_nurse", story.item("head_nurse").id)
    later(connected, seconds=8)
    assert pushes(stand_in) == before


def test_a_template_that_was_removed_is_set_again(connected: Bpm, stand_in: Running) -> None:
    connected.start("timed", by="nurse")
    later(connected, seconds=8)
    stand_in.state.agents[AGENT_ID].template = None
    connected.start("timed", by="nurse")
    later(connected, seconds=8)
    assert shown(stand_in, "nurse") == ["0", "0", "2", "0"]


@pytest.mark.parametrize("change", [{"disabled_at": "now"}, {"scope": ()}])
def test_who_is_not_there_is_left_out(connected: Bpm, stand_in: Running, change: dict[str, Any]) -> None:
    connected.start("timed", by="nurse")
    if "scope" in change:
        stand_in.state.agents[AGENT_ID].parties = set()
    else:
        with connected.db.unit_of_work() as session:
            session.execute(
                update(Person).where(Person.id == connected.person("nurse")).values(disabled_at=clock.now())
            )
    later(connected, seconds=8)
    with connected.db.reading() as session:
        assert session.get(WeComBoard, connected.person("nurse")) is None
        assert session.scalars(
            select(Outbox.state).where(Outbox.key == f"board:{connected.person('nurse').hex}")
        ).all() == ["done"]


def test_no_rows_without_a_mirror(bpm: Bpm) -> None:
    bpm.deploy_files(FILES).start("timed", by="nurse").approve(by="head_nurse").read(by="doctor")
    with bpm.db.reading() as session:
        assert session.scalars(select(Outbox.id).where(Outbox.topic.in_(("board", "tell", "changed")))).all() == []
    assert outbox.lease(bpm.db, "test", 10) == []
