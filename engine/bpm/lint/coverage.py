"""Do the conditions of a gateway leave a case open? Decided for outcomes, numbers, texts of one name, and opposites."""

from collections.abc import Iterable
from decimal import Decimal

from engine.feel import nodes

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


def covers(trees: Iterable[nodes.Node], outcomes: frozenset[str] | None) -> bool:
    """Tell whether in every case one of the conditions surely holds, as far as that can be decided.

    `outcomes` are the values that `outcome` can have here, None when unknown. A null value counts as no case: a form
    field that a condition reads is expected to be required.
    """
    parts = [part for tree in trees for part in alternatives(tree)]
    if any(isinstance(part, nodes.Literal) and part.value is True for part in parts):
        return True
    texts = [(_path(value), wanted) for part in parts for value, wanted in compared_texts(part)]
    if outcomes and outcomes <= {wanted for name, wanted in texts if name == "outcome"}:
        return True
    return _opposites(parts) or _numbers(parts)


def alternatives(tree: nodes.Node) -> list[nodes.Node]:
    """Return the operands of `or`, or the tree itself."""
    found: list[nodes.Node] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, nodes.Logic) and node.op == "or":
            pending.extend(node.operands)
        else:
            found.append(node)
    return found


def compared_texts(tree: nodes.Node) -> list[tuple[nodes.Node, str]]:
    """Return what a condition compares with text constants, by `=` and `in`: (compared, constant)."""
    match tree:
        case nodes.Comparison(op="=", left=value, right=nodes.Literal(value=str(wanted))):
            return [(value, wanted)]
        case nodes.Comparison(op="=", left=nodes.Literal(value=str(wanted)), right=value):
            return [(value, wanted)]
        case nodes.In(value=value, tests=tests):
            return [
                (value, literal.value)
                for test in tests
                if not test.op
                for literal in (test.operand.elements if isinstance(test.operand, nodes.ListOf) else (test.operand,))
                if isinstance(literal, nodes.Literal) and isinstance(literal.value, str)
            ]
    return []


def _path(node: nodes.Node) -> str | None:
    """Return `a.b.c` for a name or path; None for anything else."""
    parts: list[str] = []
    while isinstance(node, nodes.Path):
        parts.append(node.name)
        node = node.source
    return ".".join([node.name, *reversed(parts)]) if isinstance(node, nodes.Name) else None


def _opposites(parts: list[nodes.Node]) -> bool:
    """`x` and `not(x)`; `x = c` and `x != c`; `flag = true` and `flag = false`."""
    truths: set[tuple[str, object, bool]] = set()
    for part in parts:
        truth = True
        while (inner := _negated(part)) is not None:
            part, truth = inner, not truth
        match part:
            case nodes.Comparison(op="=" | "!=" as op, left=left, right=nodes.Literal(value=value)):
                truth = truth == (op == "=")
                if isinstance(value, bool):
                    truth, value = truth == value, None
                key = (_path(left), value)
            case _:
                key = (_path(part), None)
        if key[0] is not None:
            truths.add((key[0], key[1], truth))
    return any((name, value, not truth) in truths for name, value, truth in truths)


def _negated(node: nodes.Node) -> nodes.Node | None:
    match node:
        case nodes.Call(function=nodes.Name(name="not"), arguments=(argument,)):
            return argument.value
    return None


def _numbers(parts: list[nodes.Node]) -> bool:
    """Intervals of one number that together leave no gap."""
    intervals: dict[str, list[tuple[tuple[Decimal, int], tuple[Decimal, int]]]] = {}
    for part in parts:
        name, interval = _interval(part)
        if name is not None and interval is not None:
            intervals.setdefault(name, []).append(interval)
    return any(_gapless(sorted(found)) for found in intervals.values())


# A bound is (value, side): side 0 lies just below the value, 1 just above it.
_Bound = tuple[Decimal, int]
_LOWEST: _Bound = (Decimal("-Infinity"), 0)
_HIGHEST: _Bound = (Decimal("Infinity"), 1)


def _interval(part: nodes.Node) -> tuple[str | None, tuple[_Bound, _Bound] | None]:
    match part:
        case nodes.Between(low=nodes.Literal(value=Decimal() as low), high=nodes.Literal(value=Decimal() as high)):
            return _path(part.value), ((low, 0), (high, 1))
        case nodes.Comparison(op=op, left=nodes.Literal(value=Decimal() as value), right=right):
            return _path(right), _half(_FLIPPED[op], value)
        case nodes.Comparison(op=op, left=left, right=nodes.Literal(value=Decimal() as value)):
            return _path(left), _half(op, value)
        case nodes.Logic(op="and", operands=operands):
            found = [
                _interval(operand) for operand in operands if isinstance(operand, nodes.Comparison | nodes.Between)
            ]
            names = {name for name, _ in found}
            inner = [interval for _, interval in found if interval]
            if len(found) == len(operands) == len(inner) and len(names) == 1:
                return names.pop(), (max(low for low, _ in inner), min(high for _, high in inner))
    return None, None


def _half(op: str, value: Decimal) -> tuple[_Bound, _Bound] | None:
    return {
        "<": (_LOWEST, (value, 0)),
        "<=": (_LOWEST, (value, 1)),
        ">": ((value, 1), _HIGHEST),
        ">=": ((value, 0), _HIGHEST),
        "=": ((value, 0), (value, 1)),
    }.get(op)


def _gapless(intervals: list[tuple[_Bound, _Bound]]) -> bool:
    reached = _LOWEST
    for low, high in intervals:
        if low > reached:
            return False
        reached = max(reached, high)
    return reached == _HIGHEST
