"""Whatever is handed in becomes findings, soon, and nothing of it is run."""

import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bpm.lint import check
from engine.bpm.lint.finding import MAX_FINDINGS
from tests.engine.bpm.lint.diagrams import (
    ASSIGN,
    element,
    end,
    exclusive,
    extension,
    flow,
    lint,
    path,
    process,
    simple,
    start,
    user,
)

INCLUDE = '<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'
ENTITY = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'

NOT_XML: dict[str, str | bytes] = {
    "empty": b"",
    "JSON": "{}",
    "HTML": "<!DOCTYPE html><html></html>",
    "entity": simple().replace("<bpmn:definitions", ENTITY + "<bpmn:definitions", 1),
    "UTF-16": simple().encode("utf-16"),
    "GBK": simple().replace("leave", "请假").encode("gbk"),
    "NUL": simple().replace("leave", "le\x00ave"),
    "too large": simple().replace('id="leave"', f'id="leave" name="{"x" * 50_000_000}"'),
    "nested": simple().replace("</bpmn:process>", "<bpmn:subProcess>" * 100_000 + "</bpmn:process>"),
    "cut off": simple()[:900],
    "XInclude": simple().replace("</bpmn:process>", INCLUDE + "</bpmn:process>"),
}


@pytest.mark.parametrize("name", NOT_XML)
def test_what_is_no_xml_is_one_finding(name: str) -> None:
    findings = lint(NOT_XML[name])
    assert [(f.file, f.code, f.severity) for f in findings] == [("process.bpmn", "xml", "error")]
    assert findings[0].line is not None
    assert len(str(findings[0])) < 300


LARGE = {
    "elements": simple("<bpmn:textAnnotation/>" * 50_000),
    "unknown elements": simple("<foo/>" * 150_000),
    "flows": simple(*(flow("a", "end", "days > 3", f"f{n}") for n in range(9_000))),
    "gateways all connected": process(
        start(),
        end(),
        *(exclusive(f"g{n}") for n in range(90)),
        path("start", "g0", "end"),
        *(flow(f"g{a}", f"g{b}", None, f"f{a}-{b}") for a in range(90) for b in range(90)),
    ),
    "rules": simple().replace(ASSIGN, ASSIGN * 30_000),
    "starts": process(*(start(f"s{n}") for n in range(399)), end(), *(path(f"s{n}", "end") for n in range(399))),
    "expressions": process(
        start(),
        user("a"),
        exclusive("g", default="g-end"),
        end(),
        path("start", "a", "g", "end"),
        *(flow("g", "end", "a+" * 9_000 + "1", f"f{n}") for n in range(90)),
    ),
    "event definitions": simple(element("intermediateCatchEvent", "x", "<bpmn:timerEventDefinition/>" * 9_000)),
}


LARGE_CODES = {
    "elements": "too_many_elements",
    "unknown elements": "unknown_element",
    "flows": "too_many_elements",
    "gateways all connected": "condition_missing",
    "rules": "too_many_elements",
    "starts": "several_starts",
    "expressions": "expressions_long",
    "event definitions": "event_multiple",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", LARGE)
def test_large_files_are_refused_in_bounded_space(name: str) -> None:
    findings = lint(LARGE[name])
    assert LARGE_CODES[name] in {f.code for f in findings if f.severity == "error"}
    assert len(findings) <= MAX_FINDINGS + 1
    assert max(len(str(f)) for f in findings) < 1000


def test_findings_beyond_the_limit_are_counted() -> None:
    findings = lint(simple("<foo/>\n" * 1_000))
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].code == "more"
    assert str(1_000 - MAX_FINDINGS) in findings[-1].message


@pytest.mark.parametrize(
    "attribute", ["id", "name", "sourceRef", "calledElement", "default", "messageRef", "attachedToRef"]
)
def test_long_attributes_are_shortened_in_messages(attribute: str) -> None:
    long = "长" * 100_000
    content = simple(element("callActivity", "x", **{attribute: long}) if attribute != "id" else user(long))
    for finding in lint(content):
        assert len(str(finding)) < 600


def test_a_file_without_the_main_diagram() -> None:
    findings = check({"README.md": b"\xff\xfe", "forms/x.txt": "{"})
    assert [(f.file, f.code) for f in findings] == [("process.bpmn", "file_missing")]
    assert [f.code for f in check({})] == ["file_missing"]


def test_faults_in_several_files_are_told_apart() -> None:
    findings = check({"process.bpmn": "{}", "called/x.bpmn": b"", "forms/x.json": "nope"})
    assert [(f.file, f.code) for f in findings] == [
        ("called/x.bpmn", "xml"),
        ("forms/x.json", "form_error"),
        ("process.bpmn", "xml"),
    ]


def test_findings_speak_as_text_and_json() -> None:
    finding = lint(simple(user("x", name="科室 审批"), path("x", "end")))[0]
    assert str(finding) == (
        "process.bpmn:15 元素 x「科室 审批」: 错误 unreachable: 从开始事件走不到这个节点。办法: 把它连进流程，或删去。"
    )
    assert json.loads(json.dumps(finding.as_dict())) == {
        "file": "process.bpmn",
        "line": 15,
        "element": "x",
        "name": "科室 审批",
        "severity": "error",
        "code": "unreachable",
        "message": "从开始事件走不到这个节点",
        "cure": "把它连进流程，或删去",
    }


KINDS = [
    "startEvent", "endEvent", "userTask", "serviceTask", "scriptTask", "task", "callActivity", "subProcess",
    "exclusiveGateway", "parallelGateway", "inclusiveGateway", "eventBasedGateway", "complexGateway",
    "intermediateCatchEvent", "intermediateThrowEvent", "boundaryEvent", "sequenceFlow", "laneSet", "dataObject",
    "multiInstanceLoopCharacteristics", "standardLoopCharacteristics", "timerEventDefinition", "timeCycle",
    "messageEventDefinition", "conditionExpression", "loopCardinality", "loopDataInputRef", "incoming", "script",
]  # fmt: skip
ATTRIBUTES = [
    "id", "name", "sourceRef", "targetRef", "attachedToRef", "default", "messageRef", "calledElement", "cancelActivity",
    "triggeredByEvent", "isForCompensation", "loopMaximum", "piyue:x", "dataObjectRef", "isExecutable",
]  # fmt: skip
values = st.sampled_from(["a", "b", "c", "", "true", "false", "=a ==", "P1D", "3", "批"])
attributes = st.dictionaries(st.sampled_from(ATTRIBUTES), values, max_size=5)
texts = st.sampled_from(["", "a", "P1D", "R3/PT1H", "a == b", "outcome = \"x\"", "{}", "]]"])  # fmt: skip


def written(kind: str, given_: dict[str, str], text: str, inner: list[str]) -> str:
    pairs = "".join(f' {k}="{v}"' for k, v in given_.items())
    return f"<bpmn:{kind}{pairs}>{text.replace('>', '&gt;')}{''.join(inner)}</bpmn:{kind}>"


trees = st.recursive(
    st.builds(written, st.sampled_from(KINDS), attributes, texts, st.just([])),
    lambda inner: st.builds(written, st.sampled_from(KINDS), attributes, texts, st.lists(inner, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=200)
@given(st.lists(trees, min_size=1, max_size=6))
def test_any_arrangement_of_elements_becomes_findings(parts: list[str]) -> None:
    content = process(start("s"), *parts, drawing=False)  # without an end: always in error, so never loaded
    findings = lint(content.replace("endEvent", "x"))
    assert any(f.severity == "error" for f in findings)
    assert all(f.message and f.cure and f.code for f in findings)


@settings(max_examples=200)
@given(st.text(alphabet=string.printable + "批阅\x00\ud800", max_size=60), st.integers(0, 2_000), st.integers(0, 60))
def test_damaged_files_become_findings(noise: str, place: int, removed: int) -> None:
    whole = process(
        start(),
        user("a", extra=ASSIGN + "<piyue:oops/>"),
        element("serviceTask", "b", extension('<piyue:operation name="x"/>')),
        end(),
        path("start", "a", "b", "end"),
    )
    findings = lint(whole[:place] + noise + whole[place + removed :])
    assert all(f.message and f.cure for f in findings)
