"""Many people at once: threads that meet at a barrier, requests that come again as the service sends them again."""

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier
from typing import Any

from sqlalchemy import select

from engine.bpm import commands
from engine.bpm.models import ItemState, WorkItem
from engine.db import Database
from engine.errors import EngineError, Unavailable
from engine.org.actor import Actor
from engine.org.models import Person
from engine.org.queries import actor_for

Do = Callable[..., Any]
TRIES = 3  # of the service, where the engine was too busy


def act(db: Database, verb: Do, actor: Actor, *args: Any, **options: Any) -> Any:
    """Run one command as the service does: in a transaction, again where it was too busy to begin."""
    for attempt in range(1, TRIES + 1):
        try:
            with db.unit_of_work() as session:
                return verb(session, actor, *args, **options)
        except Unavailable:
            if attempt == TRIES:
                raise
    raise AssertionError("unreachable")


def answer(db: Database, verb: Do, actor: Actor, *args: Any, **options: Any) -> Any:
    """Run one command; a refusal is an answer too, anything else is a defect and goes up."""
    try:
        return act(db, verb, actor, *args, **options)
    except EngineError as refusal:
        return refusal


def at_once(*work: Callable[[], Any]) -> list[Any]:
    """Do several things at the same moment, each in a thread; return what each gave."""
    barrier = Barrier(len(work))

    def meet(one: Callable[[], Any]) -> Any:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(work)) as threads:
        return list(threads.map(meet, work))


def await_waiting(db: Database) -> None:
    """Wait until somebody waits for a lock in this database."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(1_000):
        with db.reading() as session:
            if session.connection().exec_driver_sql(waiting).scalar_one():
                return
        time.sleep(0.005)
    raise AssertionError("nobody waits")


def start(db: Database, actor: Actor, key: str, count: int) -> list[uuid.UUID]:
    """Start a process some times."""
    return [act(db, commands.start, actor, key, data={}).instance_id for _ in range(count)]


@dataclass(frozen=True, slots=True)
class Held:
    """An open item and who holds it."""

    id: uuid.UUID
    instance: uuid.UUID
    assignee: uuid.UUID


def held(db: Database, instances: Sequence[uuid.UUID]) -> list[Held]:
    """Return the open items of instances."""
    with db.reading() as session:
        rows = session.execute(
            select(WorkItem.id, WorkItem.instance_id, WorkItem.assignee_id)
            .where(WorkItem.instance_id.in_(instances), WorkItem.state == ItemState.OPEN)
            .order_by(WorkItem.id)
        )
        return [Held(*row) for row in rows]


def crowd(db: Database, count: int) -> list[tuple[str, Actor]]:
    """Return some active people with their staff numbers."""
    with db.reading() as session:
        rows = session.execute(
            select(Person.staff_number, Person.id)
            .where(Person.disabled_at.is_(None))
            .order_by(Person.staff_number.desc())
            .limit(count)
        )
        return [(number, actor_for(session, id_)) for number, id_ in rows]


def people_task(name: str, numbers: Sequence[str], kind: str = "decide", inner: str = "") -> str:
    """Return a user task for anybody by staff number."""
    return (
        f'<userTask id="{name}" name="{name}"><extensionElements><piyue:task kind="{kind}"/>'
        f'<piyue:assign rule="person" persons="{" ".join(numbers)}"/>{inner}</extensionElements></userTask>'
    )
