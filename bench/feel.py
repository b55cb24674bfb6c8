"""Evaluation of a gateway condition: FEEL's closures, and SpiffWorkflow's evaluation of the equal Python condition.

Prints `feel.condition_us` (microseconds for one evaluation of four names) and `feel.ratio_to_spiff` (our time over
SpiffWorkflow's in the same run; below 1 we are faster). The best of several rounds counts: the machine may be shared.
"""

import timeit
from collections.abc import Callable
from types import SimpleNamespace

from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine

from engine import feel

FEEL = '天数 > 7 and 部门 = "儿科" and 金额 <= 5000 and not(加急)'
PYTHON = '天数 > 7 and 部门 == "儿科" and 金额 <= 5000 and not 加急'
DATA: dict[str, object] = {"天数": 9, "部门": "儿科", "金额": 3200.5, "加急": False}


def microseconds(function: Callable[[], object], rounds: int = 15, turns: int = 4_000) -> float:
    """Return the time of one call in microseconds: the best of `rounds` rounds of `turns` calls."""
    return min(timeit.repeat(function, number=turns, repeat=rounds)) / turns * 1_000_000


def main() -> None:
    """Measure both and print the figures."""
    condition = feel.compile(FEEL)
    spiff, task = PythonScriptEngine(), SimpleNamespace(data=dict(DATA))
    if condition.evaluate(DATA) is not True or spiff.evaluate(task, PYTHON) is not True:
        raise SystemExit("the two conditions don't agree")
    ours = microseconds(lambda: condition.evaluate(DATA))
    theirs = microseconds(lambda: spiff.evaluate(task, PYTHON), turns=400)
    compiling = microseconds(lambda: feel.compile(FEEL), rounds=5, turns=20)
    print(f"feel.compile_us {compiling:.0f} us")
    print(f"feel.condition_us {ours:.2f} us")
    print(f"feel.ratio_to_spiff {ours / theirs:.3f} ratio")


if __name__ == "__main__":
    main()
