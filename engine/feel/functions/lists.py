"""List functions (DMN 1.5, 10.3.4.4) and `sort`. Positions count from 1, from the end when negative."""

from collections.abc import Callable
from decimal import Decimal
from functools import cmp_to_key

from engine.feel.calls import call_positional
from engine.feel.functions.positions import index_of_position, section
from engine.feel.functions.registry import Registry
from engine.feel.limits import Run
from engine.feel.operators import add, divide, equal, greater, less, multiply, subtract
from engine.feel.values import CONTEXT, Value

BUILTINS = Registry()


@BUILTINS("list contains(list: list, element: any)", takes_run=True)
def list_contains(run: Run, values: list[Value], element: Value) -> bool:
    """Return whether an element is in a list."""
    return _index(values, element, run, 0) is not None


def _index(values: list[Value], element: Value, run: Run, start: int) -> int | None:
    for index in range(start, len(values)):
        run.charge(1)
        if equal(values[index], element, run) is True:
            return index
    return None


@BUILTINS("count(list: list)")
def count(values: list[Value]) -> Decimal:
    """Return the number of elements."""
    return Decimal(len(values))


def _extreme(values: list[Value], better: Callable[[Value, Value], bool | None]) -> Value:
    if not values:
        return None
    best = values[0]
    if better(best, best) is None:
        return None
    for value in values[1:]:
        outcome = better(value, best)
        if outcome is None:
            return None
        best = value if outcome else best
    return best


@BUILTINS("min(list: list)", "min(c*: any)")
def minimum(values: list[Value]) -> Value:
    """Return the least of elements of one kind."""
    return _extreme(values, less)


@BUILTINS("max(list: list)", "max(c*: any)")
def maximum(values: list[Value]) -> Value:
    """Return the greatest of elements of one kind."""
    return _extreme(values, greater)


@BUILTINS("sum(list: list)", "sum(n*: any)")
def total(values: list[Value]) -> Value:
    """Return the sum of numbers; null when there are none."""
    return _fold(values, add) if _numeric(values) else None


@BUILTINS("product(list: list)", "product(n*: any)")
def product(values: list[Value]) -> Value:
    """Return the product of numbers; null when there are none."""
    return _fold(values, multiply) if _numeric(values) else None


def _fold(values: list[Value], apply: Callable[[Value, Value], Value]) -> Value:
    result = values[0]
    for value in values[1:]:
        result = apply(result, value)
    return result


def _numeric(values: list[Value]) -> bool:
    return bool(values) and all(type(value) is Decimal for value in values)


@BUILTINS("mean(list: list)", "mean(n*: any)")
def mean(values: list[Value]) -> Value:
    """Return the arithmetic mean."""
    return divide(_fold(values, add), Decimal(len(values))) if _numeric(values) else None


@BUILTINS("median(list: list)", "median(n*: any)")
def median(values: list[Value]) -> Value:
    """Return the middle number, or the mean of the two in the middle."""
    if not _numeric(values):
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return CONTEXT.divide(CONTEXT.add(ordered[middle - 1], ordered[middle]), Decimal(2))


@BUILTINS("stddev(list: list)", "stddev(n*: any)")
def stddev(values: list[Value]) -> Value:
    """Return the sample standard deviation of at least two numbers."""
    if not _numeric(values) or len(values) < 2:
        return None
    average = divide(_fold(values, add), Decimal(len(values)))
    squares = [multiply(gap, gap) for gap in (subtract(value, average) for value in values)]
    return CONTEXT.sqrt(divide(_fold(squares, add), Decimal(len(values) - 1)))


@BUILTINS("mode(list: list)", "mode(n*: any)")
def mode(values: list[Value]) -> Value:
    """Return the most frequent numbers, ascending."""
    if not all(type(value) is Decimal for value in values):
        return None
    counts: dict[Decimal, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    most = max(counts.values(), default=0)
    return sorted(value for value, times in counts.items() if times == most)


@BUILTINS("all(list: list)", "all(b*: any)")
def all_(values: list[Value]) -> bool | None:
    """Return false if any element is, null if any is no boolean, else true."""
    if any(value is False for value in values):
        return False
    return True if all(value is True for value in values) else None


@BUILTINS("any(list: list)", "any(b*: any)")
def any_(values: list[Value]) -> bool | None:
    """Return true if any element is, null if any is no boolean, else false."""
    if any(value is True for value in values):
        return True
    return False if all(value is False for value in values) else None


@BUILTINS("sublist(list: list, start position: number, length?: number)")
def sublist(values: list[Value], start: Decimal, length: Decimal | None) -> list[Value]:
    """Return a part of a list; null beyond its ends (footnote 2)."""
    first, end = section(start, length, len(values))
    return values[first:end]


@BUILTINS("append(list: list, item*: any)", takes_run=True)
def append(run: Run, values: list[Value], items: list[Value]) -> list[Value]:
    """Return a list with further elements."""
    run.size(len(values) + len(items))
    return [*values, *items]


@BUILTINS("concatenate(list*: any)", takes_run=True)
def concatenate(run: Run, lists: list[Value]) -> list[Value] | None:
    """Return the elements of several lists."""
    result: list[Value] = []
    for values in lists:
        if values is None:
            return None
        result.extend(values if type(values) is list else [values])
        run.size(len(result))
    return result


@BUILTINS("insert before(list: list, position: number, newItem: any)", takes_run=True)
def insert_before(run: Run, values: list[Value], position: Decimal, item: Value) -> list[Value]:
    """Return a list with an element put in before a position."""
    index = index_of_position(position, len(values))
    run.size(len(values) + 1)
    return [*values[:index], item, *values[index:]]


@BUILTINS("remove(list: list, position: number)")
def remove(values: list[Value], position: Decimal) -> list[Value]:
    """Return a list without the element at a position."""
    index = index_of_position(position, len(values))
    return values[:index] + values[index + 1 :]


@BUILTINS("list replace(list: list, position: number, newItem: any)")
def list_replace_at(values: list[Value], position: Decimal, item: Value) -> list[Value]:
    """Return a list with the element at a position replaced."""
    index = index_of_position(position, len(values))
    return [*values[:index], item, *values[index + 1 :]]


@BUILTINS("list replace(list: list, match: function, newItem: any)", takes_run=True)
def list_replace_matching(run: Run, values: list[Value], match: Value, item: Value) -> list[Value] | None:
    """Return a list with each element replaced for which `match(element, new)` is true."""
    result: list[Value] = []
    for value in values:
        outcome = call_positional(match, [value, item], run)
        if type(outcome) is not bool:
            return None
        result.append(item if outcome else value)
    return result


@BUILTINS("reverse(list: list)")
def reverse(values: list[Value]) -> list[Value]:
    """Return a list backwards."""
    return values[::-1]


@BUILTINS("index of(list: list, match: any)", takes_run=True)
def index_of(run: Run, values: list[Value], match: Value) -> list[Decimal]:
    """Return the positions of an element."""
    found: list[Decimal] = []
    index = _index(values, match, run, 0)
    while index is not None:
        found.append(Decimal(index + 1))
        index = _index(values, match, run, index + 1)
    return found


@BUILTINS("union(list*: list)", takes_run=True)
def union(run: Run, lists: list[Value]) -> list[Value] | None:
    """Return the elements of several lists, each once."""
    values = concatenate(run, lists)
    return None if values is None else distinct_values(run, values)


@BUILTINS("distinct values(list: list)", takes_run=True)
def distinct_values(run: Run, values: list[Value]) -> list[Value]:
    """Return the elements of a list, each once."""
    result: list[Value] = []
    for value in values:
        if _index(result, value, run, 0) is None:
            result.append(value)
    return result


@BUILTINS("flatten(list: list)", takes_run=True)
def flatten(run: Run, values: list[Value]) -> list[Value]:
    """Return the elements of nested lists in one list."""
    result: list[Value] = []
    _flatten(run, values, result)
    return result


def _flatten(run: Run, values: list[Value], result: list[Value]) -> None:
    run.enter()
    for value in values:
        if type(value) is list:
            _flatten(run, value, result)
        else:
            result.append(value)
            run.charge(1)
    run.size(len(result))
    run.leave()


@BUILTINS("sort(list: list, precedes?: function)", takes_run=True)
def sort(run: Run, values: list[Value], precedes: Value) -> list[Value] | None:
    """Return a list in the order of `precedes(a, b)`, or ascending; null when it answers no boolean."""
    run.size(len(values))

    def compare(left: Value, right: Value) -> int:
        run.charge(1)
        before = less(left, right) if precedes is None else call_positional(precedes, [left, right], run)
        if type(before) is not bool:
            raise ValueError("precedes answers true or false")
        if before:
            return -1
        after = less(right, left) if precedes is None else call_positional(precedes, [right, left], run)
        return 1 if after is True else 0

    return sorted(values, key=cmp_to_key(compare))
