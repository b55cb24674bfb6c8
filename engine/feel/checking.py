"""The type check of an expression before it ever runs (类型检查)."""

from collections.abc import Iterable, Mapping
from functools import lru_cache

from engine.feel import nodes as n
from engine.feel.cases import never
from engine.feel.inference import Inference
from engine.feel.names import Names
from engine.feel.operations import is_known
from engine.feel.parser import parse, parse_unary
from engine.feel.problems import Problem, Problems, shown
from engine.feel.types import ANY, FeelType

Types = Mapping[str, FeelType | str]


def check(
    text: str,
    types: Types,
    *,
    unary: FeelType | str | None = None,
    result: FeelType | str | None = None,
    complete: bool = True,
    spelled: Iterable[str] = (),
    names: Iterable[str] | None = None,
) -> list[Problem]:
    """Return what surely is wrong with an expression over data of these types, in the order of the text.

    `types` maps the names of the context to types, or to the texts of types (`number`, `list<string>`, `Any` where
    the type is not known); they are recognised as `compile` recognises known names, and so are those that are only
    `spelled`, behind a dot; with `names`, only these are. `complete`: there are no others.
    With `unary` the text is the unary tests of a decision table's cell, and `unary` the type of the input. `result`
    is the type that is wanted of the whole: one that is surely another is a problem, and so is a condition (`boolean`)
    that can never hold.

    FeelSyntaxError, FeelLimitError as `compile`; FeelError for a text that is no type. Source: DMN 1.5, 10.3.2.9 and
    10.3.2.13.
    """
    recognised = {*types, *spelled} if names is None else names
    problems, tree, sight = _start(text, types, unary, recognised, complete=complete)
    inference = Inference(problems)
    if isinstance(tree, n.UnaryTestList):
        value = _typed(unary) if unary is not None else ANY
        for test in tree.tests:
            inference.test(test, value, sight.bind(("?", value)))
    else:
        found = inference.infer(tree, sight)
        if result is not None:
            _check_result(problems, tree, found, _typed(result), sight)
    return sorted(problems.found, key=lambda problem: (problem.line, problem.column))


def infer(text: str, types: Types, *, names: Iterable[str] | None = None) -> FeelType:
    """Return the type of an expression's value, `Any` where it is not known; arguments and errors as `check`."""
    problems, tree, sight = _start(text, types, None, types if names is None else names, complete=False)
    return Inference(problems).infer(tree, sight)


def _start(
    text: str, types: Types, unary: FeelType | str | None, names: Iterable[str], *, complete: bool
) -> tuple[Problems, n.Node, Names]:
    sight = Names({name: _typed(found) for name, found in types.items()}, complete)
    tree = parse(text, names) if unary is None else parse_unary(text, names)
    return Problems(text), tree, sight


def _typed(found: FeelType | str) -> FeelType:
    return found if isinstance(found, FeelType) else _read(found)


@lru_cache(maxsize=256)
def _read(text: str) -> FeelType:
    return FeelType.read(text)


def _check_result(problems: Problems, tree: n.Node, found: FeelType, wanted: FeelType, sight: Names) -> None:
    if is_known(found, wanted) and found.name != wanted.name:
        zh = f"结果是{shown(found)}，这里要{shown(wanted)}"
        en = f"the result is {found.name}, wanted is {wanted.name}"
        problems.add(tree.offset, "type_result", zh, en, _cure(found, wanted))
        return
    if wanted.name != "boolean" or problems.found or isinstance(tree, n.Literal):
        return
    if found.values == (False,) or never(tree, sight.type_of):
        problems.add(tree.offset, "unreachable_branch", "条件永远不成立", "the condition never holds", "改正条件里的值")


def _cure(found: FeelType, wanted: FeelType) -> str:
    if wanted.name == "boolean":
        return "写成比较，如 days > 3；有没有值写 … != null"
    return f"改成结果是{shown(wanted)}的表达式"
