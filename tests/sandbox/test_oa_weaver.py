"""Weaver's stand-in: its to-do centre, asked by zeep on its WSDL and by REST, and the lists of E9."""

import json
from typing import Any

import pytest
import zeep
from lxml import etree

from sandbox.oa import constants
from sandbox.oa.server import Running
from sandbox.oa.state import State
from tests.sandbox.oas import E9, HEAD_NURSE, NURSE, STRANGER, WEAVER_SOAP, Weaver, ask, flow, http, states

OPERATIONS = (
    "receiveRequestInfo",
    "receiveTodoRequest",
    "processDoneRequest",
    "processOverRequest",
    "deleteRequestInfo",
    "deleteUserRequestInfo",
)
SYSCODE = constants.WEAVER_SYSCODE
ONE = {"syscode": SYSCODE, "flowid": "k1", "userid": NURSE}


@pytest.fixture
def state(oa_sandbox: Running) -> State:
    """What the OAs know."""
    return oa_sandbox.state


class Rest:
    """The REST twin."""

    def __init__(self, oa: Running) -> None:
        self._oa = oa

    def told(self, operation: str, **fields: str) -> dict[str, str]:
        """Call an operation; return what it answers."""
        answer: dict[str, str] = ask(self._oa, "POST", f"/weaver/rest/ofs/{operation}ByJson", json=fields).json()
        return answer

    def refused(self, operation: str, **fields: str) -> str:
        """Call an operation that must refuse; return why."""
        told = self.told(operation, **fields)
        assert told["operResult"] == "0"
        return told["message"]

    def done(self, operation: str, **fields: str) -> str:
        """Call an operation that must succeed; return its operType."""
        told = self.told(operation, **fields)
        assert told["operResult"] == "1", told["message"]
        return told["operType"]


@pytest.fixture
def rest(oa_sandbox: Running) -> Rest:
    """The REST twin."""
    return Rest(oa_sandbox)


def test_a_flow_goes_through_all_its_states(state: State, rest: Rest) -> None:
    assert rest.done("ReceiveRequestInfo", **flow()) == "AutoNew"
    [row] = state.weaver.rows()
    assert (row.key, row.account, row.state, row.title) == ("k1", NURSE, "todo", "年假申请")
    assert (row.workflow, row.node, row.sender_account) == ("请假", "护士长审批", HEAD_NURSE)
    assert (row.notified, row.unread, row.received_at.isoformat()) == (1, True, "2026-11-26T10:00:00+08:00")
    for number, (remark, shown) in enumerate({"8": "read", "2": "done", "4": "finished", "0": "todo"}.items(), 1):
        told = rest.told("ReceiveRequestInfo", **flow(isremark=remark, receivets=str(1000 + number)))
        assert (told["operResult"], told["operType"]) == ("1", "AutoEdit")
        assert states(state.weaver.rows()) == [("k1", NURSE, shown)]
    assert rest.done("DeleteUserRequestInfo", **ONE) == "Del"
    assert state.weaver.rows() == []
    assert "不存在" in rest.refused("deleteUserRequestInfo", **ONE)
    assert rest.done("ReceiveRequestInfo", **flow(isremark="2")) == "AutoNew"  # what was deleted may come again
    assert states(state.weaver.rows()) == [("k1", NURSE, "done")]


def test_an_older_write_is_answered_as_a_success_and_changes_nothing(state: State, rest: Rest) -> None:
    rest.done("ReceiveRequestInfo", **flow(isremark="2", receivets="2000"))
    assert rest.done("ReceiveRequestInfo", **flow(isremark="0", receivets="1999")) == "AutoEdit"
    assert states(state.weaver.rows()) == [("k1", NURSE, "done")]
    rest.done("ReceiveRequestInfo", **flow(isremark="0", receivets="2000"))
    assert states(state.weaver.rows()) == [("k1", NURSE, "todo")]


def test_each_new_to_do_notifies_again_and_one_marked_read_does_not(state: State, rest: Rest) -> None:
    for number, viewtype in enumerate(("0", "0", "1", "1"), 1):
        rest.done("ReceiveRequestInfo", **flow(viewtype=viewtype, receivets=str(number)))
    [row] = state.weaver.rows()
    assert (row.notified, row.unread) == (2, False)


def test_what_is_there_already_is_refused_by_the_other_operation_alone(state: State, rest: Rest) -> None:
    assert rest.done("receiveTodoRequest", **flow()) == "AutoNew"
    assert rest.refused("receiveTodoRequest", **flow()) == "流程数据【年假申请】已存在"
    rest.done("receiveRequestInfo", **flow(receivets="2000"))
    assert len(state.weaver.rows()) == 1


def test_the_end_of_a_flow_does_not_clear_what_waits_for_others(state: State, rest: Rest) -> None:
    for account in (NURSE, HEAD_NURSE):
        rest.done("receiveRequestInfo", **flow(receiver=account))
    rest.done("receiveRequestInfo", **flow(isremark="4", receivets="2000"))
    assert states(state.weaver.rows()) == [("k1", HEAD_NURSE, "todo"), ("k1", NURSE, "finished")]
    rest.done("processOverRequest", **flow())
    assert states(state.weaver.rows()) == [("k1", HEAD_NURSE, "todo"), ("k1", NURSE, "finished")]
    rest.done("processDoneRequest", **flow(receiver=HEAD_NURSE))
    rest.done("processOverRequest", **flow())
    assert states(state.weaver.rows()) == [("k1", HEAD_NURSE, "finished"), ("k1", NURSE, "finished")]
    rest.done("deleteRequestInfo", syscode=SYSCODE, flowid="k1")
    assert state.weaver.rows() == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"requestname": "另一个标题"}, "流程数据【另一个标题】不存在"),
        ({"nodename": "主任审批"}, "流程数据【年假申请】不存在"),
        ({"receiver": HEAD_NURSE}, "流程数据【年假申请】不存在"),
        ({"workflowname": "没有的类型"}, "流程类型【没有的类型】未注册"),
    ],
)
def test_done_must_name_what_was_named_at_first(state: State, rest: Rest, changed: dict[str, str], why: str) -> None:
    rest.done("receiveRequestInfo", **flow())
    assert rest.refused("processDoneRequest", **flow(**changed)) == why
    assert len(state.weaver.open(NURSE)) == 1
    assert rest.done("processDoneRequest", **flow()) == "AutoEdit"
    assert state.weaver.open(NURSE) == []


@pytest.mark.parametrize(
    ("given", "kind", "why"),
    [
        ({"syscode": "x"}, "OtherSys", "异构系统标识【x】未注册"),
        ({"workflowname": ""}, "WfType", "流程类型未填写"),
        ({"requestname": ""}, "WfData", "流程标题未填写"),
        ({"creator": STRANGER}, "WfData", "流程数据【年假申请】检测创建人不存在"),
        ({"creator": ""}, "WfData", "流程数据【年假申请】检测创建人不存在"),
        ({"receiver": STRANGER}, "WfData", "流程数据【年假申请】检测接收人不存在"),
        ({"isremark": "3"}, "WfData", "流程数据【年假申请】检测isremark不合法"),
        ({"viewtype": "7"}, "WfData", "流程数据【年假申请】检测viewtype不合法"),
    ],
)
def test_it_says_why_it_refuses_in_its_own_words(
    state: State, rest: Rest, given: dict[str, str], kind: str, why: str
) -> None:
    told = rest.told("receiveRequestInfo", **flow(**given))
    assert (told["operResult"], told["operType"], told["dataType"]) == ("0", "Check", kind)
    assert told["message"] == why
    assert state.weaver.rows() == []


def test_its_administrator_decides_who_may_send_what(state: State, rest: Rest) -> None:
    settings = state.weaver.settings
    settings.older = True
    assert "检测isremark不合法" in rest.refused("receiveRequestInfo", **flow(isremark="8"))
    settings.workflows = {"请假": False}
    assert rest.refused("receiveRequestInfo", **flow()) == "流程类型【请假】不允许接收流程数据"
    settings.workflows, settings.auto_workflow = {}, False
    assert rest.refused("receiveRequestInfo", **flow()) == "流程类型【请假】不允许接收流程数据"
    settings.receives = False
    assert rest.refused("receiveRequestInfo", **flow()) == "异构系统标识【piyue】不允许接收流程数据"
    settings.addresses = {"10.0.0.1"}
    assert rest.refused("receiveRequestInfo", **flow()) == "异构系统标识【piyue】当前IP（127.0.0.1）未授权"
    assert "未授权" in rest.refused("deleteRequestInfo", **ONE)
    settings.enabled = False
    told = rest.told("processDoneRequest", **flow())
    assert (told["dataType"], told["message"]) == ("IsUse", "统一待办中心未启用")


@pytest.mark.parametrize("lacking", ["syscode", "flowid", "userid"])
def test_a_delete_says_what_it_lacks(rest: Rest, lacking: str) -> None:
    assert rest.refused("deleteUserRequestInfo", **(ONE | {lacking: ""})) == f"流程数据删除失败,{lacking}为空"


@pytest.mark.parametrize("moment", ["", "26.11.2026", "2026-11-26"])
def test_a_moment_that_it_cant_read_breaks_it(oa_sandbox: Running, rest: Rest, moment: str) -> None:
    with http(oa_sandbox) as client:
        answer = client.post("/weaver/rest/ofs/ReceiveRequestInfoByJson", json=flow(createdatetime=moment))
    assert answer.status_code == 500
    with pytest.raises(zeep.exceptions.Fault, match="out of range"):
        Weaver(oa_sandbox).call("receiveRequestInfoByJson", json.dumps(flow(receivedatetime=moment)))


def written(form: str, fields: dict[str, str], weaver: Weaver) -> Any:
    """Return fields as an operation of a form takes them."""
    if form == "Json":
        return json.dumps(fields, ensure_ascii=False)
    if form == "Map":
        kind = weaver.client.get_type("{webservices.ofs.weaver.com.cn}anyType2anyTypeMap")
        text = weaver.client.get_type("{http://www.w3.org/2001/XMLSchema}string")
        entries = [
            {"key": zeep.AnyObject(text, name), "value": zeep.AnyObject(text, value)} for name, value in fields.items()
        ]
        return kind(entry=entries)
    root = etree.Element("root")
    for name, value in fields.items():
        etree.SubElement(root, name).text = value
    return etree.tostring(root, encoding="unicode")


def understood(form: str, out: Any) -> dict[str, str]:
    """Return what an operation of a form answers."""
    if form == "Json":
        found: dict[str, str] = json.loads(out)
        return found
    if form == "Map":
        return {entry.key: entry.value for entry in out}  # zeep gives the entries alone
    return {str(child.tag): child.text or "" for child in etree.fromstring(out)}


@pytest.mark.parametrize("form", ["Json", "Xml", "Map"])
def test_the_web_service_takes_json_xml_and_maps(oa_sandbox: Running, state: State, form: str) -> None:
    weaver = Weaver(oa_sandbox)
    fields = flow(requestname="加急 <&> 😀")
    for operation in OPERATIONS:
        if operation == "receiveTodoRequest":
            continue
        name = f"{operation}By{'XML' if form == 'Xml' and operation.startswith('delete') else form}"
        if operation == "deleteUserRequestInfo":
            weaver.call(f"receiveRequestInfoBy{form}", written(form, fields, weaver))
        told = understood(form, weaver.call(name, written(form, fields | {"userid": NURSE}, weaver)))
        assert (told["operResult"], told["syscode"]) == ("1", SYSCODE), told
    assert state.weaver.rows() == []
    assert {seen.operation for seen in state.requests("weaver")} >= {f"receiveRequestInfoBy{form}"}


def test_the_wsdl_has_each_operation_in_each_form(oa_sandbox: Running) -> None:
    service = Weaver(oa_sandbox).client.wsdl.services["OfsTodoDataWebService"]
    port = service.ports["OfsTodoDataWebServiceHttpPort"]
    assert port.binding_options["address"] == f"{oa_sandbox.url}{WEAVER_SOAP}"
    forms = {name: ("Json", "XML" if name.startswith("delete") else "Xml", "Map") for name in OPERATIONS}
    assert set(port.binding.all()) == {f"{name}By{form}" for name, each in forms.items() for form in each}


@pytest.mark.parametrize("content", [None, "", "{not json", "[]", "<a><b></a>", "9" * 10_000])
def test_whatever_in0_holds_is_answered_in_the_products_style(oa_sandbox: Running, content: str | None) -> None:
    weaver = Weaver(oa_sandbox)
    with pytest.raises(zeep.exceptions.Fault):
        weaver.call("receiveRequestInfoByJson", content)
    doctype = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><x><syscode>&a;</syscode></x>'
    with pytest.raises(zeep.exceptions.Fault):
        weaver.call("receiveRequestInfoByXml", doctype)


# The lists of E9


@pytest.fixture
def e9(oa_sandbox: Running) -> E9:
    """A program with a token, that asks for the nurse."""
    program = E9(oa_sandbox, NURSE)
    assert program.apply()["status"] is True
    return program


def test_a_persons_lists_have_rows_of_other_systems_only_where_they_are_asked_for(
    state: State, rest: Rest, e9: E9
) -> None:
    own = state.weaver.start_own(NURSE, "公文传阅", workflow="收文", sender="李敏", sender_account=HEAD_NURSE)
    rest.done("receiveRequestInfo", **flow())
    rest.done("receiveRequestInfo", **flow(flowid="k2", isremark="8"))
    [row] = e9.lists("getToDoWorkflowRequestList", isNeedOs="false")
    assert (row["requestId"], row["requestName"], row["sysName"]) == (own.id, "公文传阅", "")
    assert (row["workflowBaseInfo"]["workflowName"], row["lastOperatorName"]) == ("收文", "李敏")

    both = e9.lists("getToDoWorkflowRequestList", isNeedOs="1", pageNo="1", pageSize="10")
    other = next(row for row in both if row["sysName"])
    assert (other["sysName"], other["requestName"], other["isremark"]) == (constants.SYSTEM, "年假申请", "0")
    assert other["receiveTime"] == "2026-11-26 10:00:00"
    assert "k1" not in json.dumps(other)  # no flowid, nor the link that has it
    assert e9.lists("getToDoWorkflowRequestCount", isNeedOs="1") == 2
    assert [row["isremark"] for row in e9.lists("getToBeReadWorkflowRequestList", isNeedOs="1")] == ["8"]
    assert len(e9.lists("getToDoWorkflowRequestList", isNeedOs="1", pageNo="2", pageSize="1")) == 1
    assert e9.lists("getToDoWorkflowRequestList", isNeedOs="1", pageNo="3", pageSize="1") == []
    named = e9.lists("getToDoWorkflowRequestList", isNeedOs="1", conditions='{"requestName": "公文"}')
    assert [row["requestName"] for row in named] == ["公文传阅"]

    state.weaver.finish_own(own.key)
    rest.done("receiveRequestInfo", **flow(isremark="2", receivets="3000"))
    assert [row["requestId"] for row in e9.lists("getHandledWorkflowRequestList", isNeedOs="1")] == [own.id]
    assert len(e9.lists("getHandledWorkflowRequestList4Ofs", isNeedOs="1")) == 2
    rest.done("receiveRequestInfo", **flow(isremark="4", receivets="4000"))
    assert len(e9.lists("getProcessedWorkflowRequestList", isNeedOs="1")) == 1


def test_a_token_lasts_as_long_as_was_asked_and_not_beyond_a_restart(oa_sandbox: Running, e9: E9) -> None:
    assert e9.apply(time="60")["status"] is True
    assert e9.lists("getToDoWorkflowRequestList") == []
    oa_sandbox.state.advance(61)
    told = e9.lists("getToDoWorkflowRequestList")
    assert (told["code"], told["status"], "token不存在或者超时" in told["msg"]) == (-1, False, True)
    e9.apply()
    oa_sandbox.state.restart("weaver")
    assert "token不存在或者超时" in e9.lists("getToDoWorkflowRequestList")["msg"]


def test_only_programs_with_a_licence_and_the_secret_get_a_token(oa_sandbox: Running, e9: E9) -> None:
    assert e9.apply("another secret")["status"] is False
    assert "解密失败" in e9._post("/weaver/api/ec/dev/auth/applytoken", {"secret": "not encrypted"})["msg"]
    assert E9(oa_sandbox, STRANGER).lists("getToDoWorkflowRequestList")["status"] is False
    stranger = E9(oa_sandbox, STRANGER)
    stranger.apply()
    assert "账号存在异常" in stranger.lists("getToDoWorkflowRequestList")["msg"]
    oa_sandbox.state.weaver.settings.appids = set()
    with http(oa_sandbox) as client:
        told = client.post("/weaver/api/ec/dev/auth/regist", headers={"appid": "x", "cpk": "y"}).json()
        assert (told["status"], "未注册" in told["msg"]) == (False, True)
        assert client.post("/weaver/api/workflow/paService/doCreateRequest").status_code == 404
