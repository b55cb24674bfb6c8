"""Paths: keys of contexts, properties of dates, durations and ranges, and either over the elements of a list.

Fixed tables only: no attribute of a Python object is ever reached from an expression.
"""

from engine.feel.limits import Run
from engine.feel.temporal import property_of
from engine.feel.values import Range, Value


def get_path(value: Value, name: str, run: Run) -> Value:
    """Return `value.name`; of a list, the list of its elements' values; None where there is nothing of that name."""
    kind = type(value)
    if kind is dict:
        return value.get(name)
    if kind is list:
        run.enter()
        run.size(len(value))
        result = [get_path(element, name, run) for element in value]
        run.leave()
        return result
    if kind is Range:
        return _range_property(value, name)
    return property_of(value, name)


def _range_property(value: Range, name: str) -> Value:
    if name == "start":
        return value.low
    if name == "end":
        return value.low if value.op == "=" else value.high
    if name == "start included":
        return value.low_closed
    return value.high_closed if name == "end included" else None
