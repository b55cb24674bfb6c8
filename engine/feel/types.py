"""Types of FEEL (DMN 1.5, 10.3.2.2 and 10.3.2.9): whether a value is of one, and the implicit conversions to one."""

from dataclasses import dataclass, field
from datetime import UTC, time

from engine.feel import nodes as n
from engine.feel.errors import FeelError
from engine.feel.far import combined
from engine.feel.limits import Run
from engine.feel.parser import parse
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
    """A type by name, with the types of its elements, entries or parameters and result.

    `keys` name the entries of a context or the parameters of a function; `values` are all that a value can be (an
    enumeration), empty where there is no such limit. `depth` counts the levels of the type, itself included, `size` its
    parts.
    """

    name: str
    arguments: tuple["FeelType", ...] = ()
    keys: tuple[str, ...] = ()
    values: tuple[Value, ...] = ()
    depth: int = field(init=False, default=1, compare=False, repr=False)
    size: int = field(init=False, default=1, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "depth", 1 + max((argument.depth for argument in self.arguments), default=0))
        object.__setattr__(self, "size", 1 + sum(argument.size for argument in self.arguments))

    @classmethod
    def read(cls, text: str) -> "FeelType":
        """Return the type that a text such as `list<number>` or `context<a: string>` spells.

        FeelError for a text that is none, and for names that the standard does not have.
        """
        tree = parse(f"null instance of {text}")
        if not isinstance(tree, n.InstanceOf) or not is_type(found := type_of(tree.type)):
            raise FeelError(f"“{text[:60]}”不是 FEEL 的类型", f"{text[:60]!r} is no type of FEEL")
        return found

    def entry(self, key: str) -> "FeelType | None":
        """Return the type of a context's entry; None where the context has none of that key."""
        return self.arguments[self.keys.index(key)] if key in self.keys else None


ANY = FeelType("Any")
"""What may be anything: nothing is said of it."""
NULL = FeelType("Null")
BOOLEAN = FeelType("boolean")
_MAX_DEPTH = 16
_MAX_SIZE = 500
_MAX_VALUES = 1_000


def list_of(element: FeelType) -> FeelType:
    """Return the type of a list of such elements."""
    return compound("list", (element,))


def compound(name: str, arguments: tuple[FeelType, ...], keys: tuple[str, ...] = ()) -> FeelType:
    """Return a type made of others; the parts of one too deep or too large are anything."""
    found = FeelType(name, arguments, keys)
    return found if found.depth <= _MAX_DEPTH and found.size <= _MAX_SIZE else FeelType(name)


def plain(of: FeelType) -> FeelType:
    """Return a type without its enumeration."""
    return FeelType(of.name, of.arguments, of.keys) if of.values else of


def element_of(source: FeelType) -> FeelType:
    """Return the type of a list's elements; a single value counts as a list of one."""
    if source.name != "list":
        return ANY if source.name == "Null" else source
    return source.arguments[0] if source.arguments else ANY


def join(left: FeelType, right: FeelType) -> FeelType:
    """Return the type of what may be of either; null is of every type."""
    if left == right or right.name == "Null":
        return left
    if left.name == "Null":
        return right
    if left.name != right.name or "Any" in (left.name, right.name):
        return ANY
    if left.values and right.values and left.name in ("string", "number", "boolean"):
        values = tuple(dict.fromkeys((*left.values, *right.values)))
        return FeelType(left.name, values=values if len(values) <= _MAX_VALUES else ())
    if left.keys != right.keys or len(left.arguments) != len(right.arguments):
        return FeelType(left.name)
    arguments = tuple(join(*pair) for pair in zip(left.arguments, right.arguments, strict=True))
    return FeelType(left.name, arguments, left.keys)


def type_of(node: n.Type) -> FeelType:
    """Return the type that a syntax node spells."""
    return FeelType(node.name, tuple(type_of(argument) for argument in node.arguments), node.keys)


def is_type(found: FeelType) -> bool:
    """Tell whether the standard has a type, and those that it is made of."""
    return found.name in _SIMPLE | {"Any", "Null", "null"} and all(map(is_type, found.arguments))


def is_incomplete(found: FeelType) -> bool:
    """Tell whether a spelled type lacks the types that it is made of: `list` alone is none (DMN 1.5, table 61)."""
    bare = found.name in ("list", "range") and not found.arguments
    return bare or any(map(is_incomplete, found.arguments))


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
    if wanted.name == "date and time" and kind(value) == "date":
        return combined(value, time(tzinfo=UTC))
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
