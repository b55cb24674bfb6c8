"""All commands at random on few instances, by eight threads and the worker: only refusals, no deadlock, all sound.

The process has a step that may be claimed, a countersign, a reading, an order in turn, a loop and timers, so that the
commands meet on the same rows from different sides.
"""

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from sqlalchemy import select

from engine import outbox
from engine.bpm import commands
from engine.bpm.models import Instance, InstanceState, ItemKind, WorkItem, WorkRound
from engine.errors import EngineError
from engine.org.actor import Actor
from tests.dsl import Bpm, bpmn, chain, flow, start_task, task
from tests.faults import invariants
from tests.faults.crowd import answer

INSTANCES, THREADS = 5, 8
PEOPLE = ("head_nurse", "surgeon", "pediatrics_head", "doctor", "hr_head", "office_clerk", "nurse")
STEPS = ("apply", "claimed", "countersign", "circulate", "in_turn")

pytestmark = [pytest.mark.faults, pytest.mark.backend("postgresql")]

ALARM = (
    '<boundaryEvent id="late" attachedToRef="claimed" cancelActivity="false"><timerEventDefinition>'
    "<timeCycle>R3/PT1S</timeCycle></timerEventDefinition></boundaryEvent>"
    '<boundaryEvent id="over" attachedToRef="circulate"><timerEventDefinition>'
    "<timeDuration>PT2S</timeDuration></timerEventDefinition></boundaryEvent>"
)
PROCESS = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><endEvent id="told"/><exclusiveGateway id="again"/>'
    '<parallelGateway id="split"/><parallelGateway id="join"/><exclusiveGateway id="read"/>'
    '<exclusiveGateway id="agreed" default="agreed_again"/>'
    + start_task()
    + task("claimed", "head_nurse", "surgeon", "doctor", inner='<piyue:round policy="any"/>')
    + task("countersign", "pediatrics_head", "doctor", "hr_head", inner='<piyue:round policy="all"/>')
    + task("circulate", "head_nurse", "hr_head", "office_clerk", kind="read")
    + task("in_turn", "hr_head", "pediatrics_head", inner='<piyue:round policy="in_turn" veto="true"/>')
    + task("reminder", "nurse", kind="read", inner='<piyue:round policy="none"/>')
    + ALARM
    + chain("s", "apply", "again", "split", "claimed", "join", "in_turn", "agreed", "again")
    + chain("split", "countersign", "join")
    + chain("split", "circulate", "read", "join")
    + flow("over", "read")
    + chain("late", "reminder", "told")
    + flow("agreed", "e", 'outcome = "approve"'),
    key="mixture",
)

Answer = Callable[..., Any]


class Thread:
    """One of the threads: does something random, with somebody who may or may not do it."""

    def __init__(self, bpm: Bpm, actors: dict[uuid.UUID, Actor], seed: int) -> None:
        self._bpm, self._actors, self._random = bpm, actors, random.Random(seed)
        self.answers: Counter[str] = Counter()

    def run(self, stop: Event) -> "Thread":
        """Act until the others stop; whatever is no refusal goes up."""
        while not stop.is_set():
            self._act()
        return self

    def _act(self) -> None:
        running, items = self._seen()
        if len(running) < INSTANCES:
            self._do(commands.start, self._bpm.actor("nurse"), "mixture", data={})
            return
        instance = self._random.choice(running)
        here = [i for i in items if i.instance_id == instance] or items
        live = [i for i in here if i.state in invariants.LIVE] or here
        item = self._random.choice(live if self._random.random() < 0.8 else here)
        mine = self._actors.get(item.assignee_id) if self._random.random() < 0.9 else None
        me = mine or self._random.choice(list(self._actors.values()))
        verb, args, options = self._random.choices(*self._choice(item, instance))[0]
        self._do(verb, self._bpm.actor("process_admin") if verb in ADMINS else me, *args, **options)

    def _do(self, verb: Answer, actor: Actor, *args: Any, **options: Any) -> None:
        given = answer(self._bpm.db, verb, actor, *args, **options)
        self.answers[f"{verb.__name__} {given.code if isinstance(given, EngineError) else 'done'}"] += 1

    def _seen(self) -> tuple[list[uuid.UUID], list[WorkItem]]:
        with self._bpm.db.reading() as session:
            running = session.scalars(select(Instance.id).where(Instance.state == InstanceState.RUNNING)).all()
            live = select(WorkItem).where(WorkItem.instance_id.in_(running))
            # some that are done too: they are taken back, or refused
            return list(running), list(session.scalars(live.order_by(WorkItem.id.desc()).limit(60)).all())

    def _task(self, item: WorkItem) -> int:
        with self._bpm.db.reading() as session:
            return session.scalars(select(WorkRound.task_id).where(WorkRound.id == item.round_id)).one()

    def _choice(self, item: WorkItem, instance: uuid.UUID) -> tuple[list[tuple[Answer, Any, Any]], list[float]]:
        other = self._random.choice(list(self._actors))
        outcome = self._random.choice(("approve", "approve", "approve", "reject"))
        done: Answer = commands.acknowledge if item.kind == ItemKind.READ else commands.complete
        decide: Any = ((item.id,), {}) if item.kind == ItemKind.READ else ((item.id, outcome), {"opinion": "意见"})
        if item.kind == ItemKind.FILL:
            decide = ((item.id, "submit"), {})
        reason = {"reason": "理由"}
        weighed: list[tuple[float, Answer, Any, Any]] = [
            (10.0, done, *decide),
            (
                2.0,
                commands.complete,
                (item.id, "acknowledge" if item.kind == ItemKind.READ else outcome),
                {"opinion": "好"},
            ),
            (
                2.0,
                commands.send_back,
                (item.id,),
                {"to": self._random.choice(("initiator", "previous")), "opinion": "补"},
            ),
            (3.0, commands.take_back, (item.id,), {}),
            (3.0, commands.claim, (item.id,), {}),
            (2.0, commands.unclaim, (item.id,), {}),
            (2.0, commands.reassign, (item.id,), {"to": other} | reason),
            (1.0, commands.circulate, (item.id,), {"to": [other]}),
            (0.5, commands.comment, (instance,), {"text": "请尽快"}),
            (0.5, commands.urge, (instance,), {}),
            (0.5, commands.copy, (instance,), {"to": [other]}),
            (1.0, commands.save_draft, (), {"content": {"opinion": "草稿"}, "item_id": item.id}),
            (0.3, commands.withdraw, (instance,), reason),
            (0.1, commands.terminate, (instance,), reason),
            (0.7, commands.jump, (instance,), {"task_id": self._task(item), "to": self._random.choice(STEPS)} | reason),
        ]
        return [(verb, args, options) for _, verb, args, options in weighed], [weight for weight, *_ in weighed]


ADMINS = (commands.terminate, commands.jump)


def _worker(bpm: Bpm, stop: Event, name: str) -> None:
    while not stop.is_set():
        commands.fire_due(bpm.db)
        for row in outbox.lease(bpm.db, name, 20):
            outbox.run(bpm.db, row)
        time.sleep(0.02)


@pytest.mark.parametrize("seconds", [12, pytest.param(120, marks=pytest.mark.slow)])
def test_whatever_many_do_at_once_every_instance_stays_sound(bpm: Bpm, seconds: int) -> None:
    bpm.deploy_files(PROCESS)
    actors = {bpm.person(who): bpm.actor(who) for who in PEOPLE}
    stop = Event()
    threads = [Thread(bpm, actors, seed) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS + 2) as pool:
        work = [pool.submit(thread.run, stop) for thread in threads]
        workers = [pool.submit(_worker, bpm, stop, f"worker{n}") for n in range(2)]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not any(w.done() for w in work) and not any(w.done() for w in workers):
            time.sleep(0.1)  # until the time is over, or somebody has come upon a defect
        stop.set()
        answers: Counter[str] = sum((w.result().answers for w in work), Counter())
        for w in workers:
            w.result()
    bpm.work()
    verbs = {name.split()[0] for name in answers if name.endswith(" done")}
    assert {"start", "complete", "send_back", "take_back", "claim", "reassign", "acknowledge", "jump"} <= verbs, answers
    assert "busy" not in {name.split()[1] for name in answers}, answers
    invariants.require(bpm.db)
    with bpm.db.reading() as session:
        statement = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        assert session.connection().exec_driver_sql(statement).scalar_one() == 0, answers
