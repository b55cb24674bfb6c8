"""Races on PostgreSQL: whoever comes at the same moment, each thing happens once, and nothing is lost."""

import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from sqlalchemy import func, select

from engine.bpm import commands
from engine.bpm.models import ActionLog, Instance, ItemState, WorkItem, WorkRound
from engine.errors import Conflict, EngineError
from tests.dsl import Bpm, bpmn, chain, start_task, task
from tests.faults import invariants
from tests.faults.crowd import answer, at_once, crowd, held, people_task, start

PEOPLE, ROUNDS = 60, 20
READERS = 20

pytestmark = [pytest.mark.faults, pytest.mark.backend("postgresql")]

ONE = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("review", "head_nurse")
    + task("confirm", "pediatrics_head")
    + chain("s", "apply", "review", "confirm", "e"),
    key="one",
)


@pytest.mark.parametrize("count", [250, pytest.param(800, marks=pytest.mark.slow)])
def test_of_three_who_act_on_one_item_one_succeeds(bpm: Bpm, count: int) -> None:
    bpm.deploy_files(ONE)
    me, other = bpm.actor("head_nurse"), bpm.person("surgeon")
    items = held(bpm.db, start(bpm.db, bpm.actor("nurse"), "one", count))
    assert len(items) == count
    won = {"complete": 0, "reassign": 0, "send_back": 0}
    for item in items:
        does = {
            "complete": partial(answer, bpm.db, commands.complete, me, item.id, "approve"),
            "reassign": partial(answer, bpm.db, commands.reassign, me, item.id, to=other, reason="外出"),
            "send_back": partial(answer, bpm.db, commands.send_back, me, item.id, to="initiator", opinion="请补充"),
        }
        answers = dict(zip(does, at_once(*does.values()), strict=True))
        winners = [verb for verb, given in answers.items() if not isinstance(given, EngineError)]
        assert len(winners) == 1, answers
        assert all(isinstance(a, Conflict) for verb, a in answers.items() if verb != winners[0]), answers
        won[winners[0]] += 1
    assert all(won.values()), f"no race: {won}"
    invariants.require(bpm.db)
    with bpm.db.reading() as session:
        moved = session.execute(select(Instance.version, func.count()).group_by(Instance.version)).all()
        assert moved == [(2, count)]
        decided = select(ActionLog.round_id).where(ActionLog.verb.in_(("complete", "return"))).group_by("round_id")
        assert session.scalars(decided.having(func.count() > 1)).all() == []


def test_a_countersign_of_many_at_once_loses_nobody(bpm: Bpm) -> None:
    people = crowd(bpm.db, PEOPLE)
    actors = {actor.person_id: actor for _, actor in people}
    countersign = people_task("countersign", [number for number, _ in people], inner='<piyue:round policy="all"/>')
    line = chain("s", "apply", "countersign", "confirm", "e")
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + countersign + task("confirm", "head_nurse") + line
    bpm.deploy_files(bpmn(body, key="many"))
    instances = start(bpm.db, bpm.actor("nurse"), "many", ROUNDS)
    items = held(bpm.db, instances)
    assert len(items) == PEOPLE * ROUNDS
    random.Random(7).shuffle(items)
    with ThreadPoolExecutor(8) as threads:
        done = threads.map(lambda i: answer(bpm.db, commands.complete, actors[i.assignee], i.id, "approve"), items)
    assert [d for d in done if isinstance(d, EngineError)] == []
    invariants.require(bpm.db)
    with bpm.db.reading() as session:
        steps = session.scalars(select(WorkRound.step).where(WorkRound.closed_at.is_(None))).all()
        assert steps == ["confirm"] * ROUNDS
        finished = select(func.count()).select_from(WorkItem).join(WorkRound, WorkRound.id == WorkItem.round_id)
        finished = finished.where(WorkRound.step == "countersign", WorkItem.state == ItemState.DONE)
        assert session.scalar(finished) == PEOPLE * ROUNDS


def test_one_key_sent_three_times_at_once_acts_once(bpm: Bpm) -> None:
    bpm.deploy_files(ONE)
    me = bpm.actor("head_nurse")
    for item in held(bpm.db, start(bpm.db, bpm.actor("nurse"), "one", 60)):
        tap = partial(answer, bpm.db, commands.complete, me, item.id, "approve", key=f"tap-{item.id}")
        answers = at_once(tap, tap, tap)
        assert [a for a in answers if isinstance(a, EngineError)] == []
        assert sorted(a.replayed for a in answers) == [False, True, True]
    nurse = bpm.actor("nurse")
    for number in range(20):
        send = partial(answer, bpm.db, commands.start, nurse, "one", data={}, key=f"start-{number}")
        answers = at_once(send, send, send)
        assert len({a.instance_id for a in answers}) == 1
    assert invariants.require(bpm.db) == 80


def test_all_readers_at_once_end_the_reading(bpm: Bpm) -> None:
    people = crowd(bpm.db, READERS)
    actors = {actor.person_id: actor for _, actor in people}
    reading = people_task("circulate", [number for number, _ in people], kind="read")
    line = chain("s", "apply", "circulate", "confirm", "e")
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + reading + task("confirm", "head_nurse") + line
    bpm.deploy_files(bpmn(body, key="reading"))
    for instance in start(bpm.db, bpm.actor("nurse"), "reading", 10):
        items = held(bpm.db, [instance])
        reads = [partial(answer, bpm.db, commands.acknowledge, actors[i.assignee], i.id) for i in items]
        assert at_once(*reads) == [True] * READERS
        bpm.work()
        assert [i.assignee for i in held(bpm.db, [instance])] == [bpm.person("head_nurse")]
    invariants.require(bpm.db)
