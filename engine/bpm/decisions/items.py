"""Item definitions (数据类型): a model's types by name, and how a value becomes one (DMN 1.5, 10.3.2.9.4)."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property, lru_cache

from lxml import etree

from engine.bpm.decisions.document import child, children, line_of, name_of, text_of, type_ref
from engine.bpm.decisions.model import Model, Problem
from engine.feel import FeelError, UnaryTests, compile_unary
from engine.feel import nodes as n
from engine.feel.kinds import NAMES
from engine.feel.limits import Run
from engine.feel.types import ANY, FeelType, coerce, type_of
from engine.feel.values import KINDS, Value, kind

_ALIASES = {
    "dateTime": "date and time",
    "dayTimeDuration": "days and time duration",
    "yearMonthDuration": "years and months duration",
    "any": "Any",
}
_BUILT_IN = frozenset(
    [
        *"Any string number boolean date time list context range function Null".split(),
        *("date and time", "days and time duration", "years and months duration"),
    ]
)
_KINDS = {name: kind for kind, name in KINDS.items() if name in _BUILT_IN and name not in ("list", "context")}
_ANY = n.Type("Any", offset=0)
_DEPTH = 20  # levels of named types in a type written out; deeper ones, and types that hold themselves, end in Any
_PARTS = 300  # parts of a type written out
_SUGGESTED = 20  # problems of a file that look for the nearest name, which takes time
_CHAIN = 50  # types that refer to one another to say what they are


@dataclass(frozen=True, slots=True, eq=False)
class ItemType:
    """A type that a variable is declared to have; each is itself only.

    `base` is a built-in type's name; `components` are a context's entries; `element` is what the elements of a
    collection are; `result` what a function returns (None: not a function). `allowed` restrict a value, `constraint` a
    collection as a whole.
    """

    name: str
    base: str = "Any"
    components: Mapping[str, Callable[[], "ItemType"]] | None = None
    element: Callable[[], "ItemType"] | None = None
    parameters: tuple[Callable[[], "ItemType"], ...] = ()
    result: Callable[[], "ItemType"] | None = None
    allowed: tuple[UnaryTests, ...] = ()
    constraint: UnaryTests | None = None

    @property
    def allowed_tree(self) -> n.UnaryTestList | None:
        """The narrowest allowed values as FEEL's tree."""
        return self.allowed[-1].tree if self.allowed else None

    kind: type | None = field(init=False, default=None)
    """The Python type whose every value is of this type, where that is all there is to it."""

    def __post_init__(self) -> None:
        parts = (self.components, self.element, self.result, self.constraint)
        if not self.allowed and all(part is None for part in parts):
            object.__setattr__(self, "kind", _KINDS.get(self.base))

    def node(self) -> n.Type:
        """Return the type as FEEL writes it, without allowed values; of a very large one the rest is Any."""
        return _written(self, 0, iter(range(_PARTS)))


def _written(one: ItemType, depth: int, left: Iterator[int]) -> n.Type:
    if depth > _DEPTH or next(left, None) is None:
        return _ANY

    def inner(parts: Iterable[Callable[[], ItemType]]) -> tuple[n.Type, ...]:
        return tuple(_written(part(), depth + 1, left) for part in parts)

    if one.element is not None:
        return n.Type("list", inner([one.element]), offset=0)
    if one.result is not None:
        return n.Type("function", inner([*one.parameters, one.result]), offset=0)
    if one.components is not None:
        return n.Type("context", inner(one.components.values()), tuple(one.components), offset=0)
    return n.Type(one.base, offset=0)


@lru_cache(maxsize=4096)
def feel_type(wanted: ItemType | None) -> FeelType:
    """Return a declared type as the type check has it; the values of an enumeration are a part of it."""
    return ANY if wanted is None else limited(type_of(wanted.node()), wanted.allowed_tree)


def limited(kind: FeelType, tests: n.Node | None) -> FeelType:
    """Return a type that has only these values, where the tests list constants."""
    if not isinstance(tests, n.UnaryTestList) or tests.negated:
        return kind
    values = tuple(test.operand.value for test in tests.tests if isinstance(test.operand, n.Literal) and not test.op)
    if not values or len(values) != len(tests.tests):
        return kind
    kinds = {KINDS[type(value)] for value in values}
    if kind.name == "Any" and len(kinds) == 1:
        kind = FeelType(kinds.pop())
    return replace(kind, values=values) if kinds <= {kind.name} else kind


class Items:
    """The types that a model may name: FEEL's, its own, and those of its imports (`import.type`)."""

    def __init__(self, model: Model, imported: Callable[[str], "Items | None"], problems: list[Problem]) -> None:
        self._model, self._imported, self._problems = model, imported, problems
        self._made: dict[str, ItemType] = {}
        self._reading: dict[str, None] = {}  # in order
        self._told: set[Problem] = set()

    def find(self, name: str | None, source: etree._Element | None = None) -> ItemType | None:
        """Return a type by its name, None for none and for Any; `source` is the element that names it."""
        if name is None or _plain(name, source) == "Any":
            return None
        found = self.named(name, source)
        if found is None:
            known = [*sorted(_BUILT_IN), *self._model.items]
            few = len(self._problems) < _SUGGESTED
            near = get_close_matches(name[:64], [one[:64] for one in known[:200]], 1) if few else []
            cure = f"是不是“{near[0]}”" if near else f"可用的：{'、'.join(known[:20])}"
            self._problem(source, name, f"没有名为“{name}”的数据类型", cure)
        return found

    def _problem(self, source: etree._Element | None, name: str, message: str, cure: str = "") -> None:
        problem = Problem(self._model.path, 1 if source is None else line_of(source), name, message, cure)
        if problem not in self._told:
            self._told.add(problem)
            self._problems.append(problem)

    def named(self, name: str, source: etree._Element | None = None) -> ItemType | None:
        """Return a type by its name, or None where the model doesn't know it."""
        plain = _plain(name, source)
        if plain in self._model.items:
            if plain not in self._made:
                self._made[plain] = self._guarded(self._model.items[plain], plain)
            return self._made[plain]
        if plain in _BUILT_IN:
            return ItemType(plain, plain)
        for alias, namespace in self._model.imports.items():
            items = self._imported(namespace)
            if items is None:
                continue
            if alias and plain.startswith(f"{alias}."):
                return items.named(plain.removeprefix(f"{alias}."))
            prefix, _, rest = name.partition(":")
            if not alias or (source is not None and rest and source.nsmap.get(prefix) == namespace):
                found = items.named(rest or plain)
                if found is not None:
                    return found
        return None

    def read_all(self) -> None:
        """Read every type now, so that threads only look them up."""
        pending = [self.named(name) for name in self._model.items]
        seen: set[int] = set()
        while pending:
            one = pending.pop()
            if one is None or id(one) in seen:
                continue
            seen.add(id(one))
            inner = (*(one.components or {}).values(), one.element, *one.parameters, one.result)
            pending += [part() for part in inner if part is not None]

    @cached_property
    def names(self) -> frozenset[str]:
        """The names of entries, which expressions may name behind a dot."""
        items = self._model.items.values()
        return frozenset(name_of(one) for item in items for one in item.iter() if one is not item and one.get("name"))

    def _guarded(self, item: etree._Element, name: str) -> ItemType:
        """Read a type; one that leads to itself before it says what it is, or too far, is Any."""
        if name in self._reading or len(self._reading) >= _CHAIN:
            chain = " → ".join([*self._reading, name][:5])
            self._problem(item, name, f"数据类型的定义成了环，或引用超过 {_CHAIN} 层：{chain}")
            return ItemType(name)
        self._reading[name] = None
        try:
            return self._read(item, name)
        finally:
            del self._reading[name]

    def _read(self, item: etree._Element, name: str) -> ItemType:
        parts = [(name_of(part), part) for part in children(item, "itemComponent")]
        function = child(item, "functionItem")
        tests = self._tests(child(item, "allowedValues"))
        allowed = () if tests is None else (tests,)
        constraint = self._tests(child(item, "typeConstraint"))
        if function is not None:
            takes = tuple(self._lazy(part.get("typeRef"), part) for part in children(function, "parameters"))
            one = ItemType(name, "function", parameters=takes, result=self._lazy(function.get("outputTypeRef"), item))
        elif parts:
            entries = {key: self._component(part, f"{name}.{key}") for key, part in parts}
            one = ItemType(name, "context", components=entries, allowed=allowed)
        else:
            one = _restricted(self.find(type_ref(item), item) or ItemType(name), name, allowed)
        if item.get("isCollection") != "true":
            return one
        return ItemType(name, "list", element=lambda: one, constraint=constraint)

    def _component(self, part: etree._Element, name: str) -> Callable[[], ItemType]:
        def component() -> ItemType:
            if name not in self._made:
                self._made[name] = self._read(part, name)
            return self._made[name]

        return component

    def _lazy(self, name: str | None, source: etree._Element) -> Callable[[], ItemType]:
        return lambda: self.find(name, source) or ItemType("Any")

    def _tests(self, element: etree._Element | None) -> UnaryTests | None:
        if element is None or not text_of(element):
            return None
        try:
            return compile_unary(text_of(element))
        except FeelError as error:
            line = line_of(element)
            self._problems.append(Problem(self._model.path, line, "allowedValues", error.message))
            return None


def _restricted(base: ItemType, name: str, allowed: tuple[UnaryTests, ...]) -> ItemType:
    return ItemType(
        name, base.base, base.components, base.element, base.parameters, base.result,
        (*base.allowed, *allowed), base.constraint,
    )  # fmt: skip


def _plain(name: str, source: etree._Element | None) -> str:
    """Return a type's name without the prefix of DMN 1.1 (`feel:string`), where the prefix is one of the file."""
    prefix, colon, rest = name.partition(":")
    if colon and (source is None or prefix in source.nsmap):
        name = rest
    name = " ".join(name.split())
    return _ALIASES.get(name, name)


class Misfit(Exception):
    """A value is not of a type; the message says which part and why, in Chinese."""


def coerced(value: Value, wanted: ItemType, run: Run) -> Value:
    """Return a value as one of a type: a list of one for its element and back, a date for its midnight in UTC.

    Null is of every type. Raises Misfit. Standard: DMN 1.5, 10.3.2.9.4 and 7.3.3 (allowed values).
    """
    run.charge(1)
    if value is None or type(value) is wanted.kind:
        return value
    if wanted.element is not None:
        value = _collection(value, wanted, wanted.element(), run)
    else:
        value = _single(value, wanted, run)
    restricting = () if type(value) is list else wanted.allowed
    for tests in (*restricting, *([wanted.constraint] if wanted.constraint else [])):
        if not tests.run(value, {}, run):
            raise Misfit(f"不在“{wanted.name}”的允许值 {tests.text} 之内")
    return value


def _collection(value: Value, wanted: ItemType, element: ItemType, run: Run) -> Value:
    run.enter()
    try:
        return [coerced(one, element, run) for one in (value if type(value) is list else [value])]
    finally:
        run.leave()


def _single(value: Value, wanted: ItemType, run: Run) -> Value:
    converted = value if wanted.base == "Any" else coerce(value, FeelType(wanted.base), run)
    if converted is None:
        raise Misfit(f"应为{NAMES.get(wanted.base, wanted.base)}，给的是{NAMES.get(kind(value), '别的')}")
    value = converted
    if wanted.result is not None and value.parameters is not None and len(value.parameters) != len(wanted.parameters):
        raise Misfit(f"参数个数与“{wanted.name}”不同")
    if wanted.components is None:
        return value
    run.enter()
    try:
        whole = dict(value)
        for key, component in wanted.components.items():
            if key not in whole:
                raise Misfit("没有给出")
            whole[key] = coerced(whole[key], component(), run)
        return whole
    except Misfit as misfit:
        raise Misfit(f"“{wanted.name}”的“{key}”{misfit}") from None
    finally:
        run.leave()
