"""Random processes on the runtime against the token game: at each step the same tasks, timers, jobs and data.

300 processes; 2,000 with --long. What fails is made small and saved under var/faults/.
"""

from pathlib import Path

import pytest

from engine.bpm import runtime
from tests.faults.oracle import bpmn
from tests.faults.oracle.blocks import Seq, compile_process
from tests.faults.oracle.driver import Difference, play_random
from tests.faults.oracle.generator import generate
from tests.faults.oracle.shrink import shrink

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
    small = shrink(generate(seed), lambda body: _play(body, seed) is not None)
    _SAVED.mkdir(parents=True, exist_ok=True)
    file = _SAVED / f"random-{seed}.bpmn"
    file.write_text(bpmn.write(compile_process(small)), encoding="utf-8")
    return f"seed {seed}, saved as {file}\n{_play(small, seed)}"


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
