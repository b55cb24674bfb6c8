"""Calls of function values with positional and named arguments."""

from collections.abc import Mapping, Sequence

from engine.feel.limits import Run
from engine.feel.values import FeelFunction, Value


def call_positional(function: Value, arguments: Sequence[Value], run: Run) -> Value:
    """Return what a function answers; None when it is no function or the number of arguments is wrong."""
    if type(function) is not FeelFunction:
        return None
    if function.parameters is not None and len(arguments) != len(function.parameters):
        return None
    return function.call(run, arguments)


def call_named(function: Value, arguments: Mapping[str, Value], run: Run) -> Value:
    """Return what a function answers to named arguments; None when a name is unknown or missing."""
    if type(function) is not FeelFunction:
        return None
    if function.call_named is not None:
        return function.call_named(run, arguments)
    names = function.parameters or ()
    if set(arguments) != set(names):
        return None
    return function.call(run, [arguments[name] for name in names])
