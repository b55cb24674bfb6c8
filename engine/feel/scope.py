"""Where a name's value is found, decided at compile time.

The environment of compiled code is one flat tuple: the context, the run, then the local variables. A variable's
place is known when compiling, so reading it is one index; making one is one new tuple, so functions may keep theirs.
Inside a filter a name may also be a key of the filtered element, which is known only at run time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from engine.feel.errors import FeelError
from engine.feel.limits import Run
from engine.feel.nodes import Node
from engine.feel.values import FeelFunction, Value, located, number

Env = tuple[Value, ...]
"""(context, run, local, local, …)"""
Code = Callable[[Env], Value]
Compile = Callable[[Node, "Scope"], Code]
"""The compiler of any node, handed to the modules that compile one kind."""

FIRST_LOCAL = 2


@dataclass(slots=True)
class Used:
    """The free names of one expression: those surely of the context, and those that may be an element's keys."""

    certain: set[str] = field(default_factory=set)
    possible: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Scope:
    """The local variables in sight: `(name, slot)` from the outermost; an element of a filter has the name None."""

    used: Used
    locals: tuple[tuple[str | None, int], ...] = ()

    @property
    def next_slot(self) -> int:
        """The slot that the next local variable takes."""
        return FIRST_LOCAL + len(self.locals)

    def bind(self, *names: str | None) -> "Scope":
        """Return the scope with further local variables."""
        added = tuple((name, self.next_slot + index) for index, name in enumerate(names))
        return replace(self, locals=self.locals + added)

    def slot(self, name: str) -> int | None:
        """Return the slot of a local variable, or None when the name is not local."""
        return next((slot for known, slot in reversed(self.locals) if known == name), None)

    def elements(self, name: str) -> list[int]:
        """Return the slots of the filtered elements between here and the variable `name`, innermost first."""
        slots: list[int] = []
        for known, slot in reversed(self.locals):
            if known == name:
                break
            if known is None:
                slots.append(slot)
        return slots


def read(name: str, scope: Scope, builtin: FeelFunction | None) -> Code:
    """Return the code that reads a name: a local variable, an element's key, the context, a built-in, else null."""
    slot = scope.slot(name)
    elements = scope.elements(name)
    if slot is not None:
        outer: Code = _local(slot)
    else:
        if builtin is None:
            (scope.used.possible if elements else scope.used.certain).add(name)
        outer = _global(name, builtin)
    return _element(name, elements, outer) if elements else outer


def _local(slot: int) -> Code:
    return lambda env: env[slot]


def _element(name: str, slots: list[int], outer: Code) -> Code:
    def find(env: Env) -> Value:
        for slot in slots:
            element = env[slot]
            if type(element) is dict and name in element:
                return element[name]
        return outer(env)

    return find


_PLAIN = frozenset({str, bool, type(None)})


def _global(name: str, builtin: FeelFunction | None) -> Code:
    def find(env: Env) -> Value:
        value = env[0].get(name, builtin)
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind in _CONTAINERS:
            return _converted(env[1], name, value)
        return convert(name, value)

    return find


def convert(name: str, value: object) -> Value:
    """Return the FEEL value of a context's entry; errors as `number`, with the entry's name."""
    try:
        return number(value)
    except FeelError as error:
        raise located(error, name) from None


_CONTAINERS = frozenset({list, dict, tuple})


def _converted(run: Run, name: str, value: Value) -> Value:
    """Convert a list or context once in a run, however often it is read."""
    found = run.cache.get(id(value))
    if found is None:
        found = run.cache[id(value)] = (value, convert(name, value))
    return found[1]
