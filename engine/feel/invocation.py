"""The type check of calls: number, names and types of arguments, and what a call gives."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.feel.functions import BUILTINS, SIGNATURES
from engine.feel.functions.registry import Parameter, Signature
from engine.feel.kinds import NAMES
from engine.feel.limits import Run
from engine.feel.operations import comparison, is_known
from engine.feel.problems import Problems, clip, shown
from engine.feel.types import ANY, FeelType, element_of, join, list_of, plain
from engine.feel.values import KINDS

_EXAMPLES = {
    "date": "2030-01-31",
    "time": "17:00:00",
    "date and time": "2030-01-31T17:00:00+08:00",
    "duration": "P2D、PT4H",
    "number": "12.5",
}
"""The functions that read a text, each with one that it can read."""
_ELEMENT = frozenset({"min", "max", "sum", "mean", "median", "product", "stddev"})
_ADDING = frozenset({"sum", "mean", "median", "product", "stddev"})
_SAME_LIST = frozenset({"sublist", "reverse", "distinct values", "remove", "sort"})
_SEARCHING = frozenset({"list contains", "index of"})
_WORDS = {"day": "日期", "temporal": "日期或时间", "duration": "时长", "value": "值", "any": "值"}


@dataclass(frozen=True, slots=True)
class Given:
    """An argument of a call: its name if it has one, its type, its place, and its value where it is a text."""

    name: str | None
    type: FeelType
    offset: int
    text: str | None = None


def call_builtin(problems: Problems, offset: int, name: str, arguments: Sequence[Given]) -> FeelType:
    """Return the type of a built-in's answer; what none of its signatures takes is a problem."""
    signatures = [(s, placed) for s in SIGNATURES[name] if (placed := _placed(s, arguments)) is not None]
    if not signatures:
        _misplaced(problems, offset, name, arguments)
        return ANY
    fitting = [s for s, placed in signatures if all(_fits(parameter, given) for parameter, given in placed)]
    if not fitting:
        _misfit(problems, name, [placed for _, placed in signatures])
        return ANY
    (only,) = arguments if len(arguments) == 1 else (None,)
    if only is not None and only.text is not None and name in _EXAMPLES:
        return _read_text(problems, name, only)
    result = {signature.result for signature in fitting}
    return _refined(problems, name, arguments, FeelType(result.pop()) if len(result) == 1 else ANY)


def _placed(signature: Signature, arguments: Sequence[Given]) -> list[tuple[Parameter, Given]] | None:
    """Return the arguments with their parameters; None where number or names are wrong."""
    parameters = signature.parameters
    required = [parameter for parameter in parameters if not parameter.optional]
    if any(given.name is not None for given in arguments):
        by_name = {parameter.name: parameter for parameter in parameters}
        names = [given.name for given in arguments]
        needed = {parameter.name for parameter in required if not parameter.nullable}
        if not needed <= set(names) <= by_name.keys():
            return None
        return [(by_name[given.name or ""], given) for given in arguments]
    rest = bool(parameters) and parameters[-1].rest
    if len(arguments) < len(required) or (len(arguments) > len(parameters) and not rest):
        return None
    return [(parameters[min(index, len(parameters) - 1)], given) for index, given in enumerate(arguments)]


def _fits(parameter: Parameter, given: Given) -> bool:
    return parameter.rest or not is_known(given.type) or parameter.accepts(given.type.name)


def _misplaced(problems: Problems, offset: int, name: str, arguments: Sequence[Given]) -> None:
    forms = "；".join(dict.fromkeys(f"{name}({_listed(s.parameters)})" for s in SIGNATURES[name]))
    known = {parameter.name for signature in SIGNATURES[name] for parameter in signature.parameters}
    for given in arguments:
        if given.name is not None and given.name not in known:
            message = f"函数 {name} 没有参数“{clip(given.name)}”"
            english = f"{name} has no parameter {clip(given.name)!r}"
            problems.add(given.offset, "argument_name", message, english, f"写法：{forms}")
            return
    problems.add(
        offset,
        "argument_count",
        f"函数 {name} 的参数不对（写了 {len(arguments)} 个），结果总是空",
        f"{name} does not take these {len(arguments)} arguments",
        f"写法：{forms}",
    )


def _listed(parameters: Sequence[Parameter]) -> str:
    return ", ".join(f"{p.name}{'?' if p.optional else ''}{', …' if p.rest else ''}" for p in parameters)


def _misfit(problems: Problems, name: str, tried: list[list[tuple[Parameter, Given]]]) -> None:
    """Report the first argument that stands in the way of the signature that gets furthest."""
    furthest: tuple[int, Parameter, Given] | None = None
    for placed in tried:
        wrong = next((index, p, given) for index, (p, given) in enumerate(placed) if not _fits(p, given))
        if furthest is None or wrong[0] > furthest[0]:
            furthest = wrong
    assert furthest is not None  # there is a signature, and it does not fit
    _, parameter, given = furthest
    words = [p.type for placed in tried for p, g in placed if g is given and p.name == parameter.name]
    wanted = "或".join(dict.fromkeys(NAMES.get(word, _WORDS.get(word, word)) for word in words))
    problems.add(
        given.offset,
        "argument_type",
        f"函数 {name} 的参数 {parameter.name} 要{wanted}，这里是{shown(given.type)}，结果总是空",
        f"{parameter.name} of {name} is no {given.type.name}",
        f"改成{wanted}",
    )


def _read_text(problems: Problems, name: str, given: Given) -> FeelType:
    value = BUILTINS[name].call(Run(), [given.text])
    if value is not None:
        return FeelType(KINDS[type(value)])
    problems.add(
        given.offset,
        "argument_type",
        f"{name}(“{clip(given.text or '')}”) 读不出值，结果总是空",
        f"{name} makes nothing of {clip(given.text or '')!r}",
        f"写有的值，如 {_EXAMPLES[name]}",
    )
    return ANY


def _refined(problems: Problems, name: str, arguments: Sequence[Given], result: FeelType) -> FeelType:
    """Return the result's type where it depends on the elements of the arguments."""
    first = arguments[0].type if arguments else ANY
    if name == "not" and is_known(first) and first.name not in ("boolean", "list"):
        zh, en = f"not 里应为真假，这里是{shown(first)}，结果总是空", f"not of {first.name} is always null"
        problems.add(arguments[0].offset, "type_condition", zh, en, "写成比较，如 not(days > 3)；有没有值写 = null")
    if name in _ELEMENT:
        element = element_of(first) if len(arguments) == 1 else ANY
        for given in arguments if len(arguments) > 1 else ():
            element = given.type if given is arguments[0] else join(element, given.type)
        return _combined(problems, name, arguments[0], plain(element))
    if name in _SAME_LIST and first.name == "list":
        return list_of(plain(element_of(first)))
    if name in _SEARCHING and first.name == "list" and [given.name for given in arguments] == [None, None]:
        comparison(problems, arguments[1].offset, "=", element_of(first), arguments[1].type)
    return result


def _combined(problems: Problems, name: str, given: Given, element: FeelType) -> FeelType:
    """Return the type of the sum, mean and so on of elements."""
    if name not in _ADDING or not is_known(element) or element.name in ("number", "list"):
        return element if element.name != "list" else ANY
    message = f"函数 {name} 不能算{shown(element)}，结果总是空"
    problems.add(given.offset, "argument_type", message, f"{name} of {element.name} is always null", "换成一列数字")
    return ANY
