"""Playing stories: each act in a transaction of its own, then what the worker would do, then the next."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm import definitions
from engine.bpm.commands.complete import complete
from engine.bpm.commands.ending import terminate, withdraw
from engine.bpm.commands.events import send_message
from engine.bpm.commands.people import circulate, claim, reassign, unclaim
from engine.bpm.commands.reading import acknowledge
from engine.bpm.commands.returning import send_back, take_back
from engine.bpm.commands.start import start
from engine.bpm.commands.talking import comment, copy, urge
from engine.bpm.commands.timers import fire_due
from engine.bpm.models import ActionLog, Incident, Instance, InstanceState, ItemState, WorkItem, WorkRound
from engine.bpm.scenarios.staging import attach
from engine.bpm.scenarios.stories import EVERYONE, Act, Story, load
from engine.db import Database
from engine.errors import EngineError
from engine.org.actor import Actor
from engine.org.demo import CAST, DemoStaff, load_demo
from engine.org.identity import actor_for

_MOMENT = timedelta(seconds=1)
_ROUNDS = 1000  # of the worker after one act: more is a process that never comes to rest
_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Result:
    """How a story went; `problem` is None where it passed, else what was wrong at `step` (0: the start)."""

    file: str
    story: str
    step: int = 0
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the story went as written."""
        return self.problem is None

    def __str__(self) -> str:
        return f"{self.file}：{self.story}：" + (f"第 {self.step} 步：{self.problem}" if self.problem else "通过")


class _Unexpected(Exception):
    """What a story expects is not so."""


def run(db: Database, process_folder: Path) -> list[Result]:
    """Play every story of a folder's scenarios.yaml against a migrated database; one result each, in order.

    Loads the demo hospital and deploys the folder. Meant for a database of its own: the clock is frozen meanwhile and
    outbox and timers of everything in it are worked off. The caller has imported `engine.registry`. Raises Invalid
    where the stories can't be read or the linter refuses the process.
    """
    file = process_folder / "scenarios.yaml"
    stories = load(file.read_text(encoding="utf-8"), str(file))
    try:
        clock.freeze(stories[0].at)
        with db.unit_of_work() as session:
            staff = load_demo(session)
            version = definitions.deploy(session, None, _files(process_folder), note="scenarios")
        return [_play(db, staff, version.key, story, str(file)) for story in stories]
    finally:
        clock.freeze(None)


def _files(folder: Path) -> dict[str, str]:
    patterns = ("process.bpmn", "called/*.bpmn", "forms/*.json", "decisions/*.dmn")
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def _play(db: Database, staff: DemoStaff, process_key: str, story: Story, file: str) -> Result:
    clock.freeze(story.at)
    stage = _Stage(db, staff)
    step = 0
    try:
        if not stage.start(process_key, story):
            return Result(file, story.name)
        for step, act in enumerate(story.acts, 1):
            stage.act(act)
        step = len(story.acts) + 1
        stage.expect_end(story.end)
    except _Unexpected as problem:
        return Result(file, story.name, step, f"{problem}{stage.situation()}")
    except EngineError as error:
        return Result(file, story.name, step, f"{error.message}（{error.code}）{stage.situation()}")
    finally:
        stage.clear()
    return Result(file, story.name)


class _Stage:
    """One story's instance and what may be done with it."""

    def __init__(self, db: Database, staff: DemoStaff) -> None:
        self._db, self._staff = db, staff
        self._instance: uuid.UUID | None = None
        self._did: dict[str, Callable[[Session, Mapping[str, Any]], object]] = {
            "complete": self._complete,
            "read": self._read,
            "claim": lambda s, a: claim(s, self._actor(s, a["by"]), self._item(s, a)),
            "unclaim": lambda s, a: unclaim(s, self._actor(s, a["by"]), self._item(s, a)),
            "return": self._return,
            "take_back": lambda s, a: take_back(s, self._actor(s, a["by"]), self._item(s, a, ItemState.DONE)),
            "reassign": lambda s, a: reassign(
                s, self._actor(s, a["by"]), self._item(s, a), to=self._staff.person(a["to"]), reason=a["reason"]
            ),
            "circulate": lambda s, a: circulate(
                s, self._actor(s, a["by"]), self._item(s, a), to=self._people(a["to"]), reason=a.get("reason", "")
            ),
            "withdraw": lambda s, a: withdraw(s, self._actor(s, a["by"]), self._id, reason=a["reason"]),
            "terminate": lambda s, a: terminate(s, self._actor(s, a["by"]), self._id, reason=a["reason"]),
            "urge": lambda s, a: urge(s, self._actor(s, a["by"]), self._id, text=a.get("text", "")),
            "comment": lambda s, a: comment(s, self._actor(s, a["by"]), self._id, text=a["text"]),
            "copy": lambda s, a: copy(
                s, self._actor(s, a["by"]), self._id, to=self._people(a["to"]), reason=a.get("reason", "")
            ),
            "message": self._message,
            "signal": self._signal,
        }
        self._expects: dict[str, Callable[[Session, Mapping[str, Any]], object]] = {
            "expect": self._expect,
            "expect_open": self._expect_open,
            "expect_closed": self._expect_closed,
            "expect_passed": self._expect_passed,
            "expect_incident": self._expect_incident,
        }

    @property
    def _id(self) -> uuid.UUID:
        assert self._instance is not None
        return self._instance

    # -- acting -----------------------------------------------------------------------------------------------------

    def start(self, process_key: str, story: Story) -> bool:
        """Start the instance; False where the story expects that to be refused, and it was."""

        def begin(session: Session) -> None:
            actor = self._actor(session, story.by)
            data = self._resolved(session, actor, story.data)
            self._instance = start(session, actor, process_key, data=data).instance_id

        if story.refused is not None:
            self._refused(story.refused, begin)
            return False
        with self._db.unit_of_work() as session:
            begin(session)
        self._work()
        return True

    def act(self, act: Act) -> None:
        """Do one step of the story, a moment after the one before."""
        clock.freeze(clock.now() + _MOMENT)
        if act.verb == "advance_clock":
            self._advance(act.args["duration"])
        elif act.verb == "refused":
            inner: Act = act.args["do"]
            self._refused(act.args["code"], lambda session: self._did[inner.verb](session, inner.args))
        elif act.verb in self._expects:
            with self._db.reading() as session:
                self._expects[act.verb](session, act.args)
        else:
            with self._db.unit_of_work() as session:
                self._did[act.verb](session, act.args)
            self._work()

    def _refused(self, code: str, attempt: Callable[[Session], object]) -> None:
        try:
            with self._db.unit_of_work() as session:
                attempt(session)
        except EngineError as error:
            if code not in ("any", error.code):
                raise _Unexpected(f"应以 {code} 拒绝，实际是 {error.code}：{error.message}") from error
        else:
            raise _Unexpected(f"应以 {code} 拒绝，却成功了")

    def _advance(self, duration: timedelta) -> None:
        clock.freeze(clock.now() + duration)
        self._work()

    def _work(self) -> None:
        """Do what waits in the outbox and what is due, until nothing is; a row that fails fails the story."""
        for _ in range(_ROUNDS):
            rows = outbox.lease(self._db, "scenarios", _AT_ONCE)
            if not rows and not fire_due(self._db):
                return
            for row in rows:
                if outbox.run(self._db, row) != "done":
                    with self._db.reading() as session:
                        failed = session.get(outbox.Outbox, row.id)
                    raise _Unexpected(f"系统步骤失败（{row.system}.{row.topic}）：{failed and failed.last_error}")
        raise _Unexpected(f"系统步骤和定时器连续执行超过 {_ROUNDS} 轮")

    def _complete(self, session: Session, args: Mapping[str, Any]) -> None:
        actor = self._actor(session, args["by"])
        data = self._resolved(session, actor, args.get("data", {}))
        complete(session, actor, self._item(session, args), args["outcome"], opinion=args.get("opinion", ""), data=data)

    def _read(self, session: Session, args: Mapping[str, Any]) -> None:
        if args["by"] == EVERYONE:
            readers = [(i.id, actor_for(session, i.assignee_id)) for i in self._open(session, args["step"])]
            if not readers:
                raise _Unexpected(f"{args['step']} 没有待阅的人")
        else:
            readers = [(self._item(session, args), self._actor(session, args["by"]))]
        for item_id, actor in readers:
            acknowledge(session, actor, item_id, opinion=args.get("opinion", ""))

    def _return(self, session: Session, args: Mapping[str, Any]) -> None:
        actor, item = self._actor(session, args["by"]), self._item(session, args)
        send_back(session, actor, item, to=args["to"], mode=args["mode"], opinion=args["opinion"])

    def _message(self, session: Session, args: Mapping[str, Any]) -> None:
        correlation = str(self._value(session, None, args["correlation"]))
        send_message(session, args["name"], correlation=correlation, payload=args.get("data"), key=uuid.uuid4().hex)

    def _signal(self, session: Session, args: Mapping[str, Any]) -> None:
        event = {"kind": "signal", "name": args["name"], "correlation": "", "payload": args.get("data", {})}
        outbox.enqueue(session, "event", f"signal:{args['name']}", "thrown", event)

    # -- expecting --------------------------------------------------------------------------------------------------

    def expect_end(self, end: Mapping[str, Any]) -> None:
        """Check how the story ends."""
        with self._db.reading() as session:
            state = self._row(session).state
            if state != end["state"]:
                raise _Unexpected(f"结束时应为 {end['state']}，实际是 {state}")
            self._expect(session, {"data": end.get("data", {})})
            path = self._path(session)
        for element in end.get("passed", ()):
            if element not in path:
                raise _Unexpected(f"应经过 {element}，没有经过")
        for element in end.get("not_passed", ()):
            if element in path:
                raise _Unexpected(f"不应经过 {element}，却经过了")

    def _expect(self, session: Session, args: Mapping[str, Any]) -> None:
        row = self._row(session)
        for name in ("title", "summary", "urgency"):
            if name in args and getattr(row, name) != args[name]:
                raise _Unexpected(f"{name} 应为“{args[name]}”，实际是“{getattr(row, name)}”")
        data = orjson.loads(row.data)
        for key, wanted in args.get("data", {}).items():
            wanted = self._value(session, None, wanted)
            if data.get(key) != wanted:
                raise _Unexpected(f"数据 {key} 应为 {wanted}，实际是 {data.get(key)}")
        for key in args.get("present", ()):
            if not data.get(key):
                raise _Unexpected(f"数据里没有 {key}")

    def _expect_open(self, session: Session, args: Mapping[str, Any]) -> None:
        holders = {item.assignee_id for item in self._open(session, args["step"])}
        for name in _names(args["by"]):
            if self._staff.person(name) not in holders:
                raise _Unexpected(f"{args['step']} 应在{CAST[name].name}（{name}）的待办里")

    def _expect_closed(self, session: Session, args: Mapping[str, Any]) -> None:
        holders = {item.assignee_id for item in self._open(session, args["step"])}
        if args["by"] == EVERYONE and holders:
            raise _Unexpected(f"{args['step']} 应没有人要办，还有 {len(holders)} 人")
        for name in _names(args["by"]):
            if name != EVERYONE and self._staff.person(name) in holders:
                raise _Unexpected(f"{args['step']} 不应在{CAST[name].name}（{name}）的待办里")

    def _expect_passed(self, session: Session, args: Mapping[str, Any]) -> None:
        times = self._path(session).count(args["element"])
        if times != args.get("times", times or 1):
            raise _Unexpected(f"应经过 {args['element']} {args.get('times', 1)} 次，实际 {times} 次")

    def _expect_incident(self, session: Session, args: Mapping[str, Any]) -> None:
        query = select(Incident.id).where(
            Incident.instance_id == self._id, Incident.step == args["step"], Incident.kind == args["kind"]
        )
        if session.scalar(query) is None:
            raise _Unexpected(f"{args['step']} 应有异常 {args['kind']}")

    # -- looking ----------------------------------------------------------------------------------------------------

    def situation(self) -> str:
        """Say what is open, for the report of a problem."""
        if self._instance is None:
            return ""
        with self._db.reading() as session:
            row = self._row(session)
            query = (
                select(WorkRound.step, WorkItem.assignee_id)
                .join(WorkRound, WorkRound.id == WorkItem.round_id)
                .where(WorkItem.instance_id == row.id, WorkItem.state == ItemState.OPEN)
                .order_by(WorkItem.id)
            )
            keys = {self._staff.people[member.staff_number]: key for key, member in CAST.items()}
            steps: dict[str, list[str]] = {}
            for step, person_id in session.execute(query):
                steps.setdefault(step, []).append(keys.get(person_id, "…"))
        found = "；".join(f"{step}（{'、'.join(dict.fromkeys(people))}）" for step, people in steps.items())
        return f"。此时流程 {row.state}，打开的是：{found or '无'}"

    def clear(self) -> None:
        """End what the story has left running, and let the worker come to rest."""
        if self._instance is not None:
            with self._db.unit_of_work() as session:
                if self._row(session).state == InstanceState.RUNNING:
                    terminate(session, self._actor(session, "process_admin"), self._id, reason="场景结束")
            self._work()

    def _row(self, session: Session) -> Instance:
        return session.scalars(select(Instance).where(Instance.id == self._id)).one()

    def _open(self, session: Session, step: str) -> list[WorkItem]:
        query = (
            select(WorkItem)
            .join(WorkRound, WorkRound.id == WorkItem.round_id)
            .where(WorkItem.instance_id == self._id, WorkRound.step == step, WorkItem.state == ItemState.OPEN)
            .order_by(WorkItem.id)
        )
        return list(session.scalars(query))

    def _item(self, session: Session, args: Mapping[str, Any], state: ItemState = ItemState.OPEN) -> uuid.UUID:
        """Return the person's item of a step: the newest in the wished state, otherwise the newest."""
        query = (
            select(WorkItem)
            .join(WorkRound, WorkRound.id == WorkItem.round_id)
            .where(WorkItem.instance_id == self._id, WorkRound.step == args["step"])
            .where(WorkItem.assignee_id == self._staff.person(args["by"]))
            .order_by(WorkItem.id.desc())
        )
        items = session.scalars(query).all()
        if not items:
            raise _Unexpected(f"{args['step']} 没有到过{CAST[args['by']].name}（{args['by']}）")
        return next((item for item in items if item.state == state), items[0]).id

    def _path(self, session: Session) -> list[str]:
        query = select(ActionLog.path).where(ActionLog.instance_id == self._id).order_by(ActionLog.id)
        return [element for path in session.scalars(query) for element in orjson.loads(path)]

    # -- names and values -------------------------------------------------------------------------------------------

    def _actor(self, session: Session, name: str) -> Actor:
        return actor_for(session, self._staff.person(name))

    def _people(self, names: str | list[str]) -> list[uuid.UUID]:
        return [self._staff.person(name) for name in _names(names)]

    def _resolved(self, session: Session, actor: Actor, data: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self._value(session, actor, value) for key, value in data.items()}

    def _value(self, session: Session, actor: Actor | None, value: Any) -> Any:
        """Put ids in the place of `@doctor`, `@department:EK`, `@file:来文.pdf`, and the value for `@data:field`."""
        if isinstance(value, dict):
            return {key: self._value(session, actor, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value(session, actor, each) for each in value]
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        kind, _, name = value[1:].partition(":")
        if kind == "department" and name in self._staff.departments:
            return str(self._staff.departments[name])
        if kind == "file" and actor is not None:
            return str(attach(session, actor, name))
        if kind == "data":
            return orjson.loads(self._row(session).data).get(name)
        if not name and kind in CAST:
            return str(self._staff.person(kind))
        raise _Unexpected(f"不认识“{value}”，可用 @人、@department:科室、@file:文件名、@data:字段")


def _names(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
