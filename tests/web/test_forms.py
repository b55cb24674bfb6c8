"""Forms on a page: what people see, what they may change, and nothing that a page's policy forbids."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from lxml import html
from markupsafe import Markup

from engine.bpm.forms import File, Form, Rights
from engine.errors import Invalid
from web import markdown
from web.forms import render

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
EDIT, READ = Rights(), Rights(default="read")


@pytest.fixture(scope="module")
def env() -> Environment:
    return Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)


class Names:
    """A hospital of two people, one department and two files; it counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def people(self, ids: Sequence[str]) -> Mapping[str, str]:
        self.asked += 1
        return {each: name for each, name in {"p1": "张晓梅", "p2": "李卫国"}.items() if each in ids}

    def departments(self, ids: Sequence[str]) -> Mapping[str, str]:
        self.asked += 1
        return {"d1": "医务处"} if "d1" in ids else {}

    def files(self, ids: Sequence[str]) -> Mapping[str, File]:
        self.asked += 1
        known = {"f1": File("会议通知.pdf", 2_345_678), "f2": File("<b>.png", 900)}
        return {each: file for each, file in known.items() if each in ids}


def field(key: str, kind: str = "textfield", **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "id": f"C_{key}", "label": f"标题{key}", **more}


VALUES = {"values": [{"label": "甲", "value": "a"}, {"label": "乙", "value": 2}]}
ROWS = {
    "type": "dynamiclist",
    "path": "items",
    "id": "L",
    "label": "明细",
    "components": [field("name"), field("price", "number", properties={"widget": "money"})],
}
EVERYTHING = [
    {"type": "text", "id": "T", "text": "# 说明\n请写 **清楚**"},
    field("topic", description="一句话", validate={"required": True, "maxLength": 50}, properties={"summary": "true"}),
    field("note", "textarea"),
    field("n", "number", decimalDigits=0, appearance={"suffixAdorner": "天"}),
    field("money", "number", properties={"widget": "money", "summary": "true"}),
    field("day", "datetime", subtype="date"),
    field("hour", "datetime", subtype="time"),
    field("moment", "datetime", subtype="datetime"),
    field("yes", "checkbox"),
    field("boxes", "checklist", **VALUES),
    field("one", "radio", **VALUES),
    field("pick", "select", **VALUES),
    field("tags", "taglist", **VALUES),
    field("who", properties={"widget": "person"}),
    field("depts", "taglist", properties={"widget": "departments"}),
    field("files", "filepicker", multiple=True, accept=".pdf"),
    ROWS,
    {"type": "expression", "id": "X", "key": "total", "expression": "=sum(items.price)"},
    {"type": "text", "id": "T2", "text": '="合计 " + string(total)'},
    {
        "type": "table",
        "id": "TB",
        "label": "汇总",
        "dataSource": "items",
        "columns": [{"key": "price", "label": "金额"}],
    },
    {"type": "image", "id": "I", "source": "f2"},
    {"type": "separator", "id": "S"},
    {"type": "spacer", "id": "SP", "height": 30},
    {"type": "group", "id": "G", "label": "其他", "components": [field("inner")]},
]
DATA = {
    "topic": "进修", "note": "一\n二", "n": 3, "money": 1020.5, "day": "2026-03-08", "hour": "09:30:00",
    "moment": "2026-03-08T09:30:00", "yes": True, "boxes": ["a"], "one": 2, "pick": "a", "tags": [2], "who": "p1",
    "depts": ["d1"], "files": ["f1"], "items": [{"name": "会务费", "price": 800}], "inner": "内",
}  # fmt: skip


def make(*components: dict[str, Any]) -> Form:
    schema = {"schemaVersion": 19, "type": "default", "id": "test", "components": list(components)}
    return Form.load(json.dumps(schema), place="a.json")


def page(env: Environment, form: Form, data: Mapping[str, Any], rights: Rights = EDIT, **options: Any) -> Any:
    return html.fromstring(render(env, form, data=data, rights=rights, **{"lookups": Names(), **options}))


def submitted(tree: Any) -> list[tuple[str, str]]:
    """Return what a browser would send of a page's form."""
    form: Any = html.fromstring(f"<form>{html.tostring(tree, encoding='unicode')}</form>")
    return [(name, value) for name, value in form.form_values() if not isinstance(value, bytes)]


class Pairs(list[tuple[str, object]]):
    def multi_items(self) -> list[tuple[str, object]]:
        return list(self)


def test_a_page_sends_back_the_data_it_shows(env: Environment) -> None:
    form = make(*EVERYTHING)
    stored = form.validate(DATA, current={}, rights=EDIT)
    sent = submitted(page(env, form, stored, depends_url="/again"))
    back = form.from_html(Pairs(sent), lambda kind, text: None)
    assert form.validate(back, current={}, rights=EDIT) == stored


def test_every_input_has_a_name_to_be_read_out(env: Environment) -> None:
    tree = page(env, make(*EVERYTHING), DATA)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    for element in tree.xpath("//input | //select | //textarea"):
        named = tree.xpath("//label[@for=$id]", id=element.get("id")) or element.xpath("ancestor::label")
        assert named[0].text_content().strip(), html.tostring(element)
    for described in tree.xpath("//@aria-describedby"):
        assert set(described.split()) <= set(ids)


def test_nothing_that_the_page_policy_forbids(env: Environment) -> None:
    for rights in (EDIT, READ):
        tree = page(env, make(*EVERYTHING), DATA, rights, depends_url="/again", nonce="n0nce")
        assert not tree.xpath("//script | //style | //@style | //@*[starts-with(name(), 'on')]")
        assert all(each.get("hx-nonce") == "n0nce" for each in tree.xpath("//*[@hx-post]"))


def test_read_only_is_text_without_inputs(env: Environment) -> None:
    tree = page(env, make(*EVERYTHING), DATA, READ)
    assert not tree.xpath("//input | //select | //textarea | //button")
    shown = {
        dt.text_content().strip(): " ".join(dd.text_content().split())
        for dt, dd in zip(tree.xpath("//dt"), tree.xpath("//dd"), strict=True)
    }
    assert shown["标题money"] == "¥1,020.50壹仟零贰拾元零伍角整"
    assert shown["标题n"] == "3天"
    assert shown["标题moment"] == "2026-03-08 09:30"
    assert shown["标题hour"] == "09:30"
    assert shown["标题yes"] == "是"
    assert (shown["标题boxes"], shown["标题one"], shown["标题tags"]) == ("甲", "乙", "乙")
    assert (shown["标题who"], shown["标题depts"]) == ("张晓梅", "医务处")
    assert shown["标题files"] == "会议通知.pdf2.2 MB"
    assert tree.xpath("//a/@href") == ["/attachments/f1"]


def test_empty_values_say_so(env: Environment) -> None:
    tree = page(env, make(field("a")), {}, READ)
    assert tree.xpath("string(//dd)").strip() == "未填写"


def test_what_nobody_fills_in_says_when_it_comes(env: Environment) -> None:
    numbered = field("a", readonly=True, description="登记后自动编号。")
    assert page(env, make(numbered), {}, READ).xpath("string(//dd)").strip() == "登记后自动编号。"
    assert page(env, make(numbered), {"a": "收〔2026〕1号"}, READ).xpath("string(//dd)").strip() == "收〔2026〕1号"
    assert page(env, make(field("a", description="可以不填。")), {}, READ).xpath("string(//dd)").strip() == "未填写"


def test_hidden_fields_are_not_in_the_page(env: Environment) -> None:
    form = make(field("a"), field("b", conditional={"hide": '=a = "x"'}), field("c"))
    rights = Rights(fields={"c": "hidden"})
    secret = {"a": "x", "b": "secret-b", "c": "secret-c"}
    assert "secret" not in render(env, form, data=secret, rights=rights, lookups=Names())
    assert "secret-b" in render(env, form, data={**secret, "a": "y"}, rights=rights, lookups=Names())


def test_errors_stand_at_their_fields(env: Environment) -> None:
    form = make(field("a", validate={"required": True}), field("b"), ROWS)
    data = {"a": "", "b": "ok", "items": [{"name": "x", "price": "abc"}]}
    with pytest.raises(Invalid) as refused:
        form.validate(data, current={}, rights=EDIT)
    tree = page(env, form, data, errors=[*refused.value.errors, {"place": "elsewhere", "message": "别处有误"}])
    (wrong,) = tree.xpath("//input[@name='a']")
    assert wrong.get("aria-invalid") == "true"
    assert tree.get_element_by_id(wrong.get("aria-describedby")).text == "请填写“标题a”"
    (price,) = tree.xpath("//input[@name='items[0].price']")
    assert price.get("value") == "abc"
    assert "应为数字" in tree.get_element_by_id(price.get("aria-describedby")).text
    assert not tree.xpath("//input[@name='b']/@aria-invalid")
    (alert,) = tree.xpath("//*[@role='alert']")
    assert "别处有误" in alert.text_content()
    assert "有 2 处" in alert.text_content()
    assert alert.xpath(".//a/@href") == [f"#{wrong.get('id')}"]


def test_fields_that_others_depend_on_ask_for_the_form_again(env: Environment) -> None:
    form = make(
        field("a"), field("b", conditional={"hide": "=a = null"}), field("c", validate={"maxLength": "=count(a)"})
    )
    tree = page(env, form, {}, depends_url="/work-items/1/form")
    assert tree.xpath("//*[@data-depends]/@name") == ["a"]
    assert tree.get("hx-post") == "/work-items/1/form"
    assert "data-depends" in tree.get("hx-trigger")
    assert page(env, form, {}).get("hx-post") is None


def test_rows_come_and_go_without_scripts(env: Environment) -> None:
    form = make(ROWS)
    tree = page(env, form, {"items": [{"name": "一"}, {"name": "二"}]}, depends_url="/again")
    (add,) = tree.xpath("//button[@name='_add']")
    second = tree.xpath("//button[@name='_remove']")[1]
    sent = submitted(tree)
    pressed = [(each.get("name"), each.get("value")) for each in (add, second)]
    after = [form.from_html(Pairs([*sent, button]), lambda kind, text: None)["items"] for button in pressed]
    assert [len(rows) for rows in after if isinstance(rows, list)] == [3, 1]
    assert add.get("formaction") == "/again"
    # Enter in a field presses the first button of the form: it must not change anything.
    assert tree.xpath("//button/@name")[0] == "_refresh"
    assert not page(env, make({**ROWS, "allowAddRemove": False}), {"items": [{}]}).xpath("//button")


def test_what_nobody_was_found_for_can_be_mended(env: Environment) -> None:
    form = make(field("who", properties={"widget": "person"}))
    data = form.from_html(Pairs([("who:text", "王五")]), lambda kind, text: None)
    tree = page(env, form, data)
    assert tree.xpath("//input[@name='who:text']/@value") == ["王五"]
    assert not tree.xpath("//input[@name='who']")


def test_all_text_is_escaped(env: Environment) -> None:
    evil = '"><script>alert(1)</script>'
    form = make(
        field("a", label=evil, description=evil),
        field("b", "textarea"),
        field("c", "select", values=[{"label": evil, "value": evil}]),
        {"type": "text", "id": "T", "text": f"{evil} [x](javascript:alert(1)) <img onerror=x>"},
        {"type": "table", "id": "TB", "label": evil, "dataSource": "rows", "columns": [{"key": "k", "label": evil}]},
        {"type": "image", "id": "I", "source": "f2"},
    )
    data = {"a": evil, "b": f"</textarea>{evil}", "c": evil, "rows": [{"k": evil}]}
    for rights in (EDIT, READ):
        tree = page(env, form, data, rights, errors=[{"place": "a", "message": evil}, {"place": "z", "message": evil}])
        assert not tree.xpath("//script | //@onerror | //a[starts-with(@href, 'javascript')]")
        assert tree.xpath("//img/@alt") == ["<b>.png"]


def test_names_are_asked_for_once_of_each_kind(env: Environment) -> None:
    names = Names()
    people = [field(f"p{index}", properties={"widget": "person"}) for index in range(5)]
    page(env, make(*people), {f"p{index}": "p1" for index in range(5)}, lookups=names)
    assert names.asked == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("一\n二\n\n三", "<p>一<br>二</p><p>三</p>"),
        ("# 题\n- a\n- b\n1. c", "<h3>题</h3><ul><li>a</li><li>b</li></ul><ol><li>c</li></ol>"),
        ("**粗** *斜* `码 <b>`", "<p><strong>粗</strong> <em>斜</em> <code>码 &lt;b&gt;</code></p>"),
        ("> 引\n---", "<blockquote>引</blockquote><hr>"),
        ("[办法](/documents/1)", '<p><a href="/documents/1" rel="noopener noreferrer">办法</a></p>'),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("[x](//elsewhere.example)", "<p>[x](//elsewhere.example)</p>"),
        ("<b>&", "<p>&lt;b&gt;&amp;</p>"),
        ("", ""),
    ],
)
def test_markdown(text: str, expected: str) -> None:
    assert markdown.render(text) == Markup(expected)


HALF = {"values": [{"label": "上午", "value": "上午"}, {"label": "下午", "value": "下午"}]}
DAY = [
    {"type": "datetime", "key": "day", "id": "C_day", "subtype": "date", "dateLabel": "开始日期"},
    field("half", "select", label="从", defaultValue="上午", **HALF),
    field("kind", "select", **VALUES),
]


def test_a_half_day_stands_beside_its_date(env: Environment) -> None:
    form = make(*DAY)
    tree = page(env, form, {"half": "下午"})
    (line,) = tree.xpath("//div[contains(@class, 'form-line')][.//input[@type='date']]")
    (half,) = line.xpath(".//select")
    assert (half.get("name"), half.get("aria-label")) == ("half", "从：上午或下午")
    assert half.xpath("option[@selected]/@value") == ["下午"]
    assert len(tree.xpath("//div[contains(concat(@class, ' '), 'form-cell ')]")) == 2
    shown = page(env, form, {"day": "2026-12-01", "half": "下午", "kind": "a"}, READ)
    assert [each.text_content() for each in shown.xpath("//dd")] == ["2026-12-01 下午", "甲"]
    alone = page(env, form, {}, Rights(fields={"day": "hidden"}))
    assert alone.xpath("//select[@name='half']")


LEAVE = [
    field("a"),
    {"type": "text", "id": "T", "text": '=if days = null then "天数：" else "天数：**" + string(days) + "** 天"'},
    {"type": "separator", "id": "S"},
    field("b"),
    {"type": "text", "id": "T2", "text": "由本人填写：\n不代填"},
    {"type": "group", "id": "G", "label": "其他", "components": [field("inner")]},
    {"type": "text", "id": "T3", "text": "以上"},
    {"type": "number", "key": "days", "id": "C_days", "label": "日数"},
]


@pytest.mark.parametrize("rights", [EDIT, READ])
def test_texts_and_separators_stand_on_the_card_of_the_fields_around_them(env: Environment, rights: Rights) -> None:
    tree = page(env, make(*LEAVE), {"days": 3}, rights)
    first, inner, last = tree.xpath("//div[@class='form-card']")
    assert [" ".join(each.text_content().split()) for each in first.xpath(".//dt[.='天数'] | .//dd[strong or p]")] == [
        "天数",
        "3 天",
    ]
    assert len(first.xpath("./hr")) == 1
    assert first.xpath("string(./div[@class='form-text'])") == "由本人填写：不代填", "two lines are no label"
    assert inner.xpath("ancestor::section")
    assert last.xpath("string(./div[@class='form-text'])") == "以上"
    assert len(last.xpath("./*")) == 2, "the field after a text is on its card"


def test_what_is_not_computed_yet_stands_as_a_dash(env: Environment) -> None:
    tree = page(env, make(*LEAVE), {})
    assert [each.text_content() for each in tree.xpath("//dt[.='天数']/following-sibling::dd")] == ["—"]


def test_the_kinds_of_files_that_a_field_takes_are_told(env: Environment) -> None:
    files = [
        field("files", "filepicker"),
        field("contract", "filepicker", accept=".pdf,.doc,.docx,.jpg,.jpeg,image/*", description="合同正文。"),
    ]
    form = make(*files)
    tree = page(env, form, {})
    assert [each.text for each in tree.xpath("//p[@class='form-hint']")] == ["合同正文。可选 PDF、Word、JPG、图片"]
