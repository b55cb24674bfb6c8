"""What business rule tasks decided (按决策表判定), for those who may see what was decided upon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.bpm.definitions import Version
from engine.bpm.extensions import RESERVED


@dataclass(frozen=True, slots=True)
class Rules:
    """Which rules of a decision's table hit, by their numbers from 1; none where it matched nothing."""

    decision: str
    rules: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ruled:
    """A decision with its result, and the rules that hit in its table and in those that it asked, in that order."""

    decision: str
    result: Any
    hits: tuple[Rules, ...]

    @property
    def sentence(self) -> str:
        """The ruling in words: 按决策表“审批级别”：第 2 条规则 → 科长."""
        result = in_words(self.result)
        if not self.hits:
            return f"按决策“{self.decision}” → {result}"
        told = [
            f"“{hit.decision}”：" + (f"第 {'、'.join(map(str, hit.rules))} 条规则" if hit.rules else "没有适用的规则")
            for hit in self.hits
        ]
        return f"按决策表{'；'.join(told)} → {result}"


def ruled(detail: Mapping[str, Any]) -> Ruled:
    """Return the ruling from the detail of a row of the trail."""
    hits = tuple(Rules(hit["decision"], tuple(hit["rules"])) for hit in detail["hits"])
    return Ruled(detail["decision"], detail["result"], hits)


def in_words(value: Any) -> str:
    """Return a plain value as a sentence has it."""
    match value:
        case None | "" | [] | {}:
            return "（空）"
        case bool():
            return "是" if value else "否"
        case dict():
            return "，".join(f"{name} {in_words(entry)}" for name, entry in value.items())
        case list():
            return "、".join(map(in_words, value))
        case _:
            return str(value)


def may_read(version: Version, element: str, shown: frozenset[str]) -> bool:
    """Whether what a business rule task read is among the fields `shown` to somebody, or known to everybody.

    Another decision's result counts as what that one read. What no form shows, an operation's answer, is nobody's.
    """
    fields = {key for form in version.forms.values() for key in form.fields()}
    certain, possible = _read(version, element, set())
    return certain | (possible & fields) <= shown | RESERVED


def _read(version: Version, element: str, seen: set[str]) -> tuple[set[str], set[str]]:
    """Return the names of the data that a decision surely rests upon, and those that may be keys of a list's rows."""
    seen.add(element)
    definition = version.definition
    use = definition.rules[element]
    expressions = [definition.expression(text[1:]) for _, text in use.inputs if text.startswith("=")]
    certain = {name for expression in expressions for name in expression.names}
    possible = {name for expression in expressions for name in expression.possible_names}
    if not use.inputs:
        certain = set(definition.decisions[use.path].inputs(use.decision))
    for other, rule in definition.rules.items():
        if rule.result in certain | possible:
            certain.discard(rule.result)
            possible.discard(rule.result)
            if other not in seen:
                more = _read(version, other, seen)
                certain |= more[0]
                possible |= more[1]
    return certain, possible
