"""How a built-in is declared: its signature as the standard prints it, checked and coerced before the function runs.

`substring(string: string, start position: number, length?: number)`: a parameter's type is a FEEL type or one of
`any` (null too), `value` (anything but null), `day` (a date, with a time or without) and `duration`; `?` makes it
optional; `*` takes the rest of the positional arguments as one list. A value becomes a list of one where a list is
asked for, and a list of one its element where none is (DMN 1.5, 10.3.2.9.4). Of several signatures of one name the
first that fits is called, in the order of declaration; null is the answer when none does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal, DivisionByZero, InvalidOperation, Overflow
from types import UnionType
from typing import TypeVar, get_args, get_origin, get_type_hints

from engine.feel.far import FarDate, FarDateTime
from engine.feel.limits import CHARS_PER_STEP, Run
from engine.feel.values import KINDS, FeelFunction, Range, Value, YearsMonthsDuration

_Function = TypeVar("_Function", bound=Callable[..., Value])

_ABSENT = object()
_MISFIT = object()

_KINDS: dict[str, tuple[type, ...]] = {
    "number": (Decimal,),
    "string": (str,),
    "boolean": (bool,),
    "list": (list,),
    "context": (dict,),
    "range": (Range,),
    "function": (FeelFunction,),
    "time": (time,),
    "duration": (timedelta, YearsMonthsDuration),
    "day": (date, datetime, FarDate, FarDateTime),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as declared: `rest` takes what is left of the positional arguments."""

    name: str
    type: str
    optional: bool
    rest: bool

    @property
    def nullable(self) -> bool:
        """Whether null fits it, as what a named call does not supply is null (DMN 1.5, 10.3.2.13.5)."""
        return self.type == "any" and not self.rest

    def fit(self, value: Value) -> Value:
        """Return the value coerced to the parameter's type, or _MISFIT."""
        if self.type == "any":
            return value
        if self.type == "value":
            return _MISFIT if value is None else value
        kinds = _KINDS[self.type]
        if type(value) in kinds:
            return value
        if self.type == "list":
            return _MISFIT if value is None else [value]
        if type(value) is list and len(value) == 1 and type(value[0]) in kinds:
            return value[0]
        return _MISFIT

    def accepts(self, kind: str) -> bool:
        """Tell whether a value of a kind may fit: any list may be of one, and of the one that fits."""
        if self.type in ("any", "value", "list") or kind == "list":
            return True
        return kind in {KINDS[fitting] for fitting in _KINDS[self.type]}


@dataclass(frozen=True, slots=True)
class Signature:
    """One way to call a built-in."""

    parameters: tuple[Parameter, ...]
    function: Callable[..., Value]
    takes_run: bool

    @property
    def result(self) -> str:
        """The kind of what it answers, as the Python function declares it; `Any` where that depends."""
        declared = get_type_hints(self.function)["return"]
        members = get_args(declared) if isinstance(declared, UnionType) else (declared,)
        kinds = {KINDS.get(get_origin(member) or member, "Any") for member in members} - {"null"}
        return kinds.pop() if len(kinds) == 1 else "Any"

    def positional(self, arguments: Sequence[Value]) -> list[Value] | None:
        parameters = self.parameters
        if parameters and parameters[-1].rest:
            fixed = len(parameters) - 1
            if len(arguments) <= fixed:
                return None
            arguments = [*arguments[:fixed], list(arguments[fixed:])]
        if len(arguments) > len(parameters):
            return None
        return self._fit([*arguments, *[_ABSENT] * (len(parameters) - len(arguments))])

    def named(self, arguments: Mapping[str, Value]) -> list[Value] | None:
        if not arguments.keys() <= {parameter.name for parameter in self.parameters}:
            return None
        values = [
            arguments.get(parameter.name, None if parameter.nullable else _ABSENT) for parameter in self.parameters
        ]
        if self.parameters and self.parameters[-1].rest and values[-1] is not _ABSENT:
            values[-1] = [values[-1]]
        return self._fit(values)

    def _fit(self, arguments: list[Value]) -> list[Value] | None:
        fitted: list[Value] = []
        for parameter, argument in zip(self.parameters, arguments, strict=True):
            if argument is _ABSENT:
                if not parameter.optional:
                    return None
                fitted.append(None)
                continue
            value = parameter.fit(argument)
            if value is _MISFIT:
                return None
            fitted.append(value)
        return fitted

    def run(self, run: Run, arguments: list[Value]) -> Value:
        for argument in arguments:
            if type(argument) is list:
                run.charge(len(argument))
            elif type(argument) is str:
                run.charge(len(argument) // CHARS_PER_STEP)
        try:
            return self.function(run, *arguments) if self.takes_run else self.function(*arguments)
        except (InvalidOperation, DivisionByZero, ValueError, OverflowError):
            return None
        except Overflow:
            return run.overflow()


def _parse(parameter: str) -> Parameter:
    name, _, kind = parameter.partition(":")
    plain = name.strip().rstrip("?*")
    return Parameter(plain, kind.strip(), "?" in name, "*" in name)


class Registry:
    """The built-ins of one module."""

    def __init__(self) -> None:
        self._signatures: dict[str, list[Signature]] = {}

    def __call__(self, *signatures: str, takes_run: bool = False) -> Callable[[_Function], _Function]:
        """Declare a function by its signatures; with `takes_run` it gets the run as its first argument."""

        def declare(function: _Function) -> _Function:
            for signature in signatures:
                name, _, inside = signature.removesuffix(")").partition("(")
                parameters = tuple(_parse(part) for part in inside.split(",") if part.strip())
                self._signatures.setdefault(name, []).append(Signature(parameters, function, takes_run))
            return function

        return declare

    def signatures(self) -> dict[str, tuple[Signature, ...]]:
        """Return the ways to call each function, in the order in which they are tried."""
        return {name: tuple(signatures) for name, signatures in self._signatures.items()}

    def functions(self) -> dict[str, FeelFunction]:
        """Return the declared functions by name."""
        return {name: _function(signatures) for name, signatures in self._signatures.items()}


def _function(signatures: list[Signature]) -> FeelFunction:
    def call(run: Run, arguments: Sequence[Value]) -> Value:
        run.charge(1)
        for signature in signatures:
            fitted = signature.positional(arguments)
            if fitted is not None:
                return signature.run(run, fitted)
        return None

    def call_named(run: Run, arguments: Mapping[str, Value]) -> Value:
        run.charge(1)
        # `before(point, range)` and `before(range, point)` differ by nothing but order: what is written decides.
        written = list(arguments)
        for signature in sorted(signatures, key=lambda one: [each.name for each in one.parameters] != written):
            fitted = signature.named(arguments)
            if fitted is not None:
                return signature.run(run, fitted)
        return None

    return FeelFunction(None, call, call_named)
