"""Ids, references, processes of a file, the drawing, sizes."""

import pytest

from tests.engine.bpm.lint.cases import (
    SIGNAL,
    Case,
    between,
    boundary,
    check_case,
    choice,
    inner_process,
    nested,
    timer,
    with_boundary,
)
from tests.engine.bpm.lint.diagrams import (
    ASSIGN,
    element,
    end,
    extension,
    flow,
    path,
    process,
    simple,
    start,
    user,
)

CASES = [
    Case("id_twice", between(user("x"), element("textAnnotation", "x")), "x", "换一个"),
    Case("id_missing", simple(element("userTask", None, extension(ASSIGN))), "leave", "补上"),
    Case("id_invalid", between(user("x")).replace('"x"', '"x y"'), "x y", "字母"),
    Case("id_long", between(user("x")).replace('"x"', f'"{"x" * 81}"'), "x" * 79 + "…", "80"),
    Case("name_missing", simple(outside='<bpmn:message id="x"/>'), "x", "名称"),
    Case("name_missing", simple(outside='<bpmn:signal id="x" name=" "/>'), "x", "名称"),
    Case("name_long", simple(outside=f'<bpmn:signal id="x" name="{"名" * 81}"/>'), "x", "80"),
    Case("name_long", between(user("x", name="名" * 81)), "x", "80"),
    Case("process_id_long", simple(id_="p" * 61), "p" * 61, "60"),
    Case("no_executable", simple(isExecutable="false"), "leave", "isExecutable"),
    Case(
        "several_executable",
        simple(outside=element("process", "x")),
        "leave",
        "单独",
        frozenset({"no_start", "no_end"}),
    ),
    Case(
        "process_ignored",
        simple(outside=element("process", "x", isExecutable="false")),
        "x",
        "单独",
        severity="warning",
    ),
    Case("no_process", process().replace("process", "collaboration"), "definitions", "画一个流程"),
    Case("not_bpmn", '<definitions id="x"/>', "x", "BPMN 2.0"),
    Case(
        "drawing_missing",
        process(start(), user("a"), end(), path("start", "a", "end"), drawing=False),
        "leave",
        "设计器",
        severity="warning",
    ),
    Case(
        "drawing_incomplete",
        simple().replace('<bpmndi:BPMNShape bpmnElement="a"/>', ""),
        "leave",
        "设计器",
        severity="warning",
    ),
    Case(
        "drawing_dangling",
        simple().replace(
            '<bpmndi:BPMNShape bpmnElement="a"/>',
            '<bpmndi:BPMNShape bpmnElement="a"/><bpmndi:BPMNShape bpmnElement="zz" id="x"/>',
        ),
        "x",
        "设计器",
        severity="warning",
    ),
    *(
        Case(
            "drawing_number",
            simple().replace(
                '<bpmndi:BPMNShape bpmnElement="a"/>',
                '<bpmndi:BPMNShape bpmnElement="a" id="x">'
                f'<dc:Bounds xmlns:dc="http://www.omg.org/spec/DD/20100524/DC" {given}/></bpmndi:BPMNShape>',
            ),
            "x",
            "设计器",
        )
        for given in (
            'x="abc" y="1" width="1" height="1"',
            'x="NaN" y="1" width="1" height="1"',
            'x="1" y="-inf" width="1" height="1"',
            'x="1" y="1" width="1e999" height="1"',
            'x="1" y="1" width="1" height="-1"',
            'x="100001" y="1" width="1" height="1"',
        )
    ),
    Case(
        "drawing_number",
        simple().replace(
            '<bpmndi:BPMNShape bpmnElement="a"/>',
            '<bpmndi:BPMNShape bpmnElement="a" id="x"><di:waypoint xmlns:di="http://www.omg.org/spec/DD/20100524/DI" '
            'x="1,5" y="1"/></bpmndi:BPMNShape>',
        ),
        "x",
        "设计器",
    ),
    Case(
        "drawing_too_large",
        simple().replace(
            '<bpmndi:BPMNShape bpmnElement="a"/>', '<bpmndi:BPMNShape bpmnElement="a"/>' + "<bpmndi:BPMNEdge/>" * 20_000
        ),
        "definitions",
        "拐点",
    ),
    Case("nested_too_deep", nested(6), "x6", "调用活动"),
    Case(
        "too_many_nodes",
        process(
            start(), end(), *(user(f"u{n}") for n in range(600)), path("start", *(f"u{n}" for n in range(600)), "end")
        ),
        "leave",
        "callActivity",
    ),
    Case("dangling_reference", simple(flow("a", "gone", None, "x")), "x", "已有元素"),
    Case("dangling_reference", simple(flow("gone", "a", None, "x")), "x", "已有元素"),
    Case("dangling_reference", simple(element("sequenceFlow", "x", sourceRef="a")), "x", "两端"),
    Case(
        "dangling_reference",
        between(user("x").replace("</bpmn:userTask>", "<bpmn:incoming>gone</bpmn:incoming></bpmn:userTask>")),
        "x",
        "已有元素",
    ),
    Case(
        "dangling_reference",
        between(element("intermediateCatchEvent", "x", element("messageEventDefinition", "m", messageRef="gone"))),
        "x",
        "已有元素",
    ),
    Case(
        "dangling_reference",
        between(element("intermediateCatchEvent", "x", element("signalEventDefinition", "m", signalRef="gone"))),
        "x",
        "已有元素",
    ),
    Case("dangling_reference", between(element("receiveTask", "x", messageRef="gone")), "x", "已有元素"),
    Case(
        "dangling_reference",
        process(
            start(), user("a"), end("x", element("errorEventDefinition", "m", errorRef="gone")), path("start", "a", "x")
        ),
        "x",
        "已有元素",
        frozenset({"error_uncaught"}),
    ),
    Case(
        "dangling_reference",
        choice("days > 1", None, default=1).replace('default="f1"', 'default="gone"'),
        "x",
        "已有元素",
        frozenset({"condition_missing", "default_foreign"}),
    ),
    Case(
        "dangling_reference",
        with_boundary(boundary("x", "timer", timer("P1D"), host="gone")),
        "x",
        "已有元素",
        frozenset({"unreachable"}),
    ),
    Case("dangling_reference", simple(element("dataObjectReference", "x", dataObjectRef="gone")), "x", "已有元素"),
    Case(
        "dangling_reference",
        between(user("x", element("dataInputAssociation", None, "<bpmn:sourceRef>gone</bpmn:sourceRef>"))),
        "x",
        "已有元素",
    ),
    Case(
        "dangling_reference",
        simple(element("laneSet", "l", element("lane", "x", "<bpmn:flowNodeRef>gone</bpmn:flowNodeRef>"))),
        "x",
        "已有元素",
    ),
    Case("wrong_reference", between(element("receiveTask", "x", messageRef="signal"), outside=SIGNAL), "x", "相应种类"),
    Case(
        "flow_crosses",
        process(start(), inner_process(), end(), path("start", "x", "end"), flow("x-u", "end", None, "f")),
        "f",
        "同一层",
    ),
    Case(
        "boundary_host",
        simple(
            element("intermediateThrowEvent", "b"),
            boundary("x", "timer", timer("P1D"), host="b"),
            path("x", "end"),
            path("b", "end"),
        ),
        "x",
        "步骤",
        frozenset({"unreachable"}),
    ),
]


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{n}-{c.code}") for n, c in enumerate(CASES)])
def test_fault_is_found_at_its_element_with_its_cure(case: Case) -> None:
    check_case(case)
