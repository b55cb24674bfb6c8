"""What the tests of queries share: rows of instances without an engine behind them, and a count of statements."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar

import pytest
from sqlalchemy.orm import Session

from engine.batch import Batch
from engine.bpm import runtime
from engine.bpm.definitions import pack
from engine.bpm.models import Copy, Instance, Process, ProcessVersion, WorkItem, WorkRound
from engine.db import Base
from engine.org.identity import actor_for
from engine.org.models import Person
from tests.dsl import bpmn, chain, start_task, task
from tests.factories import org
from tests.factories.statements import sent

_NUMBERS = count(1)
Row = TypeVar("Row", bound=Base)
NOON = datetime(2024, 5, 1, 4, tzinfo=UTC)


class Office:
    """Instances of one process whose diagram names a role as its readers."""

    def __init__(self, session: Session, extension: str = '<piyue:readers rule="role" role="archivist"/>') -> None:
        self.session = session
        self._minutes = count(1)
        number = next(_NUMBERS)
        self.key = f"process{number}"
        body = '<startEvent id="s"/>' + start_task() + task("review") + '<endEvent id="e"/>'
        files = bpmn(body + chain("s", "apply", "review", "e"), self.key, extension)
        process = Process(key=self.key, name=f"流程{number}")
        version = ProcessVersion(key=self.key, number=1, files=pack(files), digest="", deployed_at=NOON)
        session.add(process)
        session.flush()
        session.add(version)
        session.flush()
        process.current_version_id = version.id
        self._state = runtime.start(runtime.load(files), {}, now=NOON).state
        self.version = version.id
        self.nobody = org.person(session, "无关人员")

    def person(self, name: str = "", **values: Any) -> Person:
        """Add a person."""
        return org.person(self.session, name, **values)

    def instance(self, by: Person, title: str = "申请", **values: Any) -> Instance:
        """Add a running instance."""
        row = Instance(
            process_key=self.key,
            version_id=self.version,
            title=title,
            initiator_id=by.id,
            department_id=by.department_id,
            engine_state=self._state,
            data=values.pop("data", b"{}"),
            started_at=self.tick(),
            **values,
        )
        return self.added(row)

    def item(self, instance: Instance, who: Person, **values: Any) -> WorkItem:
        """Add an open item in a round of its own."""
        at = self.tick()
        kind = values.pop("kind", "decide")
        values = {"state": "open", "read_at": None, "closed_at": None, "why": "", "urgency": 0} | values
        round_ = WorkRound(
            instance_id=instance.id, task_id=2, step="review", step_name="审核", kind=kind, opened_at=at,
            closed_at=values["closed_at"],
        )  # fmt: skip
        self.added(round_)
        return self.added(
            WorkItem(
                round_id=round_.id,
                instance_id=instance.id,
                process_key=instance.process_key,
                kind=kind,
                assignee_id=who.id,
                opened_at=at,
                **values,
            )
        )

    def copy(self, instance: Instance, who: Person, sender: Person, **values: Any) -> Copy:
        """Copy an instance to a person."""
        return self.added(
            Copy(instance_id=instance.id, person_id=who.id, sender_id=sender.id, created_at=self.tick(), **values)
        )

    def added(self, row: Row) -> Row:
        """Write a row."""
        self.session.add(row)
        self.session.flush()
        return row

    def tick(self) -> datetime:
        """Return a moment later than the last one."""
        return NOON + timedelta(minutes=next(self._minutes))

    def actor(self, who: Person) -> Any:
        """Return a person as a viewer."""
        return actor_for(self.session, who.id)


Statements = Callable[[Session], AbstractContextManager[list[str]]]


@pytest.fixture
def office(session: Session) -> Office:
    """A process without instances."""
    return Office(session)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Statements:
    """Gather the statements that a session sends inside a block; a Batch is one."""

    @contextmanager
    def gather(session: Session) -> Iterator[list[str]]:
        sending = Batch.run
        with sent(session.connection().engine) as found, monkeypatch.context() as patched:

            def run(batch: Batch, session: Session) -> list[list[Any]]:
                found.append("batch")
                return sending(batch, session)

            patched.setattr(Batch, "run", run)
            yield found

    return gather


@pytest.fixture
def unknown() -> uuid.UUID:
    """An id that nothing has."""
    return uuid.uuid4()
