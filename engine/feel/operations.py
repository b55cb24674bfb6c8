"""The type check of operators: what they give for operands of two types, and what they never give."""

from decimal import Decimal
from itertools import product

from engine.feel import kinds
from engine.feel.limits import Run
from engine.feel.operators import ORDER, equal
from engine.feel.problems import Problems, clip, shown
from engine.feel.texts import number_text
from engine.feel.types import ANY, BOOLEAN, FeelType, plain

_MAX_PAIRS = 400
TEMPORAL = ("date", "time", "date and time", "days and time duration", "years and months duration")


def is_known(*types: FeelType) -> bool:
    """Tell whether the kinds of the types are certain."""
    return all(each.name in kinds.NAMES for each in types)


def arithmetic(problems: Problems, offset: int, op: str, left: FeelType, right: FeelType) -> FeelType:
    """Return the type of `left op right`."""
    if not is_known(left, right):
        possible = {kinds.arithmetic(op, *pair) for pair in product(_kinds(left), _kinds(right))} - {None}
        return FeelType(only) if len(possible) == 1 and (only := possible.pop()) else ANY
    result = kinds.arithmetic(op, left.name, right.name)
    if result is not None:
        return FeelType(result)
    problems.add(
        offset,
        "type_operator",
        f"“{op}”的两边是{shown(left)}和{shown(right)}，结果总是空",
        f'"{op}" of {left.name} and {right.name} is always null',
        _cure(op, left.name, right.name),
    )
    return ANY


def _kinds(of: FeelType) -> tuple[str, ...]:
    return (of.name,) if is_known(of) else tuple(kinds.NAMES)


def negation(problems: Problems, offset: int, operand: FeelType) -> FeelType:
    """Return the type of `-operand`."""
    if not is_known(operand):
        return ANY
    if kinds.negatable(operand.name):
        return plain(operand)
    message = f"“-”后面是{shown(operand)}，结果总是空"
    problems.add(
        offset, "type_operator", message, f'"-" of {operand.name} is always null', _cure("-", operand.name, "number")
    )
    return ANY


def comparison(
    problems: Problems, offset: int, op: str, left: FeelType, right: FeelType, *, constant: bool = False
) -> FeelType:
    """Return the type of `left op right`; `constant`: both are literals, so that neither is null."""
    if not is_known(left, right):
        return BOOLEAN
    if not kinds.comparable(op, left.name, right.name):
        zh, en = ("永远不会相等", "are never equal") if op in ("=", "!=") else ("结果总是空", "always give null")
        problems.add(
            offset,
            "type_operator",
            f"“{op}”的两边是{shown(left)}和{shown(right)}，无法比较，{zh}",
            f'{left.name} and {right.name} under "{op}" {en}',
            _cure(op, left.name, right.name),
        )
        return BOOLEAN
    outcomes = _outcomes(op, left, right)
    if len(outcomes) != 1:
        return BOOLEAN
    outcome = outcomes.pop()
    if op in ("=", "!=") and not constant and set(left.values).isdisjoint(right.values):
        _impossible(problems, offset, left, right)
        return BOOLEAN
    return FeelType("boolean", values=(outcome,)) if outcome is False or constant else BOOLEAN


def _outcomes(op: str, left: FeelType, right: FeelType) -> set[object]:
    """Return what comparing the values of two enumerations gives; nothing where they are none, or too many."""
    if not 0 < len(left.values) * len(right.values) <= _MAX_PAIRS or left.name not in ("number", "string", "boolean"):
        return set()
    if op in ("=", "!="):
        return {equal(a, b, Run()) is (op == "=") for a in left.values for b in right.values}
    return {ORDER[op](a, b) for a in left.values for b in right.values}


def _impossible(problems: Problems, offset: int, left: FeelType, right: FeelType) -> None:
    wanted, allowed = (left, right) if len(left.values) == 1 else (right, left)
    texts = [spelled(value) for value in wanted.values[:3]]
    options = "、".join(clip(spelled(value)) for value in allowed.values[:12])
    problems.add(
        offset,
        "unknown_value",
        f"“{clip('、'.join(texts))}”不是可选的值，永远不会相等",
        f"{clip(', '.join(texts))!r} is none of the values that are possible",
        f"可选的值：{options}{'…' if len(allowed.values) > 12 else ''}",
    )


def spelled(value: object) -> str:
    """Return a value of an enumeration as people write it."""
    if isinstance(value, Decimal):
        return number_text(value)
    return {True: "true", False: "false"}.get(value, "") if isinstance(value, bool) else str(value)


def membership(problems: Problems, offset: int, value: FeelType, test: FeelType) -> None:
    """Check a test without an operator: a value that may be equal, a range that may hold it, a list that may."""
    if not is_known(value, test):
        return
    if test.name == "range":
        end = test.arguments[0] if test.arguments else ANY
        if value.name != "range" and is_known(end):
            comparison(problems, offset, "<=", plain(value), plain(end))
    elif test.name == "list":
        if value.name != "list":
            membership(problems, offset, value, test.arguments[0] if test.arguments else ANY)
    elif test.name != "boolean" or value.name == "boolean":
        comparison(problems, offset, "=", value, test)


def _cure(op: str, left: str, right: str) -> str:
    """Return how operands of two kinds may be made to fit."""
    pair = {left, right}
    if op == "+" and "string" in pair and pair != {"string"}:
        return "文本只能与文本连接，别的值先写成 string(…)"
    temporal = next((kind for kind in TEMPORAL if kind in pair), None)
    if temporal and "string" in pair:
        name = "duration" if temporal.endswith("duration") else temporal
        return f"文本先用 {name}(…) 转成{kinds.NAMES[temporal]}"
    if pair == {"string"} and op == "-":
        return "日期字段存成文本，先用 date(…) 转成日期再算"
    if pair == {"string", "number"}:
        return "数字不加引号；是文本的先用 number(…) 转成数字"
    if pair == {"number", "days and time duration"}:
        return "时长的天数写 .days，如 (date(a) - date(b)).days > 3"
    if op in "+-" and pair & {"date", "date and time"} and "number" in pair:
        return '加减天数写 duration("P3D")'
    if "list" in pair:
        return "列表里有没有写 list contains(列表, 值)，有几项写 count(列表)"
    if "boolean" in pair:
        return "真假值单独写，或与 true、false 比较"
    return "两边改成同一种值"
