"""Decisions from DMN files: values, reasons, types, imports, and files that are refused."""

import threading
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.bpm import decisions
from engine.errors import Invalid, NotFound
from engine.feel import Limits

FEEL11 = "http://www.omg.org/spec/DMN/20151101/feel.xsd"
HEAD = f'<definitions xmlns="{{space}}" xmlns:feel="{FEEL11}" namespace="{{own}}" name="m">'
V15 = "https://www.omg.org/spec/DMN/20230324/MODEL/"
SPACES = [
    "http://www.omg.org/spec/DMN/20151101/dmn.xsd",
    "http://www.omg.org/spec/DMN/20180521/MODEL/",
    "https://www.omg.org/spec/DMN/20191111/MODEL/",
    "https://www.omg.org/spec/DMN/20211108/MODEL/",
    V15,
]


def model(*elements: str, space: str = V15, own: str = "urn:own") -> str:
    return HEAD.format(space=space, own=own) + "".join(elements) + "</definitions>"


def given(name: str, type_ref: str = "") -> str:
    kind = f' typeRef="{type_ref}"' if type_ref else ""
    return f'<inputData id="i_{name}" name="{name}"><variable name="{name}"{kind}/></inputData>'


def needs(*hrefs: str) -> str:
    """Requirements: `i_x` an input, `d_x` a decision, others what is invoked."""
    found = ""
    for href in hrefs:
        tag = {"i": "requiredInput", "d": "requiredDecision"}.get(
            href.rpartition("#")[2].split("_")[0], "requiredKnowledge"
        )
        kind = "knowledgeRequirement" if tag == "requiredKnowledge" else "informationRequirement"
        found += f'<{kind}><{tag} href="{href if "#" in href else "#" + href}"/></{kind}>'
    return found


def decision(name: str, logic: str, *requires: str, type_ref: str = "") -> str:
    kind = f' typeRef="{type_ref}"' if type_ref else ""
    return f'<decision id="d_{name}" name="{name}"><variable name="{name}"{kind}/>{needs(*requires)}{logic}</decision>'


def feel(text: str, type_ref: str = "") -> str:
    kind = f' typeRef="{type_ref}"' if type_ref else ""
    return f"<literalExpression{kind}><text><![CDATA[{text}]]></text></literalExpression>"


def read(*elements: str, **options: str) -> decisions.Decisions:
    return decisions.read({"m.dmn": model(*elements, **options)}, "m.dmn")


@pytest.mark.parametrize("space", SPACES)
def test_every_version_of_the_standard_is_read(space: str) -> None:
    kind = "feel:number" if "2015" in space else "number"
    found = read(given("天数", kind), decision("加倍", feel("天数 * 2"), "i_天数", type_ref=kind), space=space)
    assert found.evaluate("加倍", {"天数": 3}) == 6
    assert found.evaluate("d_加倍", {"天数": 3}) == 6
    assert found.names == ("加倍",)


def test_a_failed_evaluation_is_null_and_says_why() -> None:
    found = read(given("n", "number"), decision("d", feel("n + 1"), "i_n"))
    assert found.evaluate("d", {"n": "七"}) is None
    assert list(found.messages) == ["输入“n”的值应为数字，给的是文本", "“d”的结果为空：“n”没有值"]
    assert found.evaluate("d", {}) is None
    assert list(found.messages) == ["没有给出输入“n”", "“d”的结果为空：“n”没有值"]
    assert found.evaluate("d", {"n": 1}) == 2
    assert not found.messages
    with pytest.raises(NotFound, match="没有名为“x”的决策"):
        found.evaluate("x", {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x", "“x”没有值"),
        ("(1 + x) * 2", "“x”没有值"),
        ('"a" + 1', "“+”对文本、数字没有结果"),
        ('-"a"', "“-”不能用于文本"),
        ('1 < "a"', "数字、文本之间不能比较"),
        ("if 1 > 2 then 3 else y.z", "“y”没有值"),
        ("{a: 1}.b", "上下文里没有“b”"),
        ('date("x" + "y")', "date(文本) 没有结果：参数个数、类型或取值不合要求"),
        ("true and 3", "“and”不能用于真假、数字"),
        ("[1, 2][5]", "筛选没有结果"),
        ("null", None),
    ],
)
def test_what_is_silently_null_is_explained(text: str, reason: str | None) -> None:
    found = read(decision("d", feel(text)))
    assert found.evaluate("d", {}) is None
    assert found.messages == (() if reason is None else (f"“d”的结果为空：{reason}",))


def test_what_the_last_entry_of_a_context_says_is_explained_with_the_entries_before_it() -> None:
    entry = '<contextEntry><variable name="a"/>{}</contextEntry><contextEntry>{}</contextEntry>'
    found = read(decision("d", f"<context>{entry.format(feel('1'), feel('a + missing'))}</context>"))
    assert found.evaluate("d", {}) is None
    assert found.messages == ("“d”的结果为空：“missing”没有值",)


def test_allowed_values_are_paid_from_the_one_account_of_an_evaluation() -> None:
    costly = "<allowedValues><text>every i in 1..2000 satisfies i &gt; ?</text></allowedValues>"
    item = f'<itemDefinition name="T" isCollection="true"><typeRef>number</typeRef>{costly}</itemDefinition>'
    found = read(item, given("x", "T"), decision("d", feel("count(x)"), "i_x"))
    assert found.evaluate("d", {"x": [0]}) == 1
    assert found.evaluate("d", {"x": [0] * 1_000}) is None
    assert found.messages[-1].startswith("表达式的计算量超过上限")


def test_a_row_of_a_relation_has_a_cell_for_each_column() -> None:
    found = read(decision("d", f'<relation><column name="a"/><column name="b"/><row>{feel("1")}</row></relation>'))
    assert found.evaluate("d", {}) is None
    assert [p.message for p in found.problems] == ["这一行有 1 格，表头有 2 列；请补齐或删去多余的格"]


def test_an_expression_that_is_no_feel_is_null_with_its_place_and_a_problem() -> None:
    found = read(decision("d", feel("1 +")), decision("e", feel("2")))
    assert found.evaluate("d", {}) is None
    assert found.messages[0].startswith("m.dmn 第 1 行：第 1 行第 4 列：表达式不完整")
    assert [(p.path, p.element) for p in found.problems] == [("m.dmn", "d")]
    assert found.evaluate("e", {}) == 2


def test_an_evaluation_over_its_limits_is_null() -> None:
    found = read(decision("d", feel("for i in 1..1000000000 return i")))
    assert found.evaluate("d", {}) is None
    assert "步" in found.messages[0]
    small = read(decision("d", feel("count(for i in 1..100 return i)")))
    assert small.evaluate("d", {}, limits=Limits(steps=50)) is None
    assert small.evaluate("d", {}) == 100


def test_each_thread_has_its_own_messages() -> None:
    found = read(given("n", "number"), decision("d", feel("n"), "i_n"))
    found.evaluate("d", {})
    seen: list[tuple[str, ...]] = []
    thread = threading.Thread(target=lambda: seen.append(found.messages))
    thread.start()
    thread.join()
    assert (seen, len(found.messages)) == ([()], 2)


def test_a_decision_sees_what_it_requires_and_nothing_else() -> None:
    found = read(
        given("n", "number"),
        decision("one", feel("n + 1"), "i_n"),
        decision("two", feel("one * 10"), "d_one"),
        decision("blind", feel("n"), "d_one"),
    )
    assert found.evaluate("two", {"n": 1}) == 20
    assert found.evaluate("blind", {"n": 1}) is None


def box(tag: str, /, *inner: str, **attributes: str) -> str:
    """One element."""
    said = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{tag}{said}>{''.join(inner)}</{tag}>"


def entry(name: str, inner: str) -> str:
    return box("contextEntry", box("variable", name=name) if name else "", inner)


def loop(kind: str, source: str, body: str) -> str:
    inner = "return" if kind == "for" else "satisfies"
    return box(kind, box("in", feel(source)), box(inner, feel(body)), iteratorVariable="i")


BOXES: list[tuple[str, Any]] = [
    (box("context", entry("总 价", feel("2 * 3")), entry("", feel("总 价 + 1"))), 7),
    (box("context", entry("a", feel("1")), entry("b-c", feel("a + 1"))), {"a": 1, "b-c": 2}),
    (box("list", feel("1"), feel("a")), [1, None]),
    (
        box("relation", box("column", name="名"), box("column", name="数"), box("row", feel('"甲"'), feel("1"))),
        [{"名": "甲", "数": 1}],
    ),
    (box("conditional", box("if", feel("1 > 2")), box("then", feel("1")), box("else", feel("2"))), 2),
    (box("conditional", box("if", feel("null")), box("then", feel("1")), box("else", feel("2"))), 2),
    (box("conditional", box("if", feel("3")), box("then", feel("1")), box("else", feel("2"))), None),
    (box("filter", box("in", feel("[1,2,3]")), box("match", feel("item > 1"))), [2, 3]),
    (loop("for", "[1..3]", "i + count(partial)"), [1, 3, 5]),
    (loop("some", "[1,2]", "i > 1"), True),
    (loop("every", "[1,2]", "i > 1"), False),
    (
        box(
            "context",
            entry("f", box("functionDefinition", box("formalParameter", name="x", typeRef="number"), feel("x * 2"))),
            entry("", box("invocation", feel("f"), box("binding", box("parameter", name="x"), feel("21")))),
        ),
        42,
    ),
]


@pytest.mark.parametrize(("logic", "value"), BOXES)
def test_each_boxed_expression_means_what_the_standard_says(logic: str, value: Any) -> None:
    found = read(decision("d", logic))
    assert found.problems == []
    assert found.evaluate("d", {}) == value


BKM = (
    '<businessKnowledgeModel id="k_f" name="加价"><variable name="加价" typeRef="number"/><encapsulatedLogic>'
    f'<formalParameter name="价" typeRef="number"/><formalParameter name="率"/>{feel("价 * (1 + 率)")}'
    "</encapsulatedLogic></businessKnowledgeModel>"
)


def test_a_knowledge_model_is_invoked_by_decisions_and_by_hand() -> None:
    found = read(
        BKM, decision("d", feel("加价(100, 0.1)"), "k_f"), decision("named", feel("加价(率: 1, 价: 2)"), "k_f")
    )
    assert found.evaluate("d", {}) == 110
    assert found.evaluate("named", {}) == 4
    assert found.invoke("加价", {"价": 10, "率": Decimal("0.5")}) == 15
    assert found.invoke("加价", {"价": 10}) is None
    assert found.messages == ("“加价”要的参数是：价、率",)
    assert found.invoke("加价", {"价": "十", "率": 1}) is None
    assert "参数“价”应为数字，给的是文本" in found.messages[0]


def test_a_knowledge_model_may_invoke_itself_within_limits() -> None:
    def knowledge(name: str, text: str) -> str:
        logic = f'<encapsulatedLogic><formalParameter name="n" typeRef="number"/>{feel(text)}</encapsulatedLogic>'
        inner = f'<variable name="{name}"/>{needs(f"k_{name}")}{logic}'
        return f'<businessKnowledgeModel id="k_{name}" name="{name}">{inner}</businessKnowledgeModel>'

    found = read(knowledge("fact", "if n < 2 then 1 else n * fact(n - 1)"), knowledge("ever", "ever(n + 1)"))
    assert found.invoke("fact", {"n": 10}) == 3628800
    assert found.invoke("ever", {"n": 1}) is None
    assert "嵌套" in found.messages[0]


def test_a_service_takes_input_data_and_decisions_and_gives_one_value_or_a_context() -> None:
    service = (
        '<decisionService id="s_one" name="one"><outputDecision href="#d_sum"/><inputDecision href="#d_base"/>'
        '<inputData href="#i_n"/></decisionService>'
        '<decisionService id="s_two" name="two"><outputDecision href="#d_sum"/><outputDecision href="#d_base"/>'
        '<inputData href="#i_n"/></decisionService>'
    )
    found = read(
        given("n", "number"), service, decision("base", feel("1")), decision("sum", feel("base + n"), "d_base", "i_n"),
        decision("asks", feel("one(1, 2)"), "s_one"),
    )  # fmt: skip
    assert found.service("one", {"n": 5, "base": 10}) == 15
    assert found.service("two", {"n": 5}) == {"sum": 6, "base": 1}
    assert found.evaluate("asks", {}) == 3
    assert found.service("one", {"n": "x", "base": 1}) is None


TYPES = (
    '<itemDefinition name="级别"><typeRef>string</typeRef>'
    '<allowedValues><text>"甲","乙"</text></allowedValues></itemDefinition>'
    '<itemDefinition name="人"><itemComponent name="姓名"><typeRef>string</typeRef></itemComponent>'
    '<itemComponent name="级"><typeRef>级别</typeRef></itemComponent></itemDefinition>'
    '<itemDefinition name="众人" isCollection="true"><typeRef>人</typeRef></itemDefinition>'
    '<itemDefinition name="自己"><itemComponent name="下级"><typeRef>自己</typeRef></itemComponent></itemDefinition>'
)


@pytest.mark.parametrize(
    ("type_ref", "value", "expected"),
    [
        ("级别", "甲", "甲"),
        ("级别", "丙", None),
        ("级别", ["乙"], "乙"),
        ("级别", None, None),
        ("人", {"姓名": "王", "级": "甲", "多": 1}, {"姓名": "王", "级": "甲", "多": 1}),
        ("人", {"姓名": "王", "级": "丙"}, None),
        ("人", {"姓名": 1}, None),
        ("众人", {"姓名": "王", "级": None}, [{"姓名": "王", "级": None}]),
        ("人", {"姓名": "王"}, None),
        ("众人", [{"姓名": "王"}, {"姓名": 1}], None),
        ("自己", {"下级": {"下级": {"下级": None}}}, {"下级": {"下级": {"下级": None}}}),
        ("自己", {"下级": {"下级": 1}}, None),
        ("dateTime", date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),
        ("date and time", date(2026, 1, 2), datetime(2026, 1, 2, tzinfo=UTC)),
        ("Any", [1], [1]),
        ("number", [1], 1),
        ("number", True, None),
    ],
)
def test_a_value_becomes_one_of_its_declared_type_or_null(type_ref: str, value: Any, expected: Any) -> None:
    found = read(TYPES, given("x", type_ref), decision("d", feel("x"), "i_x"))
    assert found.problems == []
    assert found.evaluate("d", {"x": value}) == expected
    assert bool(found.messages) is (expected is None)


def test_types_of_the_model_are_known_to_instance_of() -> None:
    found = read(
        TYPES, decision("d", feel('{姓名: "王", 级: "谁"} instance of 人')), decision("e", feel("1 instance of 级别"))
    )
    assert (found.evaluate("d", {}), found.evaluate("e", {})) == (True, False)


def test_imports_are_sought_by_namespace_in_the_folder(tmp_path: Path) -> None:
    """A decision reads what it imports under the import's name, also through another import; inputs by any spelling."""
    inner = model(given("n", "number"), decision("twice", feel("n * 2"), "i_n"), TYPES, own="urn:inner")
    middle = model(
        '<import namespace="urn:inner" name="里"/>',
        decision("more", feel("里.twice + 1"), "urn:inner#d_twice"),
        own="urn:middle",
    )
    outer = model(
        '<import namespace="urn:middle" name="中"/><import namespace="urn:inner" name="里"/>',
        decision("all", feel("中.more + 里.n"), "urn:middle#d_more", "urn:inner#i_n"),
        decision("typed", feel('"甲"'), type_ref="里.级别"),
    )
    for name, text in {"outer": outer, "middle": middle, "inner": inner, "other": model(own="urn:other")}.items():
        (tmp_path / f"{name}.dmn").write_text(text)
    found = decisions.load(tmp_path / "outer.dmn")
    for inputs in ({"n": 5}, {"{urn:inner}n": 5}, {"里": {"n": 5}}, {"中": {"里": {"n": 5}}}):
        assert found.evaluate("all", inputs) == 16, inputs
    assert found.evaluate("typed", {}) == "甲"
    (tmp_path / "inner.dmn").unlink()
    with pytest.raises(Invalid, match="导入的模型“urn:inner”不在同一文件夹"):
        decisions.load(tmp_path / "outer.dmn")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "文件是空的"),
        ("<a/>", "不是 DMN 文件"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><definitions/>', "DOCTYPE"),
        (model(decision("a", feel("1")), decision("a", feel("2"))), "重复"),
        (model(decision("a", feel("b"), "d_b"), decision("b", feel("a"), "d_a")), "a → b → a"),
        (model(decision("a", feel("a"), "d_a")), "a → a"),
        (
            model(decision("a", "<list>" + feel("1") * 5001 + "</list>")),
            "有 5001 个表达式，超过 5000 个，请拆成几个文件",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_a_reason(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        decisions.read({"m.dmn": text}, "m.dmn")


def test_what_refers_to_nothing_is_a_problem_and_null() -> None:
    found = read(decision("d", feel("x"), "i_x", type_ref="没有"))
    assert {p.message for p in found.problems} == {"引用的元素“i_x”不存在", "没有名为“没有”的数据类型"}
    assert found.evaluate("d", {}) is None


def test_code_of_other_languages_is_never_run() -> None:
    java = '<context><contextEntry><variable name="f"/><functionDefinition kind="Java"><formalParameter name="x"/>'
    java += f"{feel('1')}</functionDefinition></contextEntry><contextEntry>{feel('f(1)')}</contextEntry></context>"
    found = read(
        decision("java", java),
        decision(
            "python", '<literalExpression expressionLanguage="python"><text>__import__("os")</text></literalExpression>'
        ),
        decision("dunder", feel('"x".__class__.__mro__')),
    )
    assert [found.evaluate(name, {}) for name in found.names] == [None, None, None]
    assert found.decide("java", {}).messages[0] == "外部（Java、PMML）函数不执行，结果为 null"
    assert "表达式语言“python”不支持" in found.decide("python", {}).messages[0]
