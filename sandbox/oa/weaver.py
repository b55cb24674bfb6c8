"""Weaver e-cology (泛微): what its unified to-do centre (统一待办中心) does with the flows of other systems.

A flow is kept per receiver. `receivets` orders writes: an older one is answered as a success and changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.oa.calls import moment, text
from sandbox.oa.lists import Lists
from sandbox.oa.records import Person, Row, State
from sandbox.oa.settings import WeaverSettings

Weaver = Lists[WeaverSettings]
Fields = Mapping[str, Any]

_STATES: dict[str, State] = {"0": "todo", "2": "done", "4": "finished", "8": "read"}  # by isremark


class Broken(Exception):
    """The service broke over a value that it doesn't check."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation answers, all texts."""

    syscode: str
    data_type: str  # IsUse, OtherSys, WfType, WfData, SetParam
    oper_type: str  # AutoNew, New, AutoEdit, Edit, Del, Check, Set
    success: bool
    message: str

    def told(self) -> dict[str, str]:
        """Return it as the interface names its parts."""
        return {
            "syscode": self.syscode,
            "dataType": self.data_type,
            "operType": self.oper_type,
            "operResult": "1" if self.success else "0",
            "message": self.message,
        }


def receive_request(oa: Weaver, given: Fields, address: str) -> Result:
    """Do receiveRequestInfo: put a flow into a receiver's list, or change it there."""
    created, received = _moment(given, "createdatetime"), _moment(given, "receivedatetime")
    if (refused := refusal(oa, given, address)) or (refused := _flow_refusal(oa, given)):
        return refused
    state = _STATES.get(text(given, "isremark"))
    if state is None or (state == "read" and oa.settings.older):
        return _checked(given, f"流程数据【{text(given, 'requestname')}】检测isremark不合法")
    viewtype = text(given, "viewtype") or "0"
    if viewtype not in ("0", "1"):
        return _checked(given, f"流程数据【{text(given, 'requestname')}】检测viewtype不合法")
    row = _row(oa, given, text(given, "receiver"))
    stamp = _stamp(given)
    if row is not None and stamp and stamp < row.stamp:
        return _edited(given, "自动更新成功")
    new = row is None
    if row is None:
        row = Row(oa.number(), text(given, "flowid"), text(given, "receiver"), state, "", kind=state)
        row.system = text(given, "syscode")
        oa.add(row)
    _write(oa, row, given, received or created, stamp)
    _show(oa, row, state, new=viewtype == "0")
    if new:
        return Result(row.system, "WfData", "AutoNew", True, f"流程数据【{row.title}】自动创建成功")
    return _edited(given, "自动更新成功")


def receive_todo(oa: Weaver, given: Fields, address: str) -> Result:
    """Do receiveTodoRequest: as receiveRequestInfo for a to-do that isn't there yet."""
    _moment(given, "createdatetime"), _moment(given, "receivedatetime")
    if (refused := refusal(oa, given, address)) or (refused := _flow_refusal(oa, given)):
        return refused
    if _row(oa, given, text(given, "receiver")) is not None:
        name = text(given, "requestname")
        return Result(text(given, "syscode"), "WfData", "AutoNew", False, f"流程数据【{name}】已存在")
    return receive_request(oa, {**given, "isremark": "0", "viewtype": "0"}, address)


def process_done(oa: Weaver, given: Fields, address: str) -> Result:
    """Do processDoneRequest: title, flow type, node and receiver must be what they were."""
    if refused := _process_refusal(oa, given, address):
        return refused
    row = _row(oa, given, text(given, "receiver"))
    if row is None or not _same(row, given) or row.node != text(given, "nodename"):
        return _checked(given, f"流程数据【{text(given, 'requestname')}】不存在")
    _show(oa, row, "done", new=False)
    return _edited(given, "自动更新已办成功")


def process_over(oa: Weaver, given: Fields, address: str) -> Result:
    """Do processOverRequest: the receiver's flow ends, and what others have done of it; their to-dos stay."""
    if refused := _process_refusal(oa, given, address):
        return refused
    row = _row(oa, given, text(given, "receiver"))
    if row is None or not _same(row, given):
        return _checked(given, f"流程数据【{text(given, 'requestname')}】不存在")
    _show(oa, row, "finished", new=False)
    for other in _flow(oa, given):
        if other.state == "done" and _same(other, given):
            _show(oa, other, "finished", new=False)
    return _edited(given, "自动更新办结成功")


def delete_request(oa: Weaver, given: Fields, address: str) -> Result:
    """Do deleteRequestInfo: take a flow out of everybody's lists."""
    return _delete(oa, given, address, ("syscode", "flowid"))


def delete_user_request(oa: Weaver, given: Fields, address: str) -> Result:
    """Do deleteUserRequestInfo: take a flow out of one person's lists."""
    return _delete(oa, given, address, ("syscode", "flowid", "userid"))


OPERATIONS: dict[str, Callable[[Weaver, Fields, str], Result]] = {
    "receiveRequestInfo": receive_request,
    "receiveTodoRequest": receive_todo,
    "processDoneRequest": process_done,
    "processOverRequest": process_over,
    "deleteRequestInfo": delete_request,
    "deleteUserRequestInfo": delete_user_request,
}


def refusal(oa: Weaver, given: Fields, address: str) -> Result | None:
    """Return why a system isn't let in, None where it is."""
    settings, syscode = oa.settings, text(given, "syscode")
    if not settings.enabled:
        return Result(syscode, "IsUse", "Check", False, "统一待办中心未启用")
    if syscode not in settings.systems:
        return not_registered(given)
    if settings.addresses and address not in settings.addresses:
        return not_allowed(given, address)
    return None


def not_registered(given: Fields) -> Result:
    """Return that nobody knows the system."""
    syscode = text(given, "syscode")
    return Result(syscode, "OtherSys", "Check", False, f"异构系统标识【{syscode}】未注册")


def not_allowed(given: Fields, address: str) -> Result:
    """Return that the system may not call from there."""
    syscode = text(given, "syscode")
    return Result(syscode, "OtherSys", "Check", False, f"异构系统标识【{syscode}】当前IP（{address}）未授权")


def no_receiver(given: Fields) -> Result:
    """Return that nobody has the receiver's login name."""
    return _checked(given, f"流程数据【{text(given, 'requestname')}】检测接收人不存在")


def _flow_refusal(oa: Weaver, given: Fields) -> Result | None:
    settings, syscode = oa.settings, text(given, "syscode")
    workflow, name = text(given, "workflowname"), text(given, "requestname")
    if not workflow:
        return Result(syscode, "WfType", "Check", False, "流程类型未填写")
    if not name:
        return _checked(given, "流程标题未填写")
    if settings.auto_workflow and settings.receives:
        settings.workflows.setdefault(workflow, True)
    if not settings.receives:
        return Result(syscode, "OtherSys", "Check", False, f"异构系统标识【{syscode}】不允许接收流程数据")
    if not settings.workflows.get(workflow, False):
        return Result(syscode, "WfType", "Check", False, f"流程类型【{workflow}】不允许接收流程数据")
    if _person(oa, text(given, "creator")) is None:
        return _checked(given, f"流程数据【{name}】检测创建人不存在")
    if _person(oa, text(given, "receiver")) is None:
        return no_receiver(given)
    return None


def _process_refusal(oa: Weaver, given: Fields, address: str) -> Result | None:
    if refused := refusal(oa, given, address):
        return refused
    syscode, workflow = text(given, "syscode"), text(given, "workflowname")
    if not workflow:
        return Result(syscode, "WfType", "Check", False, "流程类型未填写")
    if not text(given, "requestname"):
        return _checked(given, "流程标题未填写")
    if workflow not in oa.settings.workflows:
        return Result(syscode, "WfType", "Check", False, f"流程类型【{workflow}】未注册")
    if not oa.settings.workflows[workflow]:
        return Result(syscode, "WfType", "Check", False, f"流程类型【{workflow}】不允许接收流程")
    if _person(oa, text(given, "receiver")) is None:
        return no_receiver(given)
    return None


def _delete(oa: Weaver, given: Fields, address: str, names: tuple[str, ...]) -> Result:
    syscode = text(given, "syscode")
    for name in names:
        if not text(given, name):
            return Result(syscode, "WfData", "Del", False, f"流程数据删除失败,{name}为空")
    if refused := refusal(oa, given, address):
        return refused
    user = text(given, "userid") if "userid" in names else None
    if user is not None and _person(oa, user) is None:
        return Result(syscode, "WfData", "Check", False, f"流程数据【{text(given, 'flowid')}】检测接收人不存在")
    found = [row for row in _flow(oa, given) if user in (None, row.account)]
    if not found:
        return Result(syscode, "WfData", "Del", False, f"流程数据【{text(given, 'flowid')}】不存在")
    for row in found:
        oa.remove(row)
    return Result(syscode, "WfData", "Del", True, f"流程数据【{found[0].title}】删除成功")


def _write(oa: Weaver, row: Row, given: Fields, received: datetime, stamp: int) -> None:
    row.title, row.workflow = text(given, "requestname"), text(given, "workflowname")
    row.node = text(given, "nodename")
    row.link, row.mobile_link = text(given, "pcurl"), text(given, "appurl")
    row.received_at, row.stamp = received, stamp or row.stamp
    creator = _person(oa, text(given, "creator"))
    if creator is not None:
        row.sender, row.sender_account = creator.name, creator.number


def _show(oa: Weaver, row: Row, state: State, *, new: bool) -> None:
    """Move a row to the list of a state; an open one that is new tells its person."""
    if state in ("done", "finished"):
        oa.close(row, state)
        return
    row.unread = new
    oa.reopen(row, state, tell=new)


def _flow(oa: Weaver, given: Fields) -> list[Row]:
    syscode = text(given, "syscode")
    return [row for row in oa.having(text(given, "flowid")) if row.system == syscode and not row.own]


def _row(oa: Weaver, given: Fields, account: str) -> Row | None:
    return next((row for row in _flow(oa, given) if row.account == account), None)


def _same(row: Row, given: Fields) -> bool:
    return (row.title, row.workflow) == (text(given, "requestname"), text(given, "workflowname"))


def _person(oa: Weaver, login: str) -> Person | None:
    return oa.people.get(login)


def _moment(given: Fields, name: str) -> datetime:
    at = moment(text(given, name))
    if at is None:
        raise Broken("String index out of range: 10")
    return at


def _stamp(given: Fields) -> int:
    value = text(given, "receivets")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else 0


def _checked(given: Fields, message: str) -> Result:
    return Result(text(given, "syscode"), "WfData", "Check", False, message)


def _edited(given: Fields, what: str) -> Result:
    return Result(text(given, "syscode"), "WfData", "AutoEdit", True, f"流程数据【{text(given, 'requestname')}】{what}")
