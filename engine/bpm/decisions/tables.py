"""Decision tables (决策表): their columns and rules as the file has them (DMN 1.5, chapter 8)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lxml import etree

from engine.bpm.decisions.document import boxed, child, children, line_of, text_of, type_ref
from engine.bpm.decisions.hit_policies import AGGREGATIONS, HIT_POLICIES, MANY, compiled_table
from engine.bpm.decisions.items import ItemType, feel_type, limited
from engine.bpm.decisions.reading import Failing, Reader
from engine.feel import nodes as n
from engine.feel.scope import Code, Scope
from engine.feel.types import FeelType

_LABEL = 200  # characters of an expression that names its column
_LABEL = 40
_NOTES = ("description", "annotationEntry")  # modelers write a rule's remark into the one or the other


@dataclass(frozen=True, slots=True)
class Input:
    """A column of conditions: the expression that is tested, and the values that it may have."""

    label: str
    text: str
    expression: n.Node
    wanted: ItemType | None
    values: n.UnaryTestList | Failing | None


@dataclass(frozen=True, slots=True)
class Output:
    """A column of results: its name, the values that it may have in the order of their priority, its default."""

    name: str
    label: str
    wanted: ItemType | None
    values: n.UnaryTestList | Failing | None
    default: n.Node | None

    @property
    def kind(self) -> FeelType:
        """The type of a result, with the values that it may have."""
        return limited(feel_type(self.wanted), self.values)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: a cell of tests per input, an expression per output, what its author noted; `line` is its place."""

    line: int
    tests: tuple[n.UnaryTestList | Failing, ...]
    results: tuple[n.Node, ...]
    texts: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Table(n.Foreign):
    """A decision table; as a node of FEEL's tree it compiles itself."""

    decision: str
    id: str
    line: int
    policy: str
    aggregation: str
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    rules: tuple[Rule, ...]

    @property
    def many(self) -> bool:
        """Whether the answer is a list, or joined of several."""
        return self.policy in MANY

    def children(self) -> Any:
        """Yield the expressions of the cells."""
        for column in self.inputs:
            yield column.expression
        for rule in self.rules:
            yield from rule.tests
            yield from rule.results

    def code(self, scope: Scope, compile_node: Callable[[n.Node, Scope], Code]) -> Code:
        """Return the code."""
        return compiled_table(self, scope, compile_node)


def read_table(reader: Reader, element: etree._Element) -> n.Node:
    """Return the table; a Failing node where its policy is unknown or a rule has too few or too many cells."""
    policy = (element.get("hitPolicy") or "UNIQUE").upper()
    aggregation = (element.get("aggregation") or "").upper()
    if policy not in HIT_POLICIES or (aggregation and aggregation not in AGGREGATIONS):
        known = "、".join(AGGREGATIONS if policy in HIT_POLICIES else HIT_POLICIES)
        message = f"不认识的命中策略“{policy} {aggregation}”".replace(" ”", "”")
        return reader.fails(element, message, f"可用的：{known}")
    inputs = tuple(_input(reader, one) for one in children(element, "input"))
    tested = reader.seeing("?")
    kinds = [limited(feel_type(column.wanted), column.values) for column in inputs]
    outputs = tuple(_output(tested, one) for one in children(element, "output"))
    results_of = [column.kind for column in outputs]
    titles = [_short(label or "结果") for label in (*(c.label for c in inputs), *(c.label for c in outputs))]
    rules = []
    for row, source in enumerate(children(element, "rule"), 1):
        tests, results = list(children(source, "inputEntry")), list(children(source, "outputEntry"))
        if len(tests) != len(inputs) or len(results) != len(outputs):
            return reader.fails(
                source, f"第 {row} 条规则有 {len(tests)} 个条件和 {len(results)} 个结果，"
                f"表头有 {len(inputs)} 个输入和 {len(outputs)} 个输出；请补齐或删去多余的格"
            )  # fmt: skip
        places = [f"第 {row} 条规则“{title}”" for title in titles]
        rules.append(
            Rule(
                line_of(source),
                tuple(
                    tested.at(place).tests(cell, kind) for place, cell, kind in zip(places, tests, kinds, strict=False)
                ),
                tuple(
                    reader.at(place).text(cell, kind)
                    for place, cell, kind in zip(places[len(tests) :], results, results_of, strict=True)
                ),
                tuple(text_of(cell) for cell in tests + results),
                "；".join(text for tag in _NOTES for one in children(source, tag) if (text := text_of(one))),
            )
        )
    return Table(
        decision=reader.owner,
        id=element.get("id") or reader.owner,
        line=line_of(element),
        policy=policy,
        aggregation=aggregation,
        inputs=inputs,
        outputs=outputs,
        rules=tuple(rules),
        offset=0,
    )


def _short(label: str) -> str:
    """Return a column's label as the place of every one of its cells bears it."""
    return label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"


def _input(reader: Reader, element: etree._Element) -> Input:
    expression = child(element, "inputExpression")
    text = text_of(expression)
    reader = reader.at(f"输入列“{_short(element.get('label') or text)}”")
    wanted = None if expression is None else reader.items.find(type_ref(expression), expression)
    read = n.Literal(None, offset=0) if expression is None else reader.text(expression)
    if wanted is None and isinstance(read, n.Name):  # what it names says what it is
        wanted = reader.declared.get(read.name)
    return Input(
        label=element.get("label") or text[:_LABEL],
        text=text,
        expression=read,
        wanted=wanted,
        values=_values(reader.seeing("?"), child(element, "inputValues")),
    )


def _output(reader: Reader, element: etree._Element) -> Output:
    default = child(element, "defaultOutputEntry")
    name = " ".join((element.get("name") or "").split())
    reader = reader.at(f"输出列“{_short(element.get('label') or name or '结果')}”")
    read = reader.text if default is None or boxed(default) is None else reader.inner
    return Output(
        name=name,
        label=element.get("label") or name,
        wanted=reader.items.find(element.get("typeRef"), element),
        values=_values(reader, child(element, "outputValues")),
        default=None if default is None else read(default),
    )


def _values(reader: Reader, element: etree._Element | None) -> n.UnaryTestList | Failing | None:
    return None if element is None or not text_of(element) else reader.tests(element)
