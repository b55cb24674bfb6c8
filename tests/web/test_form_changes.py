"""What a form's expressions say follows what is typed: on a change the server renders the form again."""

import json
import re
from typing import Any

import pytest
from lxml import html

from tests.dsl import Bpm
from tests.engine.bpm.contracts.kit import diagram, starting
from tests.web.conftest import Browser


def field(key: str, kind: str = "textfield", **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "id": f"C_{key}", "label": key, **more}


UNIT = '=if days > 1 then "天整" else "日"'
DESCRIPTION = '=if kind = "病假" then "写明诊断" else "写明原因"'
COMPONENTS = [
    field("days", "number"),
    field("kind"),
    field("proof", conditional={"hide": "=days <= 3"}),
    field("reason", label='="为什么请" + string(days) + "天"', description=DESCRIPTION),
    field("locked", readonly='=kind = "病假"', defaultValue="可改"),
    field("most", "number", validate={"max": "=days"}, appearance={"suffixAdorner": UNIT}),
    field("who", "select", valuesExpression='=if days > 3 then ["院长"] else ["科长"]'),
    {"type": "text", "id": "T", "text": '="共 **" + string(days * 2) + "** 次"'},
    {"type": "expression", "id": "X", "key": "double", "expression": "=days * 2"},
    {"type": "text", "id": "T2", "text": '="算得 " + string(double)'},
]  # fmt: skip
SCHEMA = {"schemaVersion": 19, "id": "form_f", "type": "default", "components": COMPONENTS}
BODY = '<startEvent id="s"/><endEvent id="e"/>' + starting("f")
FLOWS = '<sequenceFlow id="a" sourceRef="s" targetRef="apply"/><sequenceFlow id="b" sourceRef="apply" targetRef="e"/>'


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}], ids=["plain", "htmx"])
def test_a_change_shows_the_form_by_what_it_now_says(browser_of: Browser, bpm: Bpm, headers: dict[str, str]) -> None:
    bpm.deploy_files(diagram(BODY + FLOWS) | {"forms/f.json": json.dumps(SCHEMA)})
    nurse = browser_of.login("nurse")
    form = nurse.form("/start/p", "/start/p")

    def shown(**typed: str) -> tuple[str, Any]:
        text = nurse.send("/start/p/form", form | typed, 200, headers=headers).text
        tree: Any = html.fromstring(text)
        return re.sub(r"\s+", "", tree.text_content()), tree

    text, tree = shown(days="2", kind="事假")
    assert "为什么请2天" in text
    assert "写明原因" in text
    assert "共4次" in text
    assert "算得4" in text
    assert "天整" in text
    assert tree.xpath("//*[@name='who']//option/text()")[-1].strip() == "科长"
    assert not tree.xpath("//*[@name='proof']")
    assert tree.xpath("//input[@name='locked']")

    text, tree = shown(days="9", kind="病假")
    assert "为什么请9天" in text
    assert "写明诊断" in text
    assert "算得18" in text
    assert tree.xpath("//*[@name='who']//option/text()")[-1].strip() == "院长"
    assert tree.xpath("//*[@name='proof']"), "what was hidden comes"
    assert not tree.xpath("//input[@name='locked']"), "what could be changed is locked"
    asks = tree.xpath("//*[@hx-trigger]/@hx-trigger")[0]
    assert asks == "change target:[data-depends]"
    assert set(tree.xpath("//*[@data-depends]/@name")) >= {"days", "kind"}
    refused = nurse.send("/start/p", form | {"days": "2", "kind": "事假", "most": "3"}, 422).text
    assert "不能大于 2" in refused
