"""Evaluation of a gateway condition and of a decision table.

Prints `feel.condition_us` (microseconds for one evaluation of four names), `feel.ratio_to_spiff` (our time over
SpiffWorkflow's for the equal Python condition, in the same run; below 1 we are faster) and `feel.table_us` (one
evaluation of a decision table of 20 rules and 4 inputs that hits its last rule, with its trace). The best of several
rounds counts: the machine may be shared.
"""

import timeit
from collections.abc import Callable
from types import SimpleNamespace

from SpiffWorkflow.bpmn.script_engine import PythonScriptEngine

from engine import feel
from engine.bpm import decisions

FEEL = '天数 > 7 and 部门 = "儿科" and 金额 <= 5000 and not(加急)'
PYTHON = '天数 > 7 and 部门 == "儿科" and 金额 <= 5000 and not 加急'
DATA: dict[str, object] = {"天数": 9, "部门": "儿科", "金额": 3200.5, "加急": False}


INPUTS = {"天数": "number", "部门": "string", "金额": "number", "加急": "boolean"}


def table() -> decisions.Decisions:
    """Return a table of 20 rules: ranges of days, pairs of departments, amounts, urgency."""
    requires = "".join(
        f'<informationRequirement><requiredInput href="#i{n}"/></informationRequirement>' for n in range(len(INPUTS))
    )
    columns = "".join(
        f'<input><inputExpression typeRef="{type_}"><text>{name}</text></inputExpression></input>'
        for name, type_ in INPUTS.items()
    )
    rules = "".join(
        f"<rule>{''.join(f'<inputEntry><text><![CDATA[{cell}]]></text></inputEntry>' for cell in cells)}"
        f"<outputEntry><text>{rule}</text></outputEntry></rule>"
        for rule, cells in enumerate(
            (f"[{day}..{day + 2})", pair, "<= 5000" if cheap else "> 5000", "-" if day < 8 else "false")
            for day in range(0, 10, 2)
            for pair in ('"内科","外科"', '"儿科","妇科"')
            for cheap in (False, True)
        )
    )
    data = "".join(
        f'<inputData id="i{n}" name="{name}"><variable name="{name}" typeRef="{type_}"/></inputData>'
        for n, (name, type_) in enumerate(INPUTS.items())
    )
    text = (
        '<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" namespace="bench" name="bench">'
        f'{data}<decision id="d" name="级别"><variable name="级别" typeRef="number"/>{requires}'
        f'<decisionTable hitPolicy="UNIQUE">{columns}<output typeRef="number"/>{rules}</decisionTable>'
        "</decision></definitions>"
    )
    return decisions.read({"bench.dmn": text}, "bench.dmn")


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
    level = table()
    if level.evaluate("级别", DATA) != 19 or level.messages:
        raise SystemExit("the table doesn't answer with its last rule")
    deciding = microseconds(lambda: level.evaluate("级别", DATA), turns=400)
    print(f"feel.compile_us {compiling:.0f} us")
    print(f"feel.condition_us {ours:.2f} us")
    print(f"feel.table_us {deciding:.1f} us")
    print(f"feel.ratio_to_spiff {ours / theirs:.3f} ratio")


if __name__ == "__main__":
    main()
