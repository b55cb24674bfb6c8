"""Playing stories: each act in a transaction of its own, then what the worker would do, then the next."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm import definitions
from engine.bpm.commands.ending import terminate
from engine.bpm.commands.start import start
from engine.bpm.commands.timers import fire_due
from engine.bpm.models import InstanceState
from engine.bpm.scenarios.acting import ACTS
from engine.bpm.scenarios.coverage import gaps
from engine.bpm.scenarios.expecting import EXPECTS, expect_end
from engine.bpm.scenarios.scene import Scene, Unexpected
from engine.bpm.scenarios.stories import Act, Story, load
from engine.db import Database
from engine.errors import EngineError
from engine.org.demo import DemoStaff, load_demo

_MOMENT = timedelta(seconds=1)  # between two acts: nothing in life happens at the same moment
_ROUNDS = 1000  # of the worker after one act: more is a process that never comes to rest
_AT_ONCE = 50
_FILES = ("process.bpmn", "called/*.bpmn", "forms/*.json", "decisions/*.dmn")


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


@dataclass(frozen=True, slots=True)
class Report:
    """How the stories of a folder went, one result each in order, and what none of them has shown (`gaps`)."""

    results: list[Result]
    gaps: list[str]


def run(db: Database, process_folder: Path) -> Report:
    """Play every story of a folder's scenarios.yaml against a migrated database.

    Loads the demo hospital and deploys the folder. Meant for a database of its own: the clock is frozen meanwhile, and
    outbox and timers of everything in it are worked off. The caller has imported `engine.registry`. Raises Invalid
    where the stories can't be read or the linter refuses the process.
    """
    file = process_folder / "scenarios.yaml"
    stories = load(file.read_text(encoding="utf-8"), str(file))
    try:
        clock.freeze(stories[0].at)
        with db.unit_of_work() as session:
            staff = load_demo(session)
            deployed = definitions.deploy(session, None, _files(process_folder), note="scenarios")
        results = [_play(db, staff, deployed.key, story, str(file)) for story in stories]
        with db.reading() as session:
            return Report(results, gaps(session, definitions.current(session, deployed.key)))
    finally:
        clock.freeze(None)


def _files(folder: Path) -> dict[str, str]:
    found = (path for pattern in _FILES for path in sorted(folder.glob(pattern)))
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in found}


def _play(db: Database, staff: DemoStaff, process_key: str, story: Story, file: str) -> Result:
    clock.freeze(story.at)
    stage = _Stage(db, Scene(staff))
    step = 0
    try:
        stage.start(process_key, story)
        for act in story.acts:
            step += 1
            stage.act(act)
        step += 1
        stage.end(story)
    except (Unexpected, EngineError) as error:
        problem = f"{error.message}（{error.code}）" if isinstance(error, EngineError) else str(error)
        return Result(file, story.name, step, f"{problem}。{stage.situation()}")
    finally:
        stage.clear()
    return Result(file, story.name)


class _Stage:
    """Where a story's acts meet the database, the worker and the clock."""

    def __init__(self, db: Database, scene: Scene) -> None:
        self._db, self._scene = db, scene

    def start(self, process_key: str, story: Story) -> None:
        """Start the instance, or see it refused."""
        scene = self._scene

        def begin(session: Session) -> None:
            actor = scene.actor(session, story.by)
            scene.started = start(
                session, actor, process_key, data=scene.resolve(session, actor, story.data)
            ).instance_id

        self._do(begin, story.refused)

    def act(self, act: Act) -> None:
        """Do one step of the story, a moment after the one before."""
        clock.freeze(clock.now() + _MOMENT)
        if act.verb == "advance_clock":
            clock.freeze(clock.now() + act.args["duration"])
            self._work()
        elif act.verb in EXPECTS:
            with self._db.reading() as session:
                EXPECTS[act.verb](session, self._scene, act.args)
        else:
            inner, code = (act.args["do"], act.args["code"]) if act.verb == "refused" else (act, None)
            self._do(lambda session: ACTS[inner.verb](session, self._scene, inner.args), code)

    def end(self, story: Story) -> None:
        """Check how the story ends; one whose start was refused has ended with that."""
        if story.refused is None:
            with self._db.reading() as session:
                expect_end(session, self._scene, story.end)

    def _do(self, work: Callable[[Session], None], code: str | None) -> None:
        """Do something in a transaction, then what the worker would; with a `code` it must be refused."""
        try:
            with self._db.unit_of_work() as session:
                work(session)
        except EngineError as error:
            if code is None:
                raise
            if code not in ("any", error.code):
                raise Unexpected(f"应以 {code} 拒绝，实际是 {error.code}：{error.message}") from error
        else:
            if code is not None:
                raise Unexpected(f"应以 {code} 拒绝，却成功了")
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
                    reason = failed.last_error if failed else ""
                    raise Unexpected(f"系统步骤失败（{row.system}.{row.topic}）：{reason}")
        raise Unexpected(f"系统步骤和定时器连续执行超过 {_ROUNDS} 轮")

    def situation(self) -> str:
        """Say what is open, for the report of a problem."""
        if self._scene.started is None:
            return "流程没有发起"
        with self._db.reading() as session:
            return self._scene.situation(session)

    def clear(self) -> None:
        """End what the story has left running, and let the worker come to rest."""
        if self._scene.started is None:
            return
        with self._db.unit_of_work() as session:
            if self._scene.instance(session).state == InstanceState.RUNNING:
                admin = self._scene.actor(session, "process_admin")
                terminate(session, admin, self._scene.instance_id, reason="场景结束")
        self._work()
