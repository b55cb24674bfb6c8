"""Types of FEEL (DMN 1.5, 10.3.2.2 and 10.3.2.9) and whether a value is of one."""

from dataclasses import dataclass

from engine.feel import nodes as n
from engine.feel.limits import Run
from engine.feel.values import FeelFunction, Range, Value, kind

_SIMPLE = frozenset(
    {
        "number",
        "string",
        "boolean",
        "date",
        "time",
        "date and time",
        "days and time duration",
        "years and months duration",
        "list",
        "context",
        "range",
        "function",
    }
)


@dataclass(frozen=True, slots=True)
class FeelType:
    """A type by name, with the types of its elements, entries or parameters and result."""

    name: str
    arguments: tuple["FeelType", ...] = ()
    keys: tuple[str, ...] = ()


def type_of(node: n.Type) -> FeelType:
    """Return the type that a syntax node spells."""
    return FeelType(node.name, tuple(type_of(argument) for argument in node.arguments), node.keys)


def conforms(value: Value, wanted: FeelType, run: Run) -> bool | None:
    """Return whether a value is of a type; None when the type is unknown. Null is of the type Null only."""
    run.charge(1)
    name = wanted.name
    if value is None:
        return name in ("Null", "null") if name not in _SIMPLE and name != "Any" else False
    if name == "Any":
        return True
    if name in ("Null", "null"):
        return False
    if name not in _SIMPLE:
        return None
    if kind(value) != name:
        return False
    return _parts_conform(value, wanted, run) if wanted.arguments else True


def _parts_conform(value: Value, wanted: FeelType, run: Run) -> bool:
    if isinstance(value, FeelFunction):
        return value.parameters is None or len(value.parameters) == len(wanted.arguments) - 1
    run.enter()
    try:
        if isinstance(value, Range):
            ends = [end for end in (value.low, value.high) if end is not None]
            return all(conforms(end, wanted.arguments[0], run) is True for end in ends)
        if isinstance(value, dict):
            pairs = zip(wanted.keys, wanted.arguments, strict=False)
            return all(key in value and _entry_conforms(value[key], entry, run) for key, entry in pairs)
        return all(_entry_conforms(element, wanted.arguments[0], run) for element in value)
    finally:
        run.leave()


def _entry_conforms(value: Value, wanted: FeelType, run: Run) -> bool:
    return value is None or conforms(value, wanted, run) is True
