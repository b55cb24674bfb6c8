"""What a message or signal may write: the names that the diagram declares, and never one of the engine's own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.bpm import runtime
from engine.bpm.extensions import RESERVED
from tests.dsl import chain, flow, task
from tests.engine.bpm.contracts.kit import boundary, diagram, timer

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
INITIATOR = {"id": "1", "name": "张三"}
MESSAGES = '<message id="m" name="reply"/><message id="other" name="other"/><signal id="sig" name="reply"/>'
REPLY, SIGNAL = '<messageEventDefinition messageRef="m"/>', '<signalEventDefinition signalRef="sig"/>'


def inputs(*names: str) -> str:
    return "<extensionElements>" + "".join(f'<piyue:input name="{n}"/>' for n in names) + "</extensionElements>"


def throws(name: str, event: str, field: str) -> str:
    output = f'<extensionElements><piyue:output name="{field}" value="=1"/></extensionElements>'
    return f'<intermediateThrowEvent id="{name}">{output}{event}</intermediateThrowEvent>'


def waiting(catching: str, more: str = "") -> dict[str, str]:
    body = f'<startEvent id="s"/><endEvent id="e"/>{task("a")}{task("b")}{catching}{more}'
    return diagram(body + chain("s", "a", "c", "b", "e"), outside=MESSAGES)


def delivered(files: dict[str, str], payload: Mapping[str, Any]) -> runtime.Change:
    """Complete `a` (approve), then deliver the payload to what waits."""
    definition = runtime.load(files)
    change = runtime.start(definition, {"initiator": INITIATOR, "kept": 1}, now=NOW)
    waits = change.waits
    if not waits:
        change = step(definition, change, runtime.Complete(change.opened[0].task_id, "approve"))
        waits = change.waits
    return step(definition, change, runtime.Deliver(waits[0].task_id, payload))


def step(definition: runtime.Definition, change: runtime.Change, event: runtime.Event) -> runtime.Change:
    return runtime.advance(definition, change.state, change.data, event, now=NOW)


CATCHES = {
    "an event": f'<intermediateCatchEvent id="c">{inputs("boxes", "kept")}{REPLY}</intermediateCatchEvent>',
    "a signal": f'<intermediateCatchEvent id="c">{inputs("boxes", "kept")}{SIGNAL}</intermediateCatchEvent>',
    "a task": f'<receiveTask id="c" messageRef="m">{inputs("boxes", "kept")}</receiveTask>',
    "a boundary": boundary("late", "a", inputs("boxes", "kept") + REPLY)
    + task("c")
    + '<endEvent id="x"/>'
    + flow("late", "x"),
}


@pytest.mark.parametrize("name", CATCHES)
def test_declared_names_join_the_data_and_no_others(name: str) -> None:
    before = {"initiator": INITIATOR, "kept": 1}
    change = delivered(waiting(CATCHES[name]), {"boxes": 3, "kept": 2, "salary": 9})
    assert {k: v for k, v in change.data.items() if k != "steps"} == before | {"boxes": 3, "kept": 2}


@pytest.mark.parametrize("reserved", [*sorted(RESERVED), "_x"])
@pytest.mark.parametrize("name", CATCHES)
def test_the_engines_own_names_are_never_overwritten(name: str, reserved: str) -> None:
    """Not even where a diagram that was never linted declares them."""
    files = waiting(CATCHES[name].replace('"boxes"', f'"{reserved}"'))
    honest, forged = delivered(files, {}), delivered(files, {reserved: {"a": "forged", "id": "2"}})
    assert forged.data == honest.data
    assert [o.scope for o in forged.opened] == [o.scope for o in honest.opened]


@pytest.mark.parametrize(
    ("thrown", "taken"),
    [((REPLY, "boxes"), True), ((REPLY, "crates"), False), ((SIGNAL, "boxes"), False)],
)
def test_what_the_folder_throws_by_the_same_name_is_declared_there(thrown: tuple[str, str], taken: bool) -> None:
    more = boundary("late", "a", timer("P1D")) + throws("t", *thrown) + '<endEvent id="x"/>' + chain("late", "t", "x")
    catching = f'<intermediateCatchEvent id="c">{REPLY}</intermediateCatchEvent>'
    change = delivered(waiting(catching, more), {"boxes": 3})
    assert change.data.get("boxes") == (3 if taken else None)


def test_a_form_does_not_overwrite_the_engines_own_names_either() -> None:
    definition = runtime.load(diagram(f'<startEvent id="s"/><endEvent id="e"/>{task("a")}{chain("s", "a", "e")}'))
    change = runtime.start(definition, {"initiator": INITIATOR}, now=NOW)
    forged = {"initiator": {}, "steps": {"a": "forged"}, "outcome": "forged", "_x": 1, "days": 2}
    change = step(definition, change, runtime.Complete(change.opened[0].task_id, "approve", forged))
    assert change.data == {"initiator": INITIATOR, "steps": {"a": "approve"}, "days": 2}
