"""The syntax tree to Python closures: one closure per node, chosen at compile time so that run time only computes."""

from collections.abc import Callable, Sequence
from decimal import Overflow

from engine.feel import nodes as n
from engine.feel.calls import call_named, call_positional
from engine.feel.comparison import compile_between, compile_comparison, compile_in
from engine.feel.functions import BUILTINS
from engine.feel.iteration import compile_filter, compile_for, compile_quantified
from engine.feel.limits import Run
from engine.feel.operators import ARITHMETIC, ORDER, negate, negated
from engine.feel.paths import get_path
from engine.feel.scope import Code, Env, Scope, convert, read
from engine.feel.temporal import parse_date, parse_datetime, parse_duration, parse_time
from engine.feel.types import ANY, FeelType, coerce, conforms, is_incomplete, static_type, type_of
from engine.feel.values import FeelFunction, Range, Value


def compile_node(node: n.Node, scope: Scope) -> Code:
    """Return the code of a node whose names are resolved in `scope`."""
    if isinstance(node, n.Foreign):
        return node.code(scope, compile_node)  # type: ignore[no-any-return]
    return _COMPILERS[type(node)](node, scope)


def _literal(node: n.Literal, scope: Scope) -> Code:
    value = node.value
    return lambda env: value


def _name(node: n.Name, scope: Scope) -> Code:
    return read(node.name, scope, BUILTINS.get(node.name))


def _negation(node: n.Negation, scope: Scope) -> Code:
    operand = compile_node(node.operand, scope)
    return lambda env: negate(operand(env))


def _chain(node: n.Chain, scope: Scope) -> Code:
    first = compile_node(node.first, scope)
    rest = [(ARITHMETIC[op], compile_node(operand, scope)) for op, operand in node.rest]

    def compute(env: Env) -> Value:
        value = first(env)
        try:
            for apply, operand in rest:
                value = apply(value, operand(env))
                if type(value) is str:
                    env[1].text(len(value))
        except Overflow:
            return env[1].overflow()
        return value

    return compute


def _logic(node: n.Logic, scope: Scope) -> Code:
    """Three-valued and/or: the deciding value wins, else null if any operand is no boolean, else the other value."""
    operands = [compile_node(operand, scope) for operand in node.operands]
    deciding, other = (False, True) if node.op == "and" else (True, False)
    if len(operands) == 2:
        left, right = operands

        def both(env: Env) -> Value:
            first = left(env)
            if first is deciding:
                return deciding
            second = right(env)
            if second is deciding:
                return deciding
            return other if first is other and second is other else None

        return both

    def every(env: Env) -> Value:
        result: bool | None = other
        for operand in operands:
            value = operand(env)
            if value is deciding:
                return deciding
            if value is not other:
                result = None
        return result

    return every


def _instance_of(node: n.InstanceOf, scope: Scope) -> Code:
    value = compile_node(node.value, scope)
    wanted = type_of(node.type)
    if is_incomplete(wanted):
        return lambda env: None
    return lambda env: conforms(value(env), wanted, env[1])


def _if(node: n.If, scope: Scope) -> Code:
    condition, then, otherwise = (compile_node(part, scope) for part in (node.condition, node.then, node.otherwise))
    return lambda env: then(env) if condition(env) is True else otherwise(env)


def _function(node: n.Function, scope: Scope, own: str = "") -> Code:
    """Compile a function; `own` is the name it may call itself by, unless something else in sight bears it."""
    names = tuple(parameter.name for parameter in node.parameters)
    types = tuple(type_of(parameter.type) if parameter.type else None for parameter in node.parameters)
    recursive = bool(own) and own not in names and own not in BUILTINS and scope.slot(own) is None
    body = compile_node(node.body, scope.bind(own, *names) if recursive else scope.bind(*names))
    external, weight, typed = node.external, node.body.weight, any(types)
    kind = FeelType("function", (*(wanted or ANY for wanted in types), ANY if external else static_type(node.body)))

    def make(env: Env) -> FeelFunction:
        def call(run: Run, arguments: Sequence[Value]) -> Value:
            if external:
                return _external(run)
            run.enter()
            run.charge(weight)
            try:
                fitted = _fitted(arguments, types, run) if typed else arguments
                return None if fitted is None else body((env[0], run, *env[2:], *itself, *fitted))
            finally:
                run.leave()

        function = FeelFunction(names, call, type=kind)
        itself = (convert(own, env[0][own]) if own in env[0] else function,) if recursive else ()
        return function

    return make


def _fitted(arguments: Sequence[Value], types: Sequence[FeelType | None], run: Run) -> list[Value] | None:
    """Return the arguments as their declared types want them; None where one can't be."""
    fitted: list[Value] = []
    for wanted, argument in zip(types, arguments, strict=True):
        value = argument if wanted is None else coerce(argument, wanted, run)
        if value is None and argument is not None:
            return None
        fitted.append(value)
    return fitted


def _external(run: Run) -> None:
    run.note("外部（Java、PMML）函数不执行，结果为 null")


def _list(node: n.ListOf, scope: Scope) -> Code:
    elements = [compile_node(element, scope) for element in node.elements]
    if all(isinstance(element, n.Literal) for element in node.elements):
        constants = [element.value for element in node.elements if isinstance(element, n.Literal)]
        return lambda env: list(constants)
    return lambda env: [element(env) for element in elements]


def _context(node: n.Context, scope: Scope) -> Code:
    entries: list[tuple[str, Code]] = []
    for entry in node.entries:
        value = entry.value
        code = _function(value, scope, entry.key) if isinstance(value, n.Function) else compile_node(value, scope)
        entries.append((entry.key, code))
        scope = scope.bind(entry.key)

    def build(env: Env) -> dict[str, Value]:
        result: dict[str, Value] = {}
        for key, code in entries:
            value = result[key] = code(env)
            env = (*env, value)
        return result

    return build


def _range(node: n.RangeOf, scope: Scope) -> Code:
    def end(part: n.Node | None) -> Code:
        return compile_node(part, scope) if part is not None else lambda env: None

    low, high, op = end(node.low), end(node.high), node.op
    low_closed, high_closed = node.low_closed, node.high_closed

    def build(env: Env) -> Range | None:
        bounds = Range(low(env), high(env), low_closed, high_closed, op)
        return bounds if op or valid_range(bounds) else None

    if all(part is None or isinstance(part, n.Literal) for part in (node.low, node.high)):
        constant = build(())
        return lambda env: constant
    return build


def valid_range(bounds: Range) -> bool:
    """Tell whether the ends are of one ordered kind and in order (an absent end is fine)."""
    if bounds.low is None or bounds.high is None:
        return True
    return ORDER["<="](bounds.low, bounds.high) is True


def _path(node: n.Path, scope: Scope) -> Code:
    source, name = compile_node(node.source, scope), node.name

    def get(env: Env) -> Value:
        value = source(env)
        if type(value) is dict:
            return value.get(name)
        return get_path(value, name, env[1])

    return get


def _call(node: n.Call, scope: Scope) -> Code:
    literal = _temporal_literal(node, scope)
    if literal is not None:
        return lambda env: literal
    function = compile_node(node.function, scope)
    names = [argument.name for argument in node.arguments]
    arguments = [compile_node(argument.value, scope) for argument in node.arguments]
    called = node.function.name if isinstance(node.function, n.Name | n.Path) else ""
    if isinstance(node.function, n.Name) and node.function.name in BUILTINS:
        if node.function.name == "not" and names == [None] and scope.slot("not") is None:
            (only,) = arguments
            return lambda env: negated(only(env))
        function = _callable(function, BUILTINS[node.function.name])
    if any(name is not None for name in names):
        keys = [name or "" for name in names]
        return lambda env: call_named(
            function(env), dict(zip(keys, [argument(env) for argument in arguments], strict=True)), env[1], called
        )
    return lambda env: call_positional(function(env), [argument(env) for argument in arguments], env[1], called)


def _temporal_literal(node: n.Call, scope: Scope) -> Value:
    """Return the value of `date("2026-07-01")` and the like, which the grammar counts among the literals (rule 62)."""
    match node:
        case n.Call(function=n.Name(name=name), arguments=(n.Argument(name=None, value=n.Literal(value=str(text))),)):
            return _TEMPORAL[name](text) if name in _TEMPORAL and scope.slot(name) is None else None
    return None


def _callable(function: Code, builtin: FeelFunction) -> Code:
    """Let data that happen to bear a built-in's name (a form field, a key `count`) not hide it where it is called."""

    def find(env: Env) -> Value:
        value = function(env)
        return value if type(value) is FeelFunction else builtin

    return find


_TEMPORAL: dict[str, Callable[[str], Value]] = {
    "date": parse_date,
    "time": parse_time,
    "date and time": parse_datetime,
    "duration": parse_duration,
}
_COMPILERS: dict[type, Callable[..., Code]] = {
    n.Literal: _literal,
    n.Name: _name,
    n.Negation: _negation,
    n.Chain: _chain,
    n.Logic: _logic,
    n.InstanceOf: _instance_of,
    n.If: _if,
    n.Function: _function,
    n.ListOf: _list,
    n.Context: _context,
    n.RangeOf: _range,
    n.Path: _path,
    n.Call: _call,
    n.Comparison: lambda node, scope: compile_comparison(node, scope, compile_node),
    n.Between: lambda node, scope: compile_between(node, scope, compile_node),
    n.In: lambda node, scope: compile_in(node, scope, compile_node),
    n.For: lambda node, scope: compile_for(node, scope, compile_node),
    n.Quantified: lambda node, scope: compile_quantified(node, scope, compile_node),
    n.Filter: lambda node, scope: compile_filter(node, scope, compile_node),
}
