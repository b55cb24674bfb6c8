"""Loops: for, some and every over several iterators, and filters."""

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal

from engine.feel import nodes as n
from engine.feel.errors import FeelLimitError
from engine.feel.limits import Run
from engine.feel.operators import add, negate
from engine.feel.scope import Code, Compile, Env, Scope
from engine.feel.values import Range, Value

_MAX_ITERATORS = 16


def compile_for(node: n.For, scope: Scope, compile_node: Compile) -> Code:
    """Return the code of `for … return body`; `partial` in the body is the list of results so far."""
    partial_slot = scope.next_slot
    turns, inner = _iterators(node.iterators, scope.bind("partial"), compile_node)
    body, weight = compile_node(node.body, inner), node.body.weight
    needs_partial = _names(node.body, "partial")

    def loop(env: Env) -> list[Value] | None:
        run: Run = env[1]
        results: list[Value] = []
        for inner_env in turns((*env, None)):
            if inner_env is None:
                return None
            run.charge(weight)
            if needs_partial:
                run.size(len(results))
                inner_env = (*inner_env[:partial_slot], list(results), *inner_env[partial_slot + 1 :])
            results.append(body(inner_env))
        run.size(len(results))
        return results

    return loop


def compile_quantified(node: n.Quantified, scope: Scope, compile_node: Compile) -> Code:
    """Return the code of `some`/`every … satisfies body`, three-valued as `or`/`and` over the turns."""
    turns, inner = _iterators(node.iterators, scope, compile_node)
    body, weight = compile_node(node.body, inner), node.body.weight
    deciding = node.quantifier == "some"

    def loop(env: Env) -> bool | None:
        run: Run = env[1]
        result: bool | None = not deciding
        for inner_env in turns(env):
            if inner_env is None:
                return None
            run.charge(weight)
            value = body(inner_env)
            if value is deciding:
                return bool(value)
            if type(value) is not bool:
                result = None
        return result

    return loop


def _names(node: n.Node, name: str) -> bool:
    return (isinstance(node, n.Name) and node.name == name) or any(_names(child, name) for child in node.children())


Turns = Callable[[Env], Iterator[Env | None]]


def _iterators(iterators: tuple[n.Iteration, ...], scope: Scope, compile_node: Compile) -> tuple[Turns, Scope]:
    """Return what yields the environment of each turn (None: there is nothing to iterate), and the body's scope."""
    if len(iterators) > _MAX_ITERATORS:
        raise FeelLimitError(f"循环变量超过 {_MAX_ITERATORS} 个", f"more than {_MAX_ITERATORS} iterators in one loop")
    domains: list[Code] = []
    for iterator in iterators:
        domains.append(_domain(iterator, scope, compile_node))
        scope = scope.bind(iterator.name)

    def turns(env: Env, level: int = 0) -> Iterator[Env | None]:
        values = domains[level](env)
        if values is None:
            yield None
            return
        last = level == len(domains) - 1
        for value in values:
            env[1].charge(1)
            if last:
                yield (*env, value)
            else:
                yield from turns((*env, value), level + 1)

    return turns, scope


def _domain(node: n.Iteration, scope: Scope, compile_node: Compile) -> Code:
    source = compile_node(node.source, scope)
    if node.end is None:
        return lambda env: _elements(source(env))
    end = compile_node(node.end, scope)
    return lambda env: _interval(source(env), end(env))


def _elements(value: Value) -> Iterator[Value] | None:
    """Return what a loop over a value turns through: a list, a range of numbers or days, or the single value."""
    if type(value) is list:
        return iter(value)
    if value is None:
        return None
    if type(value) is not Range:
        return iter((value,))
    low, high = value.low, value.high
    if not (_countable(low) and type(low) is type(high)):
        return None
    step = _step(low)
    return _count(low if value.low_closed else add(low, step), high, step, open_end=not value.high_closed)


def _interval(start: Value, end: Value) -> Iterator[Value] | None:
    """Return the whole numbers or days from `start` to `end`, both included, downwards if `end` is the smaller."""
    if not (_countable(start) and _countable(end) and type(start) is type(end)):
        return None
    step = _step(start)
    return _count(start, end, step if start <= end else negate(step))


def _countable(end: Value) -> bool:
    """Tell whether a loop can go from or to a value: a whole number (DMN 1.5, 10.3.2.14) or a day."""
    return type(end) is date or (type(end) is Decimal and end == end.to_integral_value())


def _step(value: Value) -> Value:
    return timedelta(days=1) if type(value) is date else Decimal(1)


def _count(start: Value, end: Value, step: Value, *, open_end: bool = False) -> Iterator[Value]:
    upwards = step > step - step
    while start is not None and (start < end if upwards else start > end):
        yield start
        start = add(start, step)
    if start == end and not open_end:
        yield start


def compile_filter(node: n.Filter, scope: Scope, compile_node: Compile) -> Code:
    """Return the code of `source[condition]`: the elements for which it is true, or the one at a number from 1."""
    source = compile_node(node.source, scope)
    slot = scope.next_slot
    inner = scope.bind("item", None)
    condition, weight = compile_node(node.condition, inner), node.condition.weight
    fixed = isinstance(node.condition, n.Literal)

    def select(env: Env) -> Value:
        value = source(env)
        if type(value) is not list:
            value = [] if value is None else [value]
        run: Run = env[1]
        if fixed or not value:
            index = condition((*env[:slot], None, None))
            return _at(value, index) if type(index) is Decimal else ([] if index is not True else value)
        selected: list[Value] = []
        for element in value:
            run.charge(weight)
            outcome = condition((*env, element, element))
            if outcome is True:
                selected.append(element)
            elif type(outcome) is Decimal:
                return _at(value, outcome)
        run.size(len(selected))
        return selected

    return select


def _at(values: list[Value], index: Decimal) -> Value:
    """Return the element at an index from 1, or from the end by a negative one; None beyond either."""
    if index != index.to_integral_value() or not 1 <= abs(index) <= len(values):
        return None
    return values[int(index) - 1 if index > 0 else int(index)]
