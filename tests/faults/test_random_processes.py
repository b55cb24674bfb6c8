"""Random processes on the runtime against the token game: at each step the same tasks, timers, jobs and data.

300 processes; 2,000 with --long. What fails is made small and saved under var/faults/.
"""

from pathlib import Path

import pytest

from engine.bpm import runtime
from engine.errors import Invalid
from tests.faults.oracle import bpmn
from tests.faults.oracle.blocks import Boundary, Branch, Fork, Seq, Task, compile_process
from tests.faults.oracle.driver import Difference, Play, draw, play_all, play_random
from tests.faults.oracle.generator import generate
from tests.faults.oracle.net import Scope, Wait
from tests.faults.oracle.shrink import shrink
from tests.faults.oracle.unstructured import UNSTRUCTURED

_SAVED = Path("var/faults")
_CHUNK = 25
_DEFAULT, _LONG = 300, 2_000

pytestmark = [pytest.mark.faults]


def _play(body: Seq, seed: int) -> Difference | None:
    try:
        play_random(runtime, body, seed)
    except Difference as difference:
        return difference
    return None


def _report(seed: int) -> str:
    """Make the process of a failing seed small, save it, and say what differs."""
    moves = (seed, *range(seed % 2, 20, 2))
    small = shrink(generate(seed), lambda body: any(_play(body, number) for number in moves))
    failure = next(failure for number in moves if (failure := _play(small, number)))
    _SAVED.mkdir(parents=True, exist_ok=True)
    file = _SAVED / f"random-{seed}.bpmn"
    file.write_text(bpmn.write(draw(small, seed)), encoding="utf-8")
    return f"seed {seed}, saved as {file}\n{failure}"


@pytest.mark.parametrize(
    "first",
    [
        *range(0, _DEFAULT, _CHUNK),
        *(pytest.param(first, marks=pytest.mark.slow) for first in range(_DEFAULT, _LONG, _CHUNK)),
    ],
)
def test_random_processes_run_as_the_standard_says(first: int) -> None:
    failed = [seed for seed in range(first, first + _CHUNK) if _play(generate(seed), seed) is not None]
    if failed:
        pytest.fail(f"seeds {failed} differ; the first:\n{_report(failed[0])}", pytrace=False)


@pytest.mark.parametrize("name", UNSTRUCTURED)
@pytest.mark.parametrize("amount", [1, 9])
def test_joins_without_matching_splits_run_as_the_standard_says(name: str, amount: int) -> None:
    assert play_all(Play(runtime, UNSTRUCTURED[name], {"amount": amount})) >= 1


RENAMED = ["Start_P", "T1", "T2", "Split", "B1", "End_P"]


def _renamed(old: str, new: str) -> Scope:
    late = Boundary("B1", Wait(1), interrupting=False, path=())
    fork = Fork("Split", (Branch((Task("T1", boundaries=(late,)),)), Branch((Task("T2"),))))
    return compile_process((fork,)).rename(old, new)


@pytest.mark.parametrize("name", ["Start", "End", "Root"])
@pytest.mark.parametrize("renamed", RENAMED)
def test_an_element_may_have_a_name_of_the_librarys_own_nodes(name: str, renamed: str) -> None:
    assert play_all(Play(runtime, _renamed(renamed, name), {})) >= 1


@pytest.mark.parametrize("name", ["P.EndJoin", "T1.BoundaryEventSplit", "T1.BoundaryEventJoin"])
@pytest.mark.parametrize("renamed", RENAMED)
def test_a_derived_name_runs_or_is_refused(name: str, renamed: str) -> None:
    """The library makes these names from those of the process and of the activity."""
    net = _renamed(renamed, name)
    try:
        runtime.load({"process.bpmn": bpmn.write(net)})
    except Invalid:
        return
    assert play_all(Play(runtime, net, {})) >= 1
