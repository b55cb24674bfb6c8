"""Types of FEEL (DMN 1.5, 10.3.2.2 and 10.3.2.9): whether a value is of one, and the implicit conversions to one."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from engine.feel import nodes as n
from engine.feel.limits import Run
from engine.feel.values import KINDS, FeelFunction, Range, Value, kind

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


ANY = FeelType("Any")


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
        return value.type is None or is_subtype(value.type, wanted)
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


def is_subtype(given: FeelType, wanted: FeelType) -> bool:
    """Return whether a type conforms to another (DMN 1.5, 10.3.2.9.2): parameters contravariant, the rest covariant.

    A given `Any` conforms to everything: it stands for what was not declared.
    """
    if "Any" in (given.name, wanted.name) or given.name == "Null":
        return True
    if given.name != wanted.name:
        return False
    if given.name == "context":
        known = dict(zip(given.keys, given.arguments, strict=False))
        return all(
            key in known and is_subtype(known[key], entry)
            for key, entry in zip(wanted.keys, wanted.arguments, strict=False)
        )
    if not given.arguments or not wanted.arguments:
        return True
    if given.name == "function":
        if len(given.arguments) != len(wanted.arguments):
            return False
        parameters = zip(given.arguments[:-1], wanted.arguments[:-1], strict=True)
        return all(is_subtype(theirs, ours) for ours, theirs in parameters) and is_subtype(
            given.arguments[-1], wanted.arguments[-1]
        )
    return is_subtype(given.arguments[0], wanted.arguments[0])


def coerce(value: Value, wanted: FeelType, run: Run) -> Value:
    """Return a value as a type wants it (DMN 1.5, 10.3.2.9.4), or None where no implicit conversion leads there.

    A value that conforms stays; a list of one gives its element, a single value becomes a list, a date its midnight
    in UTC.
    """
    if value is None or conforms(value, wanted, run):
        return value
    if wanted.name == "date and time" and type(value) is date:
        return datetime.combine(value, time(tzinfo=UTC))
    if wanted.name == "list" and type(value) is not list:
        return [value] if conforms([value], wanted, run) else None
    if type(value) is list and len(value) == 1 and conforms(value[0], wanted, run):
        return value[0]
    return None


def static_type(node: n.Node) -> FeelType:
    """Return the type of an expression as far as its own literals show it, else Any."""
    match node:
        case n.Literal(value=value):
            name = KINDS[type(value)]
            return FeelType("Null") if name == "null" else FeelType(name)
        case n.Context(entries=entries):
            return FeelType(
                "context", tuple(static_type(entry.value) for entry in entries), tuple(entry.key for entry in entries)
            )
        case n.ListOf(elements=elements):
            kinds = {static_type(element) for element in elements}
            return FeelType("list", (kinds.pop() if len(kinds) == 1 else ANY,))
    return ANY
