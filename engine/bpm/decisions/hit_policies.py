"""Decision tables at run time: which rules hit, and what the hit policy (命中策略) makes of them (DMN 1.5, 8.2.10)."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.bpm.decisions.reading import Failing, fit
from engine.feel import nodes as n
from engine.feel import to_plain
from engine.feel.comparison import compile_test, compile_tests
from engine.feel.errors import FeelError
from engine.feel.explaining import explain
from engine.feel.functions import BUILTINS
from engine.feel.limits import Limits, Run
from engine.feel.operators import equal, less
from engine.feel.scope import Code, Env, Scope
from engine.feel.values import Value

if TYPE_CHECKING:
    from engine.bpm.decisions.tables import Table

HIT_POLICIES = {
    "UNIQUE": "唯一", "ANY": "任一", "PRIORITY": "优先", "FIRST": "首条",
    "RULE ORDER": "规则顺序", "OUTPUT ORDER": "输出顺序", "COLLECT": "收集",
}  # fmt: skip
"""The hit policies by their names in a file, with their Chinese names."""
MANY = frozenset({"RULE ORDER", "OUTPUT ORDER", "COLLECT"})
"""The policies under which every rule that is hit counts."""
AGGREGATIONS = {"SUM": "合计", "MIN": "最小", "MAX": "最大", "COUNT": "计数"}
"""How COLLECT joins what was hit."""
_KEPT = Limits(steps=500)
_MAX_KEPT = 2_000  # characters of what was tested


@dataclass(frozen=True, slots=True)
class Hit:
    """Which rules of a decision's table were hit: their numbers from 1, in the table's order, and what was tested."""

    decision: str
    table: str
    rules: tuple[int, ...]
    tested: tuple[tuple[str, Value], ...]

    @property
    def inputs(self) -> dict[str, Any]:
        """What was tested, by the inputs' labels, as plain values; a function and long data are null."""
        return {label: _plain(value) for label, value in self.tested}


def compiled_table(table: "Table", scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> Code:
    """Return the code of a table."""
    return _Compiled(table, scope, compile_node).evaluate


class _Compiled:
    """The code of one table."""

    def __init__(self, table: "Table", scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> None:
        self._table, self._scope = table, scope
        slot = scope.next_slot
        tested = scope.bind("?")

        def tests(cell: n.UnaryTestList | Failing | None) -> Code | None:
            """Return the code that tests the value in the slot; None where every value passes."""
            if cell is None or (isinstance(cell, n.UnaryTestList) and not cell.tests):
                return None
            if isinstance(cell, Failing):
                return compile_node(cell, tested)
            return compile_tests(cell, tested, slot, compile_node)

        self._inputs = [
            (compile_node(c.expression, scope), c.wanted, f"“{table.decision}”的输入“{c.label}”", tests(c.values))
            for c in table.inputs
        ]
        # What a column's cell tests is the same in every rule that has the same cell, so it is tested once.
        self._cells: list[tuple[int, Code]] = []
        numbers: dict[tuple[int, str], int | None] = {}
        self._rules: list[list[int]] = []
        for rule in table.rules:
            self._rules.append([])
            for at, (cell, text) in enumerate(zip(rule.tests, rule.texts, strict=False)):
                if (at, text) not in numbers:
                    code = tests(cell)
                    numbers[at, text] = None if code is None else len(self._cells)
                    if code is not None:
                        self._cells.append((at, code))
                if (number := numbers[at, text]) is not None:
                    self._rules[-1].append(number)
        self._results = [[compile_node(result, scope) for result in rule.results] for rule in table.rules]
        self._defaults = [None if o.default is None else compile_node(o.default, scope) for o in table.outputs]
        self._ranks = [_rank(column.values, tested, slot, compile_node) for column in table.outputs]
        self._first = table.policy == "FIRST"
        self._weight = sum(len(rule) for rule in self._rules) + len(self._cells) + 1

    def evaluate(self, env: Env) -> Value:
        table, run = self._table, env[1]
        run.charge(self._weight)
        envs = []
        for code, wanted, what, allowed in self._inputs:
            value = code(env)
            if wanted is not None:
                value = fit(value, wanted, what, run)
            inner = (*env, value)
            if allowed is not None and value is not None and allowed(inner) is not True:
                run.note(f"{what}不在允许值之内")
                return None
            envs.append(inner)
        hits = self._hits(envs)
        run.record(_hit(table, hits, envs))
        if not hits:
            self._say_what_failed(envs, env)
        return self._answer(hits, env) if hits else self._default(env)

    def _say_what_failed(self, envs: list[Env], env: Env) -> None:
        """Say of what is computed for a column why it has no value; what only names something empty has none."""
        for column, tested in zip(self._table.inputs, envs, strict=True):
            if tested[-1] is None and not isinstance(column.expression, n.Name | n.Path | n.Literal):
                reason = explain(column.expression, env, self._scope)
                if reason:
                    env[1].note(f"“{self._table.decision}”的输入“{column.label}”没有值：{reason}")

    def _hits(self, envs: list[Env]) -> list[int]:
        """Return the rules that are hit, by their index; the first alone where the policy wants no more."""
        hits, cells = [], self._cells
        passed: list[bool | None] = [None] * len(cells)
        for rule, tests in enumerate(self._rules):
            for number in tests:
                outcome = passed[number]
                if outcome is None:
                    at, test = cells[number]
                    outcome = passed[number] = test(envs[at]) is True
                if not outcome:
                    break
            else:
                hits.append(rule)
                if self._first:
                    break
        return hits

    def _default(self, env: Env) -> Value:
        if any(code is not None for code in self._defaults):
            return self._row([None if code is None else code(env) for code in self._defaults], env[1])
        if self._table.policy == "COLLECT" and self._table.aggregation == "COUNT":
            return Decimal(0)
        many = self._table.policy in MANY and not self._table.aggregation
        return [] if many else None

    def _answer(self, hits: list[int], env: Env) -> Value:
        table, run = self._table, env[1]
        if table.policy == "UNIQUE" and len(hits) > 1:
            run.note(f"决策表“{table.decision}”命中了 {_numbers(hits)} 多条规则，唯一（U）策略只许一条")
            return None
        rows = [self._results_of(hit, env) for hit in hits]
        if table.policy in ("PRIORITY", "OUTPUT ORDER"):
            rows.sort(key=lambda row: [rank(value, env) for rank, value in zip(self._ranks, row, strict=True)])
        answers = [self._row(row, run) for row in rows]
        if table.policy == "ANY":
            if any(equal(answers[0], other, run) is not True for other in answers[1:]):
                run.note(f"决策表“{table.decision}”命中的规则 {_numbers(hits)} 结果不同，任一（A）策略要求相同")
                return None
            return answers[0]
        if table.policy in ("UNIQUE", "PRIORITY", "FIRST"):
            return answers[0]
        return self._aggregated(answers, run) if table.aggregation else answers

    def _results_of(self, hit: int, env: Env) -> list[Value]:
        """Return what a rule answers, and say why where that is null without its author having written so."""
        values = [code(env) for code in self._results[hit]]
        for value, node in zip(values, self._table.rules[hit].results, strict=True):
            if value is None and (reason := explain(node, env, self._scope)):
                env[1].note(f"决策表“{self._table.decision}”第 {hit + 1} 条规则的结果为空：{reason}")
        return values

    def _row(self, values: list[Value], run: Run) -> Value:
        outputs = self._table.outputs
        fitted = [
            fit(value, o.wanted, f"“{self._table.decision}”的输出“{o.label}”", run)
            for o, value in zip(outputs, values, strict=True)
        ]
        if len(outputs) == 1:
            return fitted[0]
        return {o.name: value for o, value in zip(outputs, fitted, strict=True)}

    def _aggregated(self, answers: list[Value], run: Run) -> Value:
        table = self._table
        if table.aggregation == "COUNT":
            return Decimal(len(answers))
        kinds = {type(answer) for answer in answers}
        summed = table.aggregation == "SUM"
        if len(kinds) != 1 or kinds & {dict, list, bool, type(None)} or (summed and kinds != {Decimal}):
            run.note(f"决策表“{table.decision}”的结果不能求{AGGREGATIONS[table.aggregation]}")
            return None
        if summed:
            return BUILTINS["sum"].call(run, [answers])
        best = answers[0]
        for answer in answers[1:]:
            if less(answer, best) is (table.aggregation == "MIN"):
                best = answer
        return best


def _rank(
    values: n.UnaryTestList | Failing | None, tested: Scope, slot: int, compile_node: Callable[[n.Node, Scope], Code]
) -> Callable[[Value, Env], int]:
    """Return what gives a result's place among its column's values; all are last where the column lists none."""
    if not isinstance(values, n.UnaryTestList):
        return lambda value, env: 0
    codes = [compile_test(test, tested, slot, compile_node) for test in values.tests]

    def rank(value: Value, env: Env) -> int:
        inner = (*env, value)
        return next((place for place, code in enumerate(codes) if code(inner) is True), len(codes))

    return rank


def _hit(table: "Table", hits: list[int], envs: list[Env]) -> Hit:
    tested = tuple((column.label, env[-1]) for column, env in zip(table.inputs, envs, strict=True))
    return Hit(table.decision, table.id, tuple(hit + 1 for hit in hits), tested)


def _plain(value: Value) -> Any:
    try:
        plain = to_plain(value, limits=_KEPT)
    except FeelError:  # a function, or data too large to keep
        return None
    return plain if len(str(plain)) <= _MAX_KEPT else None


def _numbers(hits: list[int]) -> str:
    return "、".join(str(hit + 1) for hit in hits)
