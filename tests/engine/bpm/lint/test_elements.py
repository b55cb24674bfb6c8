"""What the engine can't run, extensions, operations, repetitions."""

import pytest

from tests.engine.bpm.lint.cases import (
    CARDINALITY,
    MULTI,
    SIGNAL,
    Case,
    between,
    boundary,
    catch,
    check_case,
    inner_process,
    throw,
    with_boundary,
)
from tests.engine.bpm.lint.diagrams import (
    ASSIGN,
    element,
    end,
    extension,
    path,
    process,
    service,
    simple,
    start,
    user,
)

CASES = [
    Case("compensation", between(throw("x", "compensate")), "x", "普通步骤"),
    Case("compensation", with_boundary(boundary("x", "compensate")), "x", "普通步骤"),
    Case(
        "compensation",
        simple(user("x", isForCompensation="true"), path("x", "end")),
        "x",
        "普通步骤",
        frozenset({"unreachable"}),
    ),
    Case("link_event", between(throw("x", "link")), "x", "顺序流"),
    Case("link_event", between(catch("x", "link")), "x", "顺序流"),
    Case(
        "signal_end",
        process(
            start(),
            user("a"),
            end("x", element("signalEventDefinition", "d", signalRef="signal")),
            path("start", "a", "x"),
            outside=SIGNAL,
        ),
        "x",
        "抛出事件",
    ),
    Case(
        "event_sub_process",
        simple(inner_process().replace('id="x"', 'id="x" triggeredByEvent="true"')),
        "x",
        "边界事件",
    ),
    Case("ad_hoc", between(inner_process().replace("subProcess", "adHocSubProcess")), "x", "普通子流程"),
    Case("transaction", between(inner_process().replace("subProcess", "transaction")), "x", "普通子流程"),
    Case(
        "transaction",
        process(start(), user("a"), end("x", element("cancelEventDefinition", "d")), path("start", "a", "x")),
        "x",
        "错误边界事件",
    ),
    Case("complex_gateway", between(element("complexGateway", "x")), "x", "包容网关"),
    Case("conditional_event", between(catch("x", "conditional")), "x", "网关"),
    Case("manual_task", between(element("manualTask", "x")), "x", "userTask"),
    Case("decision_missing", between(element("businessRuleTask", "x")), "x", "piyue:decision"),
    Case("plain_task", between(element("task", "x")), "x", "用户任务", severity="warning"),
    Case("multi_instance_task", between(user("x", MULTI.format(CARDINALITY))), "x", "piyue:round"),
    Case("multi_instance_task", between(service("x", "o", MULTI.format(CARDINALITY))), "x", "子流程"),
    Case("loop_task", between(user("x", '<bpmn:standardLoopCharacteristics loopMaximum="3"/>')), "x", "piyue:round"),
    Case("multi_instance_source", between(inner_process(loop=MULTI.format(""))), "x", "loopDataInputRef"),
    Case(
        "multi_instance_source",
        between(inner_process(loop=MULTI.format(CARDINALITY + "<bpmn:loopDataInputRef>d</bpmn:loopDataInputRef>"))),
        "x",
        "只写一个",
    ),
    Case(
        "name_reserved",
        between(inner_process(loop=MULTI.format(CARDINALITY + '<bpmn:inputDataItem name="outcome"/>'))),
        "x",
        "换一个名称",
    ),
    Case("loop_endless", between(inner_process(loop="<bpmn:standardLoopCharacteristics/>")), "x", "loopMaximum"),
    Case(
        "loop_maximum", between(inner_process(loop='<bpmn:standardLoopCharacteristics loopMaximum="-1"/>')), "x", "整数"
    ),
    Case(
        "script",
        between(element("scriptTask", "x", "<bpmn:script>print(1)</bpmn:script>")),
        "x",
        "piyue:operation",
        frozenset({"operation_missing"}),
    ),
    Case("operation_missing", between(element("serviceTask", "x")), "x", "piyue:operation"),
    Case("call_missing", between(element("callActivity", "x")), "x", "calledElement"),
    Case("unknown_element", simple(element("callChoreography", "x")), "x", "支持的元素"),
    Case("unknown_element", simple('<foo xmlns="urn:x" id="x"/>'), "x", "BPMN 2.0"),
    Case("foreign_extension", between(user("x", camunda__assignee="bob")), "x", "piyue", severity="warning"),
    Case(
        "foreign_extension",
        between(user("x", extra=ASSIGN + "<camunda:properties/>")),
        "x",
        "piyue",
        severity="warning",
    ),
    Case("piyue_attribute", between(user("x", piyue__kind="decide")), "x", "extensionElements"),
    Case("piyue_misplaced", between(user("x", '<piyue:assign rule="initiator"/>')), "x", "extensionElements"),
    Case("extension_twice", between(user("x", extension(ASSIGN))), "x", "合并"),
    Case("extension_element", between(user("x", extra=ASSIGN + "<piyue:approver/>")), "x", "piyue:assign"),
    Case(
        "extension_attribute", between(user("x", extra='<piyue:assign rule="initiator" who="bob"/>')), "x", "可用的属性"
    ),
    Case("extension_value", between(user("x", extra='<piyue:assign rule="boss"/>')), "x", "可用的值"),
    Case(
        "extension_element",
        simple().replace('<bpmn:startEvent id="start">\n', '<bpmn:startEvent id="start">\n' + extension(ASSIGN)),
        "start",
        "删去",
    ),
    Case("assign_missing", between(user("x", extra="")), "x", "piyue:assign"),
    Case(
        "extension_element",
        between(service("x").replace('name="mail.send"/>', 'name="mail.send"><piyue:assign/></piyue:operation>')),
        "x",
        "删去",
    ),
    Case(
        "text_long",
        between(
            user("x").replace(
                "<bpmn:ext", f'<bpmn:documentation id="x-d">{"长" * 20_001}</bpmn:documentation><bpmn:ext'
            )
        ),
        "x",
        "缩短",
    ),
]


@pytest.mark.parametrize("case", [pytest.param(c, id=f"{n}-{c.code}") for n, c in enumerate(CASES)])
def test_fault_is_found_at_its_element_with_its_cure(case: Case) -> None:
    check_case(case)
