"""Comparisons, `between`, `in` and the unary tests of decision tables."""

from decimal import Decimal
from math import isfinite
from typing import TypeGuard

from engine.feel import nodes as n
from engine.feel.functions import BUILTINS
from engine.feel.operators import ORDER, PYTHON_ORDER, equal, negated, within
from engine.feel.scope import Code, Compile, Env, Scope, convert
from engine.feel.values import Range, Value


def compile_comparison(node: n.Comparison, scope: Scope, compile_node: Compile) -> Code:
    """Return the code of `left op right`."""
    left, right = compile_node(node.left, scope), compile_node(node.right, scope)
    if isinstance(node.right, n.Literal):
        constant = node.right.value
        if node.op == "=" and type(constant) in (str, Decimal):
            return _equal_constant(left, constant)
        if node.op in PYTHON_ORDER and type(constant) is Decimal and is_global(node.left, scope):
            return _order_of_number(node.left.name, node.op, constant)
    if node.op == "=":
        return lambda env: equal(left(env), right(env), env[1])
    if node.op == "!=":
        return lambda env: negated(equal(left(env), right(env), env[1]))
    compare = ORDER[node.op]
    return lambda env: compare(left(env), right(env))


def _equal_constant(left: Code, constant: Value) -> Code:
    kind = type(constant)

    def same(env: Env) -> bool | None:
        value = left(env)
        if type(value) is kind:
            return value == constant  # type: ignore[no-any-return]
        return False if value is None else None

    return same


def is_global(node: n.Node, scope: Scope) -> TypeGuard[n.Name]:
    """Tell whether a node is a name that only the context can hold."""
    if not isinstance(node, n.Name) or node.name in BUILTINS:
        return False
    return scope.slot(node.name) is None and not scope.elements(node.name)


def _order_of_number(name: str, op: str, constant: Decimal) -> Code:
    """Compare a number of the context with a constant; numbers as JSON has them without any conversion.

    A float stands for the number that it is written as, and floats are ordered as what they are written as is.
    """
    compare, python_compare = ORDER[op], PYTHON_ORDER[op]
    whole = int(constant) if constant.adjusted() < 34 and constant == constant.to_integral_value() else constant
    nearest = float(constant)
    is_float = isfinite(nearest) and Decimal(repr(nearest)) == constant

    def ordered(env: Env) -> Value:
        value = env[0].get(name)
        kind = type(value)
        if kind is int:
            return python_compare(value, whole)
        if is_float and kind is float and isfinite(value):
            return python_compare(value, nearest)
        return compare(convert(name, value), constant)

    return ordered


def compile_between(node: n.Between, scope: Scope, compile_node: Compile) -> Code:
    """Return the code of `value between low and high`."""
    value, low, high = (compile_node(part, scope) for part in (node.value, node.low, node.high))
    at_least, at_most = ORDER[">="], ORDER["<="]

    def between(env: Env) -> bool | None:
        middle = value(env)
        above, below = at_least(middle, low(env)), at_most(middle, high(env))
        if above is False or below is False:
            return False
        return None if above is None or below is None else True

    return between


_CONDITIONS = (n.Comparison, n.Logic, n.Between, n.In, n.InstanceOf, n.Quantified, n.Call)
"""What is a boolean by its form: beside an input that is none, it is the answer itself."""


def matches(value: Value, test: Value, env: Env) -> bool | None:
    """Return whether an input value passes a test's value: equal to it, in its range, in its list (DMN 1.5, 7.3.3)."""
    kind = type(test)
    if kind is Range:
        inside = within(value, test, env[1])
        return equal(value, test, env[1]) if inside is None and type(value) is Range else inside
    if kind is list:
        if type(value) is list and equal(value, test, env[1]):
            return True
        env[1].charge(len(test))
        return any(matches(value, element, env) is True for element in test)
    return equal(value, test, env[1])


def _answers(value: Value, test: Value, env: Env) -> bool | None:
    """Return whether a value passes a condition, which counts by itself where the value is no boolean."""
    return test if type(test) is bool and type(value) is not bool else matches(value, test, env)


def compile_test(test: n.UnaryTest, scope: Scope, slot: int, compile_node: Compile) -> Code:
    """Return the code of a unary test on the input value in `slot`."""
    operand = compile_node(test.operand, scope)
    if isinstance(test.operand, n.Literal) and (quick := _of_constant(test.op, test.operand.value, slot)) is not None:
        return quick
    if test.op in ORDER:
        compare = ORDER[test.op]
        return lambda env: compare(env[slot], operand(env))
    if test.op == "=":
        return lambda env: equal(env[slot], operand(env), env[1])
    if test.op == "!=":
        return lambda env: negated(equal(env[slot], operand(env), env[1]))
    if uses_input(test.operand):
        return lambda env: operand(env) is True
    passes = _answers if isinstance(test.operand, _CONDITIONS) else matches
    return lambda env: passes(env[slot], operand(env), env)


def compile_tests(node: n.UnaryTestList, scope: Scope, slot: int, compile_node: Compile) -> Code:
    """Return the code of a cell's tests on the input value in `slot`: true where it passes.

    Negated, every test must fail for certain: null is neither a match nor its opposite.
    """
    codes = [compile_test(test, scope, slot, compile_node) for test in node.tests]
    negated = node.negated
    if len(codes) == 1 and not negated:
        return codes[0]
    constants = [test.operand.value for test in node.tests if not test.op and isinstance(test.operand, n.Literal)]
    if not negated and len(constants) == len(codes) and all(type(constant) is str for constant in constants):
        texts = frozenset(constants)
        return lambda env: type(env[slot]) is str and env[slot] in texts

    def passes(env: Env) -> bool:
        for code in codes:
            outcome = code(env)
            if outcome is True or (outcome is None and negated):
                return not negated
        return negated

    return passes


def _of_constant(op: str, constant: Value, slot: int) -> Code | None:
    """Return the code of a test against a number, a text or a boolean, the commonest cells; None for other tests."""
    kind = type(constant)
    if kind not in (Decimal, str, bool):
        return None
    if op in PYTHON_ORDER and kind is not bool:
        compare = PYTHON_ORDER[op]
        return lambda env: compare(env[slot], constant) if type(env[slot]) is kind else None
    return _equal_constant(lambda env: env[slot], constant) if op in ("", "=") else None


def uses_input(node: n.Node) -> bool:
    """Tell whether an expression names the input value `?` itself."""
    return (isinstance(node, n.Name) and node.name == "?") or any(uses_input(child) for child in node.children())


def compile_in(node: n.In, scope: Scope, compile_node: Compile) -> Code:
    """Return the code of `value in tests`: true when one test is, null when none is and one is null."""
    value = compile_node(node.value, scope)
    inner = scope.bind("?")
    tests = [compile_test(test, inner, scope.next_slot, compile_node) for test in node.tests]
    if len(tests) == 1:
        (only,) = tests
        return lambda env: only((*env, value(env)))

    def inside(env: Env) -> bool | None:
        result: bool | None = False
        inner_env = (*env, value(env))
        for test in tests:
            outcome = test(inner_env)
            if outcome is True:
                return True
            if outcome is None:
                result = None
        return result

    return inside
