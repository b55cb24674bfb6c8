"""What business rule tasks decided (按决策表判定), for those who may see what was decided upon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.bpm.definitions import Version
from engine.bpm.extensions import RESERVED
from engine.bpm.runtime import Definition


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


@dataclass(frozen=True, slots=True)
class _Name:
    """A name that something read in a process; not `sure` where it may be a key of a list's rows instead."""

    name: str
    process: str
    sure: bool = True


def may_read(version: Version, element: str, shown: frozenset[str]) -> bool:
    """Whether what a business rule task read is among the fields `shown` to somebody, or known to everybody.

    A result that is a field is shown as that field. Another decision's result counts as what that one read, an item as
    its list, what a called process was given as what that was made of. What no form shows, an operation's answer, is
    nobody's.
    """
    fields = {key for form in version.forms.values() for key in form.fields()}
    if version.definition.rules[element].result in fields - shown:
        return False
    pending, seen = _asked(version.definition, element), set[_Name]()
    while pending:
        one = pending.pop()
        if one in seen:
            continue
        seen.add(one)
        origins = _origins(version.definition, one)
        if one.name not in shown | RESERVED and (one.name in fields or (one.sure and origins is None)):
            return False
        pending += origins or []
    return True


def _asked(definition: Definition, element: str) -> list[_Name]:
    """Return what a business rule task reads."""
    use, process = definition.rules[element], _process(element)
    if use.inputs:
        return [name for _, text in use.inputs for name in _names(definition, text, process)]
    return [_Name(name, process) for name in definition.decisions[use.path].inputs(use.decision)]


def _origins(definition: Definition, one: _Name) -> list[_Name] | None:
    """Return what a name's value is made of; None where it isn't known to be made of anything."""
    made = [_asked(definition, element) for element, use in definition.rules.items() if use.result == one.name]
    given = (*definition.given.get(one.process, ()), *definition.given.get("", ()))
    made += [_names(definition, text, _process(giver)) for name, text, giver in given if name == one.name]
    return [name for names in made for name in names] if made else None


def _names(definition: Definition, text: str, process: str) -> list[_Name]:
    """Return the names in a text that is FEEL where it begins with `=`."""
    if not text.startswith("="):
        return []
    found = definition.expression(text[1:])
    return [*(_Name(n, process) for n in found.names), *(_Name(n, process, sure=False) for n in found.possible_names)]


def _process(element: str) -> str:
    """Return the called process that an element stands in, empty for the process itself."""
    return element.rpartition(":")[0]
