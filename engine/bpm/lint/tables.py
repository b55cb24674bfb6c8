"""Checks of decision tables: rules that hit at once where one may, and cases that no rule covers, with an example."""

from collections.abc import Iterator

from engine.bpm.decisions import HIT_POLICIES, Table
from engine.bpm.lint.columns import UNKNOWN, Column, column
from engine.bpm.lint.finding import Finding, Report, Severity, clip
from engine.feel import nodes as n
from engine.feel.operations import spelled

MAX_RULES = 400
MAX_REPORTED = 5
"""Overlaps, and gaps, told of one table."""
_MAX_STEPS = 100_000
"""Atoms looked at in the search for the gaps of one table."""
_SINGLE = frozenset({"UNIQUE", "ANY", "PRIORITY", "FIRST"})


def check_table(file: str, table: Table, report: Report) -> None:
    """Check one table: UNIQUE and ANY for overlaps, single hits for gaps, FIRST for rules that are never reached."""
    if not table.rules:
        _add(report, file, table, table.line, "error", "table_empty", "没有规则，结果总是空", "至少写一条规则")
        return
    _check_results(file, table, report)
    if len(table.rules) > MAX_RULES:
        message, cure = f"规则超过 {MAX_RULES} 条，没有检查重叠和遗漏", "拆成几张表，用一个决策引用另一个"
        _add(report, file, table, table.line, "warning", "table_large", message, cure)
        return
    columns = [column(source, (rule.tests[at] for rule in table.rules)) for at, source in enumerate(table.inputs)]
    if table.policy in ("UNIQUE", "ANY"):
        _check_overlaps(file, table, columns, report)
    if table.policy == "FIRST":
        _check_covered(file, table, columns, report)
    if table.policy in _SINGLE and all(output.default is None for output in table.outputs):
        _check_gaps(file, table, columns, report)


def _check_results(file: str, table: Table, report: Report) -> None:
    """Report the results that aren't among the values that their column lists."""
    told = 0
    for at, output in enumerate(table.outputs):
        values = output.kind.values
        for number, rule in enumerate(table.rules, 1):
            result = rule.results[at]
            if not values or not isinstance(result, n.Literal) or result.value is None or result.value in values:
                continue
            given = clip(spelled(result.value), 40)
            message = f"第 {number} 条规则“{clip(output.label, 40) or '结果'}”：“{given}”不在这一列的允许值里"
            cure = f"改成允许的值，或把它加进允许值：{clip('、'.join(map(spelled, values)), 200)}"
            _add(report, file, table, rule.line, "warning", "table_output_unknown", message, cure)
            told += 1
            if told == MAX_REPORTED:
                return


def _check_overlaps(file: str, table: Table, columns: list[Column], report: Report) -> None:
    told = 0
    for second in range(len(table.rules)):
        for first in range(second):
            shared = _shared(columns, first, second)
            if shared is None or (table.policy == "ANY" and _same_results(table, first, second)):
                continue
            policy = HIT_POLICIES[table.policy]
            message = (
                f"第 {first + 1} 条和第 {second + 1} 条规则会同时命中，例如 {_example(columns, shared)}；"
                f"“{policy}”策略{'只许命中一条' if table.policy == 'UNIQUE' else '要求结果相同'}"
            )
            cure = "收窄其中一条的条件，或改用“首条”“优先”等命中策略"
            _add(report, file, table, table.rules[second].line, "error", "table_overlap", message, cure)
            told += 1
            if told == MAX_REPORTED:
                return


def _shared(columns: list[Column], first: int, second: int) -> list[int] | None:
    """Return what both rules accept in each column; None where that is nothing, or can't be told."""
    shared = []
    for one in columns:
        cells = (one.cells[first], one.cells[second])
        both = 0 if UNKNOWN in cells else cells[0] & cells[1] & one.domain
        if not both:
            return None
        shared.append(both)
    return shared


def _same_results(table: Table, first: int, second: int) -> bool:
    results = len(table.inputs)
    return table.rules[first].texts[results:] == table.rules[second].texts[results:] or not all(
        isinstance(result, n.Literal) for rule in (first, second) for result in table.rules[rule].results
    )


def _check_covered(file: str, table: Table, columns: list[Column], report: Report) -> None:
    for later in range(len(table.rules)):
        for earlier in range(later):
            if all(_within(one.cells[later], one.cells[earlier], one.domain) for one in columns):
                message = f"第 {later + 1} 条规则永远轮不到：第 {earlier + 1} 条已经管住了它的所有情况"
                cure = "把更具体的规则排到前面，或删去这一条"
                _add(report, file, table, table.rules[later].line, "warning", "table_rule_hidden", message, cure)
                break


def _within(inner: int, outer: int, domain: int) -> bool:
    return outer != UNKNOWN and not (domain if inner == UNKNOWN else inner & domain) & ~outer


def _check_gaps(file: str, table: Table, columns: list[Column], report: Report) -> None:
    for told, gap in enumerate(_gaps(columns, len(table.rules))):
        message = f"没有规则管这种情况：{_example(columns, gap)}，结果会是空"
        _add(report, file, table, table.line, "warning", "table_gap", message, "补一条规则，或给输出设默认值")
        if told + 1 == MAX_REPORTED:
            return


def _gaps(columns: list[Column], rules: int) -> Iterator[list[int]]:
    """Yield what no rule accepts, as sets of atoms by column; a cell that can't be told counts as accepting."""
    accepting = [_accepting(one, rules) for one in columns]
    seen: set[tuple[int, int]] = set()
    steps = _MAX_STEPS
    pending: list[tuple[list[int], int]] = [([], (1 << rules) - 1)]
    while pending and steps > 0:
        path, open_ = pending.pop()
        if not open_:
            yield path + [one.domain for one in columns[len(path) :]]
            continue
        if len(path) == len(columns):
            continue
        groups: dict[int, int] = {}  # atoms that the same rules accept are one case
        for bit, accepted in accepting[len(path)]:
            left = open_ & accepted
            groups[left] = groups.get(left, 0) | bit
        steps -= 1 + len(accepting[len(path)])
        for left, atoms in reversed(groups.items()):
            if (len(path), left) not in seen:
                seen.add((len(path), left))
                pending.append(([*path, atoms], left))


def _accepting(one: Column, rules: int) -> list[tuple[int, int]]:
    """Return the atoms of a column's domain, each with the set of the rules that accept it."""
    bits = [1 << atom for atom in range(len(one.examples)) if one.domain >> atom & 1]
    return [(bit, sum(1 << rule for rule in range(rules) if one.cells[rule] & bit)) for bit in bits]


def _example(columns: list[Column], atoms: list[int]) -> str:
    said = "，".join(one.example(mask) for one, mask in zip(columns, atoms, strict=True) if one.examples != ("任意值",))
    return clip(said, 300) or ""


def _add(
    report: Report, file: str, table: Table, line: int, severity: Severity, code: str, message: str, cure: str
) -> None:
    named = clip(table.decision)
    report.add(Finding(file, line, clip(table.id), named, severity, code, f"决策表“{named}”：{message}", cure))
