"""The types of expressions, node by node, and what surely is wrong about them.

Gradual: what is not known is `Any`, and of that nothing is said. Null is of every type.
"""

from collections.abc import Callable

from engine.feel import nodes as n
from engine.feel.cases import never
from engine.feel.comparison import uses_input
from engine.feel.functions import BUILTINS
from engine.feel.invocation import Given, call_builtin
from engine.feel.kinds import property_kind
from engine.feel.names import Names
from engine.feel.operations import TEMPORAL, arithmetic, comparison, is_known, membership, negation
from engine.feel.problems import Problems, clip, shown
from engine.feel.types import (
    ANY,
    BOOLEAN,
    NULL,
    FeelType,
    compound,
    element_of,
    is_incomplete,
    is_type,
    join,
    list_of,
    plain,
    type_of,
)
from engine.feel.values import KINDS


class Inference:
    """Goes through the tree of one text."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def infer(self, node: n.Node, names: Names) -> FeelType:
        """Return the type of a node."""
        return _RULES[type(node)](self, node, names)

    def condition(self, node: n.Node, names: Names, what: str) -> FeelType:
        """Return the type of what has to be true or false."""
        found = self.infer(node, names)
        if is_known(found) and found.name != "boolean":
            self.problems.add(
                node.offset,
                "type_condition",
                f"{what}应为真假，这里是{shown(found)}，永远不成立",
                f"{found.name} where true or false is expected",
                "写成比较，如 days > 3；有没有值写 … != null",
            )
            return BOOLEAN
        return found

    def test(self, test: n.UnaryTest, value: FeelType, names: Names) -> None:
        """Check one unary test of a value of a type; `?` is bound in `names`."""
        if test.op:
            comparison(self.problems, test.operand.offset, test.op, value, self._beside(test.operand, names, value))
        elif uses_input(test.operand):
            self.condition(test.operand, names, "用到 ? 的条件")
        elif isinstance(test.operand, n.ListOf):
            for element in test.operand.elements:
                found = self._beside(element, names, element_of(value))
                membership(self.problems, element.offset, element_of(value), found)
        else:
            membership(self.problems, test.operand.offset, value, self._beside(test.operand, names, value))

    def _beside(self, node: n.Node, names: Names, other: FeelType) -> FeelType:
        """Return the type of what is compared with another; a name that is none, but its value, lacks its quotes."""
        if isinstance(node, n.Name) and node.name in other.values and names.type_of(node.name) is None:
            self.problems.unquoted(node.offset, node.name)
            return FeelType("string", values=(node.name,))
        return self.infer(node, names)

    def _literal(self, node: n.Literal, names: Names) -> FeelType:
        if node.value is None:
            return NULL
        kind = KINDS[type(node.value)]
        return FeelType(kind, values=(node.value,) if kind in ("string", "number", "boolean") else ())

    def _name(self, node: n.Name, names: Names) -> FeelType:
        found = names.type_of(node.name)
        if found is not None:
            return found
        if node.name in BUILTINS:
            return FeelType("function")
        what = "“{}”没有任何地方提供，值总是空", "nothing provides {!r}: it is always null"
        self.problems.unknown(node.offset, "unknown_name", node.name, names.sight(), what)
        return ANY

    def _chain(self, node: n.Chain, names: Names) -> FeelType:
        found = self.infer(node.first, names)
        for op, operand in node.rest:
            found = arithmetic(self.problems, operand.offset, op, found, self.infer(operand, names))
        return found

    def _negation(self, node: n.Negation, names: Names) -> FeelType:
        return negation(self.problems, node.offset, self.infer(node.operand, names))

    def _logic(self, node: n.Logic, names: Names) -> FeelType:
        deciding = node.op == "or"
        for operand in node.operands:
            found = self.condition(operand, names, f"{node.op} 连接的各项")
            if found.values == (deciding,):
                zh = "这一项总是成立，其余各项不起作用" if deciding else "这一项永远不成立，整个条件也不会成立"
                en = "always true: the others do not matter" if deciding else "never true, nor is the whole"
                self.problems.add(operand.offset, "unreachable_branch", zh, en, "删去或改正这一项")
                return BOOLEAN
        return BOOLEAN

    def _comparison(self, node: n.Comparison, names: Names) -> FeelType:
        left = self.infer(node.left, names)
        right = self._beside(node.right, names, left)
        literals = isinstance(node.left, n.Literal) and isinstance(node.right, n.Literal)
        return comparison(self.problems, node.offset, node.op, left, right, constant=literals)

    def _between(self, node: n.Between, names: Names) -> FeelType:
        value = plain(self.infer(node.value, names))
        for op, end in ((">=", node.low), ("<=", node.high)):
            comparison(self.problems, end.offset, op, value, plain(self.infer(end, names)))
        return BOOLEAN

    def _in(self, node: n.In, names: Names) -> FeelType:
        value = self.infer(node.value, names)
        if isinstance(node.value, n.Literal):
            value = plain(value)
        for test in node.tests:
            self.test(test, value, names.bind(("?", value)))
        return BOOLEAN

    def _instance_of(self, node: n.InstanceOf, names: Names) -> FeelType:
        self.infer(node.value, names)
        self._check_type(node.type)
        return BOOLEAN

    def _check_type(self, node: n.Type) -> None:
        if is_incomplete(found := type_of(node)):
            zh = f"类型“{clip(node.name)}”没有写全，结果总是空"
            cure = "写出元素的类型，如 list<number>、range<date>"
            self.problems.add(node.offset, "unknown_type", zh, f"{node.name} lacks what it is made of", cure)
        elif not is_type(found):
            message = f"没有类型“{clip(node.name)}”"
            cure = "可用：number、string、boolean、date、time、date and time、list<…>、context<…> 等"
            self.problems.add(node.offset, "unknown_type", message, f"no type {clip(node.name)!r}", cure)

    def _if(self, node: n.If, names: Names) -> FeelType:
        condition = self.condition(node.condition, names, "if 的条件")
        if condition.values == (False,) or never(node.condition, names.type_of):
            self._unreachable(node.then, "条件永远不成立，then 的部分走不到", "never true: then is never reached")
        elif condition.values == (True,):
            self._unreachable(node.otherwise, "条件总是成立，else 的部分走不到", "always true: else is never reached")
        return join(self.infer(node.then, names), self.infer(node.otherwise, names))

    def _unreachable(self, node: n.Node, zh: str, en: str) -> None:
        self.problems.add(node.offset, "unreachable_branch", zh, en, "改正条件，或删去走不到的部分")

    def _turns(self, iterators: tuple[n.Iteration, ...], names: Names) -> Names:
        for iterator in iterators:
            source = self.infer(iterator.source, names)
            if iterator.end is not None:
                kind = join(plain(source), plain(self.infer(iterator.end, names)))
            elif source.name == "range":
                kind = source.arguments[0] if source.arguments else ANY
            else:
                kind = element_of(source)
            names = names.bind((iterator.name, kind))
        return names

    def _for(self, node: n.For, names: Names) -> FeelType:
        inner = self._turns(node.iterators, names.bind(("partial", FeelType("list"))))
        return list_of(plain(self.infer(node.body, inner)))

    def _quantified(self, node: n.Quantified, names: Names) -> FeelType:
        self.condition(node.body, self._turns(node.iterators, names), "satisfies 后面")
        return BOOLEAN

    def _filter(self, node: n.Filter, names: Names) -> FeelType:
        element = element_of(self.infer(node.source, names))
        condition = self.infer(node.condition, names.bind(("item", element), (None, element)))
        if condition.name == "number":  # of a null position comes an empty list
            return element if isinstance(node.condition, n.Literal) else ANY
        if condition.name == "boolean":
            return list_of(element)
        if is_known(condition):
            zh = f"方括号里应为条件或序号，这里是{shown(condition)}，什么也选不出"
            en = f"a filter is a condition or a position, not {condition.name}"
            self.problems.add(node.condition.offset, "type_condition", zh, en, "写成条件，如 items[price > 100]")
        return ANY

    def _path(self, node: n.Path, names: Names) -> FeelType:
        return self._entry(node, self.infer(node.source, names))

    def _entry(self, node: n.Path, source: FeelType) -> FeelType:
        if source.name == "list":
            return list_of(self._entry(node, element_of(source)))
        if not is_known(source):
            return ANY
        what = "“{}”不存在，值总是空", "there is no {!r}: it is always null"
        if source.name == "context":
            found = source.entry(node.name) if source.keys else ANY
            if found is None:
                self.problems.unknown(node.offset, "unknown_path", node.name, source.keys, what)
            return found or ANY
        if source.name == "range" and node.name in ("start", "end"):
            return source.arguments[0] if source.arguments else ANY
        kind = property_kind(source.name, node.name)
        if kind is None:
            zh = f"{shown(source)}没有“{clip(node.name)}”，值总是空"
            en = f"{source.name} has no {clip(node.name)!r}: it is always null"
            cure = "改成它有的属性，或先转换"
            if source.name == "string" and any(property_kind(each, node.name) for each in TEMPORAL):
                cure = "日期字段存成文本，先写 date(…)"
            elif source.name in ("string", "number", "boolean") and isinstance(node.source, n.Name):
                cure = f"它只有一个值，直接写 {clip(node.source.name)}"
            self.problems.add(node.offset, "unknown_path", zh, en, cure)
            return ANY
        return FeelType(kind)

    def _call(self, node: n.Call, names: Names) -> FeelType:
        given = [self._given(argument, names) for argument in node.arguments]
        if isinstance(node.function, n.Name):
            name = node.function.name
            known = names.type_of(name)
            # Data that bear a built-in's name don't hide it here; a function does, as a local variable may be.
            hidden = known is not None and (known.name == "function" or (known == ANY and names.is_local(name)))
            if name in BUILTINS and not hidden:
                return call_builtin(self.problems, node.offset, name, given)
            if known is None:
                what = "没有函数“{}”，结果总是空", "there is no function {!r}: the result is null"
                self.problems.unknown(node.function.offset, "unknown_function", name, BUILTINS, what)
                return ANY
        return self._call_value(node, self.infer(node.function, names), given)

    def _given(self, argument: n.Argument, names: Names) -> Given:
        value = argument.value
        text = value.value if isinstance(value, n.Literal) and isinstance(value.value, str) else None
        return Given(argument.name, self.infer(value, names), argument.offset, text)

    def _call_value(self, node: n.Call, function: FeelType, given: list[Given]) -> FeelType:
        if not is_known(function):
            return ANY
        wanted = len(function.arguments) - 1
        if function.name != "function":
            zh, en = f"{shown(function)}不是函数，结果总是空", f"{function.name} is no function"
            self.problems.add(node.offset, "unknown_function", zh, en, "去掉括号，或改成函数名")
        elif stranger := next((each for each in given if each.name and each.name not in function.keys), None):
            if function.keys or not wanted:
                zh = f"函数没有参数“{clip(stranger.name or '')}”，结果总是空"
                english = f"the function has no parameter {clip(stranger.name or '')!r}"
                self.problems.add(
                    stranger.offset, "argument_name", zh, english, "参数：" + ("、".join(function.keys) or "无")
                )
        elif wanted >= 0 and len(given) != wanted and not any(each.name for each in given):
            zh, en = f"函数要 {wanted} 个参数，写了 {len(given)} 个，结果总是空", f"takes {wanted} arguments"
            self.problems.add(node.offset, "argument_count", zh, en, "补上或删去参数")
        else:
            return function.arguments[-1] if function.arguments else ANY
        return ANY

    def _function(self, node: n.Function, names: Names) -> FeelType:
        parameters = []
        for parameter in node.parameters:
            if parameter.type is not None:
                self._check_type(parameter.type)
            parameters.append((parameter.name, type_of(parameter.type) if parameter.type else ANY))
        inner = names.bind(*parameters)
        result = ANY if node.external else plain(self.infer(node.body, inner))
        keys = tuple(name for name, _ in parameters)
        return compound("function", (*(kind for _, kind in parameters), result), keys)

    def _list(self, node: n.ListOf, names: Names) -> FeelType:
        found = NULL
        for element in node.elements:
            found = join(found, plain(self.infer(element, names)))
        return list_of(ANY if found == NULL else found)

    def _context(self, node: n.Context, names: Names) -> FeelType:
        kinds = []
        for entry in node.entries:
            recursive = isinstance(entry.value, n.Function) and names.type_of(entry.key) is None
            kind = plain(self.infer(entry.value, names.bind((entry.key, ANY)) if recursive else names))
            names = names.bind((entry.key, kind))
            kinds.append(kind)
        return compound("context", tuple(kinds), tuple(entry.key for entry in node.entries))

    def _range(self, node: n.RangeOf, names: Names) -> FeelType:
        ends = [plain(self.infer(end, names)) for end in (node.low, node.high) if end is not None]
        if len(ends) == 2:
            comparison(self.problems, node.offset, "<=", *ends)
        return compound("range", (ends[0],)) if ends else FeelType("range")


_RULES: dict[type, Callable[[Inference, n.Node, Names], FeelType]] = {
    getattr(n, name): getattr(Inference, method)
    for name, method in {
        "Literal": "_literal", "Name": "_name", "Chain": "_chain", "Negation": "_negation", "Logic": "_logic",
        "Comparison": "_comparison", "Between": "_between", "In": "_in", "InstanceOf": "_instance_of", "If": "_if",
        "For": "_for", "Quantified": "_quantified", "Filter": "_filter", "Path": "_path", "Call": "_call",
        "Function": "_function", "ListOf": "_list", "Context": "_context", "RangeOf": "_range",
    }.items()
}  # fmt: skip
