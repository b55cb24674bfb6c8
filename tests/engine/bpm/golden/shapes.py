"""Instances in every shape that a state can have, and how a saved one goes on to its end.

`python -m tests.engine.bpm.golden.shapes` keeps the states of this release beside this file, once; a kept one is never
written anew, for it stands for the instances that hospitals have under way.
"""

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.bpm import runtime
from engine.settings import ROOT
from tests.dsl import chain, flow, task
from tests.engine.bpm.contracts.kit import boundary, diagram, sub, timer

HERE = Path(__file__).resolve().parent
NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
ENDS = '<startEvent id="s"/><endEvent id="e"/>'
MESSAGE = '<messageEventDefinition messageRef="m"/>'
STEPS = 200  # of an instance on its way to the end: more is one that never ends


class Walk:
    """An instance between two events: its state, its data and what is open, by kind."""

    def __init__(
        self,
        files: Mapping[str, str],
        state: bytes = b"",
        data: dict[str, Any] | None = None,
        waiting: dict[int, tuple[str, str]] | None = None,
    ) -> None:
        self.definition = runtime.load(files)
        self.state, self.data, self.open = state, data or {}, waiting or {}
        self.path: list[str] = []
        self.finished = False

    def start(self, **data: Any) -> "Walk":
        """Start it."""
        return self._take(runtime.start(self.definition, data, now=NOW))

    def do(self, event: runtime.Event) -> "Walk":
        """Apply an event."""
        return self._take(runtime.advance(self.definition, self.state, self.data, event, now=NOW))

    def task(self, element: str) -> int:
        """Return the oldest open task at an element."""
        return min(i for i, (_, where) in self.open.items() if where == element)

    def complete(self, step: str, outcome: str = "approve", **data: Any) -> "Walk":
        """Complete the oldest open task of a step."""
        return self.do(runtime.Complete(self.task(step), outcome, data))

    def finish(self) -> list[str]:
        """Let everything happen that is waited for, people last, the oldest first; return what was walked."""
        for _ in range(STEPS):
            if self.finished:
                return self.path
            task_id = min(self.open, key=lambda i: (self.open[i][0] == "step", i))
            events: dict[str, Callable[[], runtime.Event]] = {
                "step": lambda i=task_id: runtime.Complete(i, "approve"),  # type: ignore[misc]
                "timer": lambda i=task_id: runtime.Fire(i),  # type: ignore[misc]
                "wait": lambda i=task_id: runtime.Deliver(i),  # type: ignore[misc]
                "job": lambda i=task_id: runtime.JobDone(i),  # type: ignore[misc]
            }
            self.do(events[self.open[task_id][0]]())
        raise AssertionError(f"it doesn't end: {self.open}")

    def targets(self) -> dict[str, list[str]]:
        """Return where each open step may be returned to."""
        return {
            f"{i} {element}": runtime.back_targets(self.definition, self.state, i)
            for i, (kind, element) in sorted(self.open.items())
            if kind == "step"
        }

    def _take(self, change: runtime.Change) -> "Walk":
        gone = {*change.gone, *(c.task_id for c in change.closed)}
        self.open = {i: what for i, what in self.open.items() if i not in gone}
        self.open |= {o.task_id: ("step", o.step) for o in change.opened}
        self.open |= {t.task_id: ("timer", t.element) for t in change.timers}
        self.open |= {w.task_id: ("wait", w.element) for w in change.waits}
        self.open |= {j.task_id: ("job", j.element) for j in change.jobs}
        self.state, self.data, self.finished = change.state, change.data, change.finished
        self.path += change.path
        return self


@dataclass(frozen=True)
class Shape:
    """A process and how an instance of it comes to the shape."""

    files: Mapping[str, str]
    reach: Callable[[Walk], Walk]


def _many(sequential: bool) -> str:
    return (
        f'<multiInstanceLoopCharacteristics isSequential="{str(sequential).lower()}"><loopDataInputRef>people'
        '</loopDataInputRef><loopDataOutputRef>answers</loopDataOutputRef><inputDataItem id="i" name="one"/>'
        '<outputDataItem id="o" name="answer"/></multiInstanceLoopCharacteristics>'
    )


def _box(inner: str, more: str = "") -> dict[str, str]:
    steps = ("ask", task("ask")), ("note", task("note"))
    return diagram(
        ENDS
        + task("before")
        + sub("box", *steps, inner=inner)
        + more
        + task("after")
        + chain("s", "before", "box", "after", "e")
    )


def _pause(name: str, inner: str) -> str:
    return f'<intermediateCatchEvent id="{name}">{inner}</intermediateCatchEvent>'


JOIN_IN_LOOP = diagram(
    ENDS
    + '<parallelGateway id="fork"/><parallelGateway id="join"/><exclusiveGateway id="x" default="x_e"/>'
    + '<exclusiveGateway id="again"/>'
    + task("a")
    + task("b")
    + task("check")
    + chain("s", "again", "fork", "a", "join", "check", "x", "e")
    + chain("fork", "b", "join")
    + flow("x", "again", 'outcome = "reject"')
)
INCLUSIVE = diagram(
    ENDS
    + '<inclusiveGateway id="fork" default="fork_c"/><inclusiveGateway id="join"/>'
    + task("a")
    + task("b")
    + task("c")
    + task("last")
    + chain("s", "fork")
    + flow("fork", "a", "days > 1".replace(">", "&gt;"))
    + flow("fork", "b", "days > 2".replace(">", "&gt;"))
    + flow("fork", "c")
    + "".join(chain(step, "join") for step in "abc")
    + chain("join", "last", "e")
)
GUARDED = diagram(
    ENDS
    + '<endEvent id="f"/><endEvent id="g"/>'
    + task("work")
    + boundary("remind", "work", timer("R3/PT1H", "timeCycle"), interrupting=False)
    + boundary("told", "work", MESSAGE)
    + task("note")
    + task("instead")
    + chain("s", "work", "e")
    + chain("remind", "note", "f")
    + chain("told", "instead", "g"),
    outside='<message id="m" name="reply"/>',
)
RACE = diagram(
    ENDS
    + '<endEvent id="f"/><eventBasedGateway id="race"/>'
    + task("first")
    + _pause("late", timer("P2D"))
    + _pause("reply", MESSAGE)
    + task("a")
    + task("b")
    + chain("s", "first", "race", "late", "a", "e")
    + chain("race", "reply", "b", "f"),
    outside='<message id="m" name="reply"/>',
)
OPERATION = (
    '<serviceTask id="number"><extensionElements><piyue:operation name="documents.number">'
    '<piyue:input name="word" value="=word"/><piyue:output name="number" value="=result.text"/>'
    "</piyue:operation></extensionElements></serviceTask>"
)
LINE = diagram(ENDS + "".join(map(task, ("a", "b", "c", "d"))) + chain("s", "a", "b", "c", "d", "e"))
CALLING = diagram(
    ENDS
    + task("before")
    + '<callActivity id="call" calledElement="inner"><extensionElements><piyue:input name="given" value="=days"/>'
    '<piyue:output name="taken" value="=given"/></extensionElements></callActivity>'
    + task("after")
    + chain("s", "before", "call", "after", "e")
) | {
    "called/inner.bpmn": diagram(ENDS + task("one") + task("two") + chain("s", "one", "two", "e"), key="inner")[
        "process.bpmn"
    ]
}

SHAPES: Mapping[str, Shape] = {
    "join_in_loop": Shape(
        JOIN_IN_LOOP,
        lambda w: w.start().complete("a").complete("b").complete("check", "reject").complete("b"),
    ),
    "inclusive": Shape(INCLUSIVE, lambda w: w.start(days=3).complete("b")),
    "many_at_once": Shape(
        _box(_many(False)),
        lambda w: w.start(people=["x", "y", "z"]).complete("before").complete("ask", answer="ja").complete("note"),
    ),
    "one_after_another": Shape(
        _box(_many(True)),
        lambda w: w.start(people=["x", "y"]).complete("before").complete("ask", answer="ja").complete("note"),
    ),
    "after_a_sub_process": Shape(
        _box(""),
        lambda w: w.start().complete("before").complete("ask").complete("note"),
    ),
    "reminders": Shape(GUARDED, lambda w: (started := w.start()).do(runtime.Fire(started.task("remind")))),
    "event_gateway": Shape(RACE, lambda w: w.start().complete("first")),
    "job": Shape(
        diagram(ENDS + task("a") + OPERATION + task("b") + chain("s", "a", "number", "b", "e")),
        lambda w: w.start(word="院发").complete("a"),
    ),
    "returned_to_come_back": Shape(
        LINE,
        lambda w: (at := w.start().complete("a").complete("b").complete("c")).do(
            runtime.GoBack(at.task("d"), "a", "jump")
        ),
    ),
    "returned_twice": Shape(
        LINE,
        lambda w: (
            (at := w.start().complete("a").complete("b").complete("c"))
            .do(runtime.GoBack(at.task("d"), "b"))
            .complete("b")
            .do(runtime.GoBack(at.task("c"), "a"))
            .complete("a")
        ),
    ),
    "called": Shape(CALLING, lambda w: w.start(days=3).complete("before").complete("inner:one")),
}


def kept(folder: Path) -> tuple[Walk, dict[str, Any]]:
    """Return a kept instance, and what it says about itself."""
    about: dict[str, Any] = json.loads((folder / "about.json").read_text("utf-8"))
    waiting = {int(i): (kind, element) for i, (kind, element) in about["open"].items()}
    files = {p.relative_to(folder).as_posix(): p.read_text("utf-8") for p in folder.rglob("*.bpmn")}
    return Walk(files, (folder / "state").read_bytes(), about["data"], waiting), about


def _keep(folder: Path, shape: Shape) -> None:
    walk = shape.reach(Walk(shape.files))
    for path, text in shape.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")
    (folder / "state").write_bytes(walk.state)
    about = {"data": walk.data, "open": walk.open, "targets": walk.targets()}
    before = len(walk.path)
    about |= {"walked": walk.finish()[before:], "ends": walk.data}
    (folder / "about.json").write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")


def main() -> None:
    """Keep the states of this release that are not kept yet."""
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    for name, shape in SHAPES.items():
        folder = HERE / release / name
        if not folder.exists():
            _keep(folder, shape)


if __name__ == "__main__":
    main()
