"""Why an expression is null: the innermost part that is, found by evaluating its parts once more.

FEEL answers null to whatever it cannot do, silently; to say why each time would cost every evaluation, so it is asked
afterwards, where somebody wants to know.
"""

from collections.abc import Iterator

from engine.feel import nodes as n
from engine.feel.compiler import compile_node
from engine.feel.errors import FeelError
from engine.feel.kinds import NAMES
from engine.feel.limits import Limits, Run
from engine.feel.scope import Env, Scope, Used
from engine.feel.values import Value, kind

_KINDS = {**NAMES, "null": "空"}


def explain(tree: n.Node, env: Env, scope: Scope | None = None) -> str | None:
    """Return in Chinese why a tree is null in an environment; None where it isn't, or where there's nothing to say.

    `scope` is the one that the tree was compiled in; none: only the context's names are in sight. It costs the run no
    steps but some set apart, for all that it is asked; when they are spent, nothing is said.
    """
    run: Run = env[1]
    account = Run(Limits(steps=run.reason_steps))
    account.pattern_seconds = run.pattern_seconds
    try:
        return _explain(tree, (env[0], account, *env[2:]), scope or Scope(Used()))
    except (FeelError, RecursionError):
        return None
    finally:
        run.reason_steps, run.pattern_seconds = account.steps, account.pattern_seconds


def _explain(node: n.Node, env: Env, scope: Scope) -> str | None:
    if _value(node, env, scope) is not None:
        return None
    match node:
        case n.If(condition=condition, then=then, otherwise=otherwise):
            return _explain(then if _value(condition, env, scope) is True else otherwise, env, scope)
        case n.Path(source=n.Context(entries=entries), name=name):
            for entry in entries:
                if entry.key == name:
                    return _explain(entry.value, env, scope)
                env, scope = (*env, _value(entry.value, env, scope)), scope.bind(entry.key)
    values: list[Value] = []
    for part in _parts(node):
        value = _value(part, env, scope)
        if value is None and not isinstance(part, n.Literal):
            return _explain(part, env, scope) or _reason(node, values)
        values.append(value)
    return _reason(node, values)


def _value(node: n.Node, env: Env, scope: Scope) -> Value:
    env[1].charge(node.weight)
    return compile_node(node, scope)(env)


def _parts(node: n.Node) -> Iterator[n.Node]:
    """Yield the parts that a node's value is computed from, where they see the same names as the node."""
    match node:
        case n.Chain():
            yield node.first
            yield from (operand for _, operand in node.rest)
        case n.Comparison():
            yield from (node.left, node.right)
        case n.Negation():
            yield node.operand
        case n.Between():
            yield from (node.value, node.low, node.high)
        case n.Logic():
            yield from node.operands
        case n.Call():
            yield from (argument.value for argument in node.arguments)
        case n.Path() | n.Filter():
            yield node.source
        case n.In():
            yield node.value
        case n.For() | n.Quantified():
            yield node.iterators[0].source
        case n.Foreign():
            yield from node.wrapped()


def _reason(node: n.Node, values: list[Value]) -> str | None:
    kinds = "、".join(_KINDS[kind(value)] for value in values)
    match node:
        case n.Name():
            return f"“{node.name}”没有值"
        case n.Chain():
            signs = "、".join(dict.fromkeys(op for op, _ in node.rest))
            return f"“{signs}”对{kinds}没有结果"
        case n.Negation():
            return f"“-”不能用于{kinds}"
        case n.Comparison() | n.Between() | n.In():
            return f"{kinds}之间不能比较"
        case n.Logic():
            return f"“{node.op}”不能用于{kinds}"
        case n.Path():
            return f"{kinds}里没有“{node.name}”"
        case n.Filter():
            return "筛选没有结果"
        case n.Call():
            name = node.function.name if isinstance(node.function, n.Name) else "函数"
            return f"{name}({kinds}) 没有结果：参数个数、类型或取值不合要求"
    return None
