"""Stories about processes, as tests tell them: `bpm.start("leave_request", by="nurse", …).approve(by="head")`.

People are members of the demo cast by their short names. After every act the worker's rows are handled, so that what
follows from it has happened.
"""

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import select, update
from sqlalchemy.orm import undefer

import engine.registry  # noqa: F401  (registers tables, operations, handlers)
from engine import clock, outbox
from engine.bpm import commands, definitions, lint, runtime
from engine.bpm.lint import folder
from engine.bpm.models import ActionLog, Instance, ItemState, WorkItem, WorkRound
from engine.db import Database
from engine.org.actor import Actor
from engine.org.demo import CAST, DemoStaff, load_demo
from engine.org.models import Person
from engine.org.queries import actor_for
from engine.settings import ROOT

_keys = itertools.count()


@dataclass(frozen=True, slots=True)
class Item:
    """A work item as a test sees it."""

    id: uuid.UUID
    step: str
    person: str
    state: str
    outcome: str | None
    why: str


class Bpm:
    """A hospital with its processes in a database of its own."""

    def __init__(self, db: Database, staff: DemoStaff | None = None) -> None:
        """Load the demo hospital; `staff` is given where it is known to be there."""
        self.db = db
        if staff is None:
            with db.unit_of_work() as session:
                staff = load_demo(session)
        self.staff = staff
        self._names = {self.staff.people[m.staff_number]: key for key, m in CAST.items()}

    def actor(self, who: str) -> Actor:
        """Return a member of the cast, as they are now."""
        with self.db.reading() as session:
            return actor_for(session, self.staff.person(who))

    def person(self, who: str) -> uuid.UUID:
        """Return a member's id."""
        return self.staff.person(who)

    def deploy(self, *keys: str) -> "Bpm":
        """Deploy shipped processes by their keys."""
        for key in keys:
            folder = ROOT / "processes" / key
            self.deploy_files(_files(folder))
        return self

    def deploy_files(self, files: Mapping[str, str | bytes]) -> "Bpm":
        """Deploy a process from texts.

        Once linted they are loaded right here, without the rehearsal in a child process: a third of a second each time.
        What this test process has linted and loaded before, for people and roles of the same names, isn't again.
        """
        with (
            self.db.unit_of_work() as session,
            patch.object(folder, "load_findings", return_value=[]),
            patch.object(lint, "check", _lint),
            patch.object(runtime, "load", _load),
        ):
            row = definitions.deploy(session, None, files)
            texts = frozenset(definitions.unpack(row.files).items())
            version = _versions.get(texts) or definitions.version(session, row.id)
        _versions[texts] = definitions._cache[row.id] = replace(version, id=row.id, number=row.number)
        return self

    def start(self, key: str, by: str, **data: Any) -> "Story":
        """Start a process."""
        with self.db.unit_of_work() as session:
            started = commands.start(session, self.actor(by), key, data=data, key=f"start-{next(_keys)}")
        self.work()
        return Story(self, started.instance_id)

    def only_the_cast(self) -> "Bpm":
        """Let all others have left: for what asks everybody who works at the hospital."""
        others = Person.staff_number.not_in([each.staff_number for each in CAST.values()]) & ~Person.system
        with self.db.unit_of_work() as session:
            session.execute(update(Person).where(others, Person.disabled_at.is_(None)).values(disabled_at=clock.now()))
        return self

    def work(self) -> None:
        """Handle due timers and outbox rows until none is due."""
        busy = True
        while busy:
            fired = commands.fire_due(self.db)
            rows = outbox.lease(self.db, "test", 100)
            for row in rows:
                outbox.run(self.db, row)
            busy = bool(fired or rows)

    def name(self, person_id: uuid.UUID) -> str:
        """Return the cast's name of a person, or the id as text."""
        return self._names.get(person_id, str(person_id))


class Story:
    """One instance; each act returns the story, so that it reads as one sentence."""

    def __init__(self, bpm: Bpm, instance_id: uuid.UUID) -> None:
        self.bpm, self.id = bpm, instance_id

    # -- looking ----------------------------------------------------------------------------------------------------

    def items(self, *states: str) -> list[Item]:
        """Return the instance's items, oldest first; of these states, or open ones."""
        with self.bpm.db.reading() as session:
            rows = session.execute(
                select(WorkItem, WorkRound.step)
                .join(WorkRound, WorkRound.id == WorkItem.round_id)
                .where(WorkItem.instance_id == self.id, WorkItem.state.in_(states or (ItemState.OPEN,)))
                .order_by(WorkItem.id)
            ).all()
        return [Item(i.id, step, self.bpm.name(i.assignee_id), i.state, i.outcome, i.why) for i, step in rows]

    @property
    def open(self) -> set[tuple[str, str]]:
        """What is open: (step, person)."""
        return {(i.step, i.person) for i in self.items()}

    @property
    def open_steps(self) -> set[str]:
        """The steps that are open."""
        return {i.step for i in self.items()}

    @property
    def instance(self) -> Instance:
        """The instance's row, with its state and data."""
        with self.bpm.db.reading() as session:
            row = session.get(Instance, self.id, options=[undefer(Instance.data), undefer(Instance.engine_state)])
            assert row is not None
            return row

    @property
    def trail(self) -> list[tuple[str, str | None, str | None]]:
        """The trail as (verb, step, outcome)."""
        with self.bpm.db.reading() as session:
            rows = session.execute(
                select(ActionLog.verb, ActionLog.step, ActionLog.outcome)
                .where(ActionLog.instance_id == self.id)
                .order_by(ActionLog.id)
            )
            return [(verb, step, outcome) for verb, step, outcome in rows]

    def item(self, by: str, step: str | None = None, *states: str) -> Item:
        """Return a person's item; open ones where no state is given."""
        mine = [i for i in self.items(*states) if i.person == by and step in (None, i.step)]
        assert mine, f"{by} has nothing {states or 'open'} at {step or 'any step'}; open: {self.open}"
        return mine[-1]

    # -- acting -----------------------------------------------------------------------------------------------------

    def act(self, verb: str, by: str, *args: Any, **options: Any) -> "Story":
        """Run a command on an item or on the instance, then let the worker follow."""
        with self.bpm.db.unit_of_work() as session:
            getattr(commands, verb)(session, self.bpm.actor(by), *args, **options)
        self.bpm.work()
        return self

    def complete(self, by: str, outcome: str, step: str | None = None, opinion: str = "意见", **data: Any) -> "Story":
        """Complete the person's open item with an outcome."""
        return self.act("complete", by, self.item(by, step).id, outcome, opinion=opinion, data=data)

    def approve(self, by: str, step: str | None = None, **data: Any) -> "Story":
        """Agree (同意)."""
        return self.complete(by, "approve", step, **data)

    def reject(self, by: str, step: str | None = None) -> "Story":
        """Refuse (不同意)."""
        return self.complete(by, "reject", step)

    def submit(self, by: str, step: str | None = None, **data: Any) -> "Story":
        """Fill a step (提交)."""
        return self.complete(by, "submit", step, **data)

    def send_back(self, by: str, to: str = "previous", mode: str = "rewalk", step: str | None = None) -> "Story":
        """Return (退回)."""
        return self.act("send_back", by, self.item(by, step).id, to=to, mode=mode, opinion="请补充")

    def read(self, by: str, step: str | None = None) -> "Story":
        """Acknowledge (已阅)."""
        return self.act("acknowledge", by, self.item(by, step).id)

    def expect_open(self, *expected: tuple[str, str] | str) -> "Story":
        """Assert exactly what is open: steps, or (step, person) pairs."""
        found = (
            {(i.step, i.person) if isinstance(expected[0], tuple) else i.step for i in self.items()}
            if expected
            else self.open
        )
        assert found == set(expected), f"open: {found}, expected: {set(expected)}"
        return self

    def expect_state(self, state: str) -> "Story":
        """Assert the instance's state."""
        assert self.instance.state == state, self.instance.state
        return self


def dates(first: int, last: int) -> dict[str, str]:
    """Return the first and last day of a leave, so many days from today."""
    start, end = (clock.today() + timedelta(days=n) for n in (first, last))
    return {"start_date": start.isoformat(), "end_date": end.isoformat()}


_lint_now, _load_now = lint.check, runtime.load
_findings: dict[tuple[object, ...], list[lint.Finding]] = {}
_definitions: dict[frozenset[tuple[str, str]], runtime.Definition] = {}
_versions: dict[frozenset[tuple[str, str]], definitions.Version] = {}


def _lint(files: Mapping[str, str], *, known: lint.Known) -> list[lint.Finding]:
    names = (known.operations, known.roles, known.departments, known.persons, known.processes)
    key = (frozenset(files.items()), *names)
    if key not in _findings:
        _findings[key] = _lint_now(files, known=known)
    return _findings[key]


def _load(files: Mapping[str, str]) -> runtime.Definition:
    key = frozenset(files.items())
    if key not in _definitions:
        _definitions[key] = _load_now(files)
    return _definitions[key]


def _files(folder: Path) -> dict[str, str | bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.suffix in (".bpmn", ".json", ".dmn"))
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


def bpmn(body: str, key: str = "p", extension: str = "") -> dict[str, str]:
    """Return the files of a process from the elements of its body."""
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" '
        'xmlns:piyue="urn:piyue:bpmn" id="d" targetNamespace="urn:test">'
        f'<process id="{key}" name="{key}" isExecutable="true"><extensionElements>{extension}</extensionElements>{body}'
        "</process></definitions>"
    )
    return {"process.bpmn": xml}


def task(name: str, *persons: str, kind: str = "decide", inner: str = "") -> str:
    """Return a user task for members of the cast."""
    numbers = " ".join(CAST[p].staff_number for p in persons)
    assign = f'<piyue:assign rule="person" persons="{numbers}"/>' if persons else '<piyue:assign rule="initiator"/>'
    return (
        f'<userTask id="{name}" name="{name}"><extensionElements><piyue:task kind="{kind}"/>{assign}{inner}'
        "</extensionElements></userTask>"
    )


def start_task(name: str = "apply") -> str:
    """Return the initiator's step."""
    return (
        f'<userTask id="{name}" name="{name}"><extensionElements><piyue:task kind="fill" start="true"/>'
        '<piyue:assign rule="initiator"/></extensionElements></userTask>'
    )


def flow(source: str, target: str, condition: str = "") -> str:
    """Return a sequence flow."""
    inner = f"<conditionExpression>{condition}</conditionExpression>" if condition else ""
    return f'<sequenceFlow id="{source}_{target}" sourceRef="{source}" targetRef="{target}">{inner}</sequenceFlow>'


def chain(*names: str) -> str:
    """Return the flows of a line of elements."""
    return "".join(flow(a, b) for a, b in itertools.pairwise(names))
