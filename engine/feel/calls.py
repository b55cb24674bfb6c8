"""Calls of function values with positional and named arguments."""

from collections.abc import Mapping, Sequence

from engine.feel.limits import Run
from engine.feel.values import FeelFunction, Value


def call_positional(function: Value, arguments: Sequence[Value], run: Run, name: str = "") -> Value:
    """Return what a function answers; None when it is no function or the number of arguments is wrong.

    `name` is what a message calls it where it is no function.
    """
    if type(function) is not FeelFunction:
        return _no_function(name, run)
    if function.parameters is not None and len(arguments) != len(function.parameters):
        return None
    return function.call(run, arguments)


def call_named(function: Value, arguments: Mapping[str, Value], run: Run, name: str = "") -> Value:
    """Return what a function answers to named arguments; None when a name is unknown.

    Parameters that are not supplied are null (DMN 1.5, 10.3.2.13.5); `name` as in `call_positional`.
    """
    if type(function) is not FeelFunction:
        return _no_function(name, run)
    if function.call_named is not None:
        return function.call_named(run, arguments)
    parameters = function.parameters or ()
    if not arguments.keys() <= set(parameters):
        return None
    return function.call(run, [arguments.get(parameter) for parameter in parameters])


def _no_function(name: str, run: Run) -> None:
    run.note(f"“{name}”不是函数，调用结果为 null" if name else "调用的值不是函数，结果为 null")
