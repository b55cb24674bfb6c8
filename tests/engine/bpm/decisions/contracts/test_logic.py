"""Boxed expressions, knowledge, services, types and the requirements graph (DMN 1.5, clauses 6, 7 and 10.2)."""

from typing import Any

import pytest

from engine.errors import EngineError
from tests.engine.bpm.decisions.contracts.files import (
    component,
    data,
    decision,
    function,
    item,
    knowledge,
    loaded,
    plain,
    service,
    table,
    text,
)


def child(tag: str, expression: str) -> str:
    return f"<{tag}>{text(expression)}</{tag}>"


def entry(name: str, logic: str, kind: str = "") -> str:
    reference = f' typeRef="{kind}"' if kind else ""
    return f'<contextEntry><variable name="{name}"{reference}/>{logic}</contextEntry>'


def iterator(tag: str, name: str, over: str, last: str, expression: str) -> str:
    return f'<{tag} iteratorVariable="{name}">{child("in", over)}{child(last, expression)}</{tag}>'


def call(name: str, **bindings: str) -> str:
    bound = "".join(f'<binding><parameter name="{key}"/>{text(value)}</binding>' for key, value in bindings.items())
    return f"<invocation>{text(name)}{bound}</invocation>"


def in_sight(f: str, result: str) -> str:
    return f"<context>{entry('f', f)}<contextEntry>{result}</contextEntry></context>"


ROW = f"<row>{text('2')}{text('x')}</row>"
BOXED = [
    ("10.2.1.1 literal", text("x + 1"), 5, 6),
    ("10.2.1.1 literal", text("x +"), 5, None),
    ("10.2.1.1 literal", "<literalExpression/>", 5, None),
    (
        "10.2.1.3 context",
        f"<context>{entry('a', text('x'))}{entry('b', text('a * 2'))}</context>",
        5,
        {"a": 5, "b": 10},
    ),
    (
        "10.2.1.3 context with a result",
        f"<context>{entry('a', text('x'))}<contextEntry>{text('a * 3')}</contextEntry></context>",
        5,
        15,
    ),
    ("10.2.1.3 context of types", f"<context>{entry('a', text('x'), 'string')}</context>", 5, {"a": None}),
    (
        "10.2.1.3 context in a context",
        f"<context>{entry('a b', '<context>' + entry('c', text('x')) + '</context>')}</context>",
        5,
        {"a b": {"c": 5}},
    ),
    ("10.2.1.4 list", f"<list>{text('x')}{text('x + 1')}</list>", 5, [5, 6]),
    ("10.2.1.4 empty list", "<list/>", 5, []),
    (
        "10.2.1.5 relation",
        f'<relation><column name="a"/><column name="b"/><row>{text("1")}{text("x")}</row>{ROW}</relation>',
        5,
        [{"a": 1, "b": 5}, {"a": 2, "b": 5}],
    ),
    ("10.2.1.5 relation without rows", '<relation><column name="a"/></relation>', 5, []),
    (
        "10.2.1.6 function",
        in_sight(function("n", text("n * x")), text("f(3)")),
        5,
        15,
    ),
    (
        "10.2.1.6 function of types",
        in_sight(function("n: string", text("n")), text("f(3)")),
        5,
        None,
    ),
    (
        "10.2.1.6 external function",
        in_sight(function("n", text("n"), kind="Java"), text("f(3)")),
        5,
        None,
    ),
    (
        "10.2.1.2 invocation",
        in_sight(function("n, m", text("n - m")), call("f", m="1", n="x")),
        5,
        4,
    ),
    ("10.2.1.2 invocation of a built-in", call("abs", n="-x"), 5, 5),
    ("10.2.1.2 invocation of nothing", call("nothing", n="-x"), 5, None),
    (
        "10.2.1.7 conditional",
        "<conditional>" + child("if", "x > 3") + child("then", '"a"') + child("else", '"b"') + "</conditional>",
        5,
        "a",
    ),
    (
        "10.2.1.7 conditional",
        "<conditional>" + child("if", "x > 3") + child("then", '"a"') + child("else", '"b"') + "</conditional>",
        1,
        "b",
    ),
    (
        "10.2.1.7 conditional",
        "<conditional>" + child("if", "null") + child("then", '"a"') + child("else", '"b"') + "</conditional>",
        1,
        "b",
    ),
    ("10.2.1.8 filter", "<filter>" + child("in", "[1, 5, 9]") + child("match", "item >= x") + "</filter>", 5, [5, 9]),
    (
        "10.2.1.8 filter",
        "<filter>" + child("in", "[{a: 1}, {a: 5}]") + child("match", "a = x") + "</filter>",
        5,
        [{"a": 5}],
    ),
    ("10.2.1.8 filter", "<filter>" + child("in", "x") + child("match", "item > 1") + "</filter>", 5, [5]),
    ("10.2.1.9 for", iterator("for", "i", "[1, 2, x]", "return", "i * 2"), 5, [2, 4, 10]),
    ("10.2.1.9 for", iterator("for", "i", "[1, 2]", "return", "count(partial)"), 5, [0, 1]),
    ("10.2.1.9 some", iterator("some", "i", "[1, 2, x]", "satisfies", "i > 4"), 5, True),
    ("10.2.1.9 some", iterator("some", "i", "[]", "satisfies", "i > 4"), 5, False),
    ("10.2.1.9 every", iterator("every", "i", "[1, 2, x]", "satisfies", "i > 4"), 5, False),
    ("10.2.1.9 every", iterator("every", "i", "[]", "satisfies", "i > 4"), 5, True),
    (
        "10.2.1 table inside",
        f"<context>{entry('t', table('UNIQUE', ['x'], ['out'], ['5 | 1', 'not(5) | 2']))}</context>",
        5,
        {"t": 1},
    ),
]


@pytest.mark.parametrize(("clause", "logic", "x", "value"), BOXED)
def test_boxed_expressions(clause: str, logic: str, x: Any, value: Any) -> None:
    decisions = loaded(data("x"), decision("D", logic, "x"))
    assert plain(decisions.evaluate("D", {"x": x})) == value, f"DMN 1.5, {clause}"


@pytest.mark.parametrize(
    ("clause", "kind", "expression", "value"),
    [
        ("10.3.2.9.4", "number", '"123"', None),
        ("10.3.2.9.4", "number", "[5]", 5),
        ("10.3.2.9.4", "number", "[5, 6]", None),
        ("10.3.2.9.4", "Numbers", "5", [5]),
        ("10.3.2.9.4", "Numbers", '["a"]', None),
        ("10.3.2.9.4", "Any", '"a"', "a"),
        ("7.3.3 allowed values", "Grade", '"甲"', "甲"),
        ("7.3.3 allowed values", "Grade", '"丁"', None),
        ("7.3.3 allowed values", "Percent", "100", 100),
        ("7.3.3 allowed values", "Percent", "101", None),
        ("7.3.3 components", "Person", '{name: "a", age: 3}', {"name": "a", "age": 3}),
        ("7.3.3 components", "Person", '{name: "a", age: 3, more: 1}', {"name": "a", "age": 3, "more": 1}),
        ("10.3.2.9.2 a missing entry", "Person", '{name: "a"}', None),
        ("7.3.3 components", "Person", "{name: 1, age: 3}", None),
        ("7.3.3 components", "Person", '{name: "a", age: 300}', None),
        ("7.3.3 components", "Person", '"a"', None),
        ("7.3.3 collections", "People", '[{name: "a", age: 3}]', [{"name": "a", "age": 3}]),
        ("7.3.3 collections", "People", '{name: "a", age: 3}', [{"name": "a", "age": 3}]),
        ("7.3.3 collections", "People", '[{name: "a", age: "3"}]', None),
        ("7.3.3 collections", "People", "[]", []),
        ("7.3.3 collections of allowed values", "Grades", '["甲", "乙"]', ["甲", "乙"]),
        ("7.3.3 collections of allowed values", "Grades", '["甲", "丁"]', None),
        ("7.3.3 types of types", "Alias", "100", 100),
        ("7.3.3 types of types", "Alias", "101", None),
    ],
)
def test_results_are_of_their_declared_type(clause: str, kind: str, expression: str, value: Any) -> None:
    types = (
        item("Numbers", "number", many=True),
        item("Grade", "string", allowed='"甲", "乙", "丙"'),
        item("Grades", "Grade", many=True),
        item("Percent", "number", allowed="[0..100]"),
        item("Alias", "Percent"),
        item("Person", "", component("name", "string"), component("age", "number", allowed="[0..150]")),
        item("People", "Person", many=True),
    )
    assert plain(loaded(*types, decision("D", text(expression), kind=kind)).evaluate("D", {})) == value, (
        f"DMN 1.5, {clause}"
    )
    given = loaded(*types, data("x", kind), decision("D", text("x"), "x"))
    argument = plain(loaded(decision("D", text(expression))).evaluate("D", {}))
    assert plain(given.evaluate("D", {"x": argument})) == value, f"DMN 1.5, {clause}, as input"


def test_decisions_need_decisions_and_data() -> None:
    decisions = loaded(
        data("申请 天数", "number"),
        decision("基数", text("申请 天数 * 2"), "申请 天数"),
        decision("Left", text("基数 + 1"), "=基数"),
        decision("Right", text("基数 + 2"), "=基数"),
        decision("Sum of both", text("Left + Right"), "=Left", "=Right"),
    )
    assert decisions.evaluate("Sum of both", {"申请 天数": 5}) == 23
    assert decisions.evaluate("_Sum_of_both", {"申请 天数": 5}) == 23


def test_what_is_not_required_is_not_in_sight() -> None:
    decisions = loaded(data("x"), data("y"), decision("A", text("1")), decision("D", text("[x, y, A]"), "x"))
    assert plain(decisions.evaluate("D", {"x": 1, "y": 2})) in (None, [1, None, None]), "DMN 1.5, 10.3.2.11.2"


def test_knowledge_is_called_positionally_by_name_and_boxed() -> None:
    fee = knowledge("fee of", "days: number, rate: number", text("days * rate"), kind="number")
    decisions = loaded(
        data("x"),
        fee,
        decision("A", text("fee of(x, 3)"), "x", knows=("fee of",)),
        decision("B", text("fee of(rate: 3, days: x)"), "x", knows=("fee of",)),
        decision("C", call("fee of", days="x", rate="3"), "x", knows=("fee of",)),
        decision("D", text("(for f in [fee of] return f(x, 3))[1]"), "x", knows=("fee of",)),
        decision("E", text('fee of("a", 3)'), "x", knows=("fee of",)),
        decision("F", text("fee of(x)"), "x", knows=("fee of",)),
    )
    values = {name: decisions.evaluate(name, {"x": 2}) for name in decisions.names}
    assert plain(values) == {"A": 6, "B": 6, "C": 6, "D": 6, "E": None, "F": None}
    assert decisions.invoke("fee of", {"days": 2, "rate": 3}) == 6
    assert decisions.invoke("fee of", {"days": "a", "rate": 3}) is None
    assert decisions.messages


def test_knowledge_knows_knowledge() -> None:
    decisions = loaded(
        knowledge("double", "n", text("n * 2")),
        knowledge("more", "n", text("double(n) + 1"), knows=("double",)),
        knowledge("grade", "n", table("UNIQUE", ["n"], ["out"], ['< 60 | "丙"', '>= 60 | "甲"'])),
    )
    assert decisions.invoke("more", {"n": 3}) == 7
    assert decisions.invoke("grade", {"n": 70}) == "甲"


SERVICE = (
    data("x", "number"),
    data("y", "number"),
    decision("Inner", text("x * 2"), "x"),
    decision("Given", text("y * 100"), "y"),
    decision("Out", text("Inner + Given"), "=Inner", "=Given"),
    decision("Other", text("Inner - 1"), "=Inner"),
    service("One", out="Out", inside="Inner", needs="Given", takes="x", kind=""),
    service("Two", out="Out;Other", inside="Inner", needs="Given", takes="x"),
)


def test_a_service_of_one_decision_is_its_value() -> None:
    assert loaded(*SERVICE).service("One", {"x": 2, "Given": 10}) == 14, "DMN 1.5, 10.4"


def test_a_service_of_several_decisions_is_a_context() -> None:
    assert plain(loaded(*SERVICE).service("Two", {"x": 2, "Given": 10})) == {"Out": 14, "Other": 3}, "DMN 1.5, 10.4"


def test_an_input_decision_is_a_parameter_not_a_decision_to_make() -> None:
    decisions = loaded(*SERVICE)
    assert decisions.service("One", {"x": 2, "y": 1}) is None
    assert decisions.messages


def test_a_service_is_called_like_a_function() -> None:
    decisions = loaded(
        *SERVICE,
        data("z"),
        decision("N", text("One(x: z, Given: 10)"), "z", knows=("One",)),
        decision("B", call("One", x="z", Given="10"), "z", knows=("One",)),
        decision("W", text('One(Given: 10, x: "a")'), "z", knows=("One",)),
    )
    values = {name: decisions.evaluate(name, {"z": 2}) for name in "NBW"}
    assert values["N"] == values["B"] == 14
    assert values["W"] is None


IMPORTED = """<definitions xmlns="https://www.omg.org/spec/DMN/20230324/MODEL/" name="lib" namespace="urn:lib">
<itemDefinition name="Small"><typeRef>number</typeRef>
<allowedValues><text>[0..10]</text></allowedValues></itemDefinition>
<inputData id="_a" name="a"><variable name="a" typeRef="number"/></inputData>
<decision id="_L" name="Limit"><variable name="Limit"/>
<informationRequirement><requiredInput href="#_a"/></informationRequirement>
<literalExpression><text>a * 10</text></literalExpression></decision>
<businessKnowledgeModel id="_k" name="twice"><variable name="twice"/><encapsulatedLogic>
<formalParameter name="n"/>
<literalExpression><text>n * 2</text></literalExpression></encapsulatedLogic></businessKnowledgeModel></definitions>"""


def imports(name: str, namespace: str = "urn:lib") -> str:
    return f'<import name="{name}" namespace="{namespace}" importType="https://www.omg.org/spec/DMN/20230324/MODEL/"/>'


@pytest.mark.parametrize("name", ["lib", "my lib", "库"])
def test_imports_are_found_by_namespace_and_called_by_their_name(name: str) -> None:
    decisions = loaded(
        imports(name),
        data("x", f"{name}.Small"),
        decision("D", text(f"{name}.Limit + {name}.twice(x)"), "x", "=urn:lib#_L", knows=("urn:lib#_k",)),
        lib=IMPORTED,
    )
    assert decisions.evaluate("D", {"x": 3, name: {"a": 1}}) == 16
    assert decisions.evaluate("D", {"x": 3, "{urn:lib}a": 1}) == 16
    assert decisions.evaluate("D", {"x": 30, name: {"a": 1}}) is None
    assert decisions.messages


def test_an_import_that_no_file_has_is_an_error() -> None:
    with pytest.raises(EngineError):
        loaded(imports("lib"), decision("D", text("1")))


def test_a_failed_part_gives_its_reason_and_leaves_the_rest() -> None:
    decisions = loaded(
        data("x"),
        decision("Bad", text("1 + + ("), "x"),
        decision("Odd", text('1 + "a"'), "x"),
        decision("Good", text("[Bad, x]"), "x", "=Bad"),
    )
    assert decisions.evaluate("Bad", {"x": 1}) is None
    assert decisions.messages
    assert decisions.evaluate("Odd", {"x": 1}) is None
    assert decisions.messages
    assert plain(decisions.evaluate("Good", {"x": 1})) == [None, 1]
    assert decisions.messages
    assert [problem.element for problem in decisions.problems] == ["Bad"]
