"""What is let go wrong with the OAs' stand-in: with or without effect, in the order asked for, counted."""

import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox.oa.records import KINDS, NAMES, Kind, OAName
from sandbox.oa.server import Running
from sandbox.remote import Refused
from tests.sandbox.oas import LANDRAY_REST, NURSE, STRANGER, Plain, Seeyon, flow, http, pending, states, todo

RECEIVE = "/weaver/rest/ofs/ReceiveRequestInfoByJson"
OPERATION = "receiveRequestInfoByJson"
NEVER_ANSWERED = ("refuse", "reset_after", "timeout", "timeout_after", "late", "restart")
SHOWN: dict[Kind, bool] = {
    "refuse": False,
    "reset_after": True,
    "timeout": False,
    "timeout_after": True,
    "late": False,
    "restart": False,
    "html502": False,
    "garbage": False,
    "fault": False,
    "slow": True,
    "duplicate": True,
    "not_registered": False,
    "not_allowed": False,
    "unknown_person": False,
}


def send(oa: Running, **fields: str) -> httpx.Response:
    """Send the nurse's item to Weaver, as one that gives up after a while."""
    with http(oa) as client:
        return client.post(RECEIVE, json=flow(**fields), timeout=5)


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_has_its_effect_or_not_once(oa_sandbox: Running, kind: Kind) -> None:
    state = oa_sandbox.state
    state.faults.add("weaver", OPERATION, kind, seconds=0.05)
    try:
        answer = send(oa_sandbox)
    except httpx.TransportError:
        assert kind in NEVER_ANSWERED
    else:
        assert kind not in NEVER_ANSWERED
        assert (answer.status_code == 200) == (kind not in ("html502", "fault"))
        assert ("application/json" in answer.headers["content-type"]) == (kind not in ("html502", "garbage"))
    assert bool(state.weaver.rows()) == SHOWN[kind]
    assert [seen.fault for seen in state.requests("weaver", OPERATION)] == [kind]

    assert send(oa_sandbox).json()["operResult"] == "1"  # the next one is as ever
    assert states(state.weaver.rows()) == [("k1", NURSE, "todo")]
    assert [(seen.key, seen.account, seen.fault) for seen in state.requests("weaver")][1:] == [("k1", NURSE, "")]


def test_a_client_that_gives_up_ends_the_wait(oa_sandbox: Running) -> None:
    oa_sandbox.state.faults.add("weaver", "*", "timeout_after")
    with http(oa_sandbox) as client, pytest.raises(httpx.ReadTimeout):
        client.post(RECEIVE, json=flow(), timeout=0.2)
    assert len(oa_sandbox.state.weaver.rows()) == 1


def test_a_late_request_takes_effect_after_others(oa_sandbox: Running) -> None:
    state = oa_sandbox.state
    state.faults.add("weaver", "*", "late", seconds=0.01, after=2)
    with pytest.raises(httpx.TransportError):
        send(oa_sandbox, receivets="1")
    for number, remark in enumerate(("2", "4"), 2):
        assert state.faults.late("weaver") == 1
        send(oa_sandbox, flowid="k2", isremark=remark, receivets=str(number))
    assert state.faults.late("weaver") == 0
    assert states(state.weaver.rows()) == [("k1", NURSE, "todo"), ("k2", NURSE, "finished")]


def test_a_late_request_of_landray_leaves_a_ghost_behind(oa_sandbox: Running) -> None:
    """Nothing orders Landray's requests: a to-do that is late comes back after it was deleted."""
    state, site = oa_sandbox.state, oa_sandbox.site("landray.rest")
    meant = {"modelName": site["model_name"], "modelId": "k1", "optType": 1}
    state.faults.add("landray", "sendTodo", "late", seconds=0.01, after=0)
    with http(oa_sandbox, auth=(site["user"], site["password"])) as client:
        with pytest.raises(httpx.TransportError):
            client.post(f"{LANDRAY_REST}/sendTodo", json=todo())
        assert client.post(f"{LANDRAY_REST}/deleteTodo", json=meant).json()["returnState"] == 0
    assert oa_sandbox.control.release() == {"released": 1}
    assert states(state.landray.rows()) == [("k1", NURSE, "todo")]
    assert oa_sandbox.control.release(oa="landray") == {"released": 0}


def test_a_restart_loses_what_is_on_its_way(oa_sandbox: Running) -> None:
    state = oa_sandbox.state
    state.faults.add("weaver", "*", "late", seconds=0.01, after=0)
    state.faults.add("weaver", "*", "restart")
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            send(oa_sandbox)
    assert state.faults.release() == 0
    assert state.weaver.rows() == []


def test_a_duplicate_shows_twice_in_landray(oa_sandbox: Running) -> None:
    site = oa_sandbox.site("landray.rest")
    oa_sandbox.state.faults.add("landray", "*", "duplicate")
    with http(oa_sandbox, auth=(site["user"], site["password"])) as client:
        assert client.post(f"{LANDRAY_REST}/sendTodo", json=todo()).json()["returnState"] == 2
    assert states(oa_sandbox.state.landray.rows()) == [("k1", NURSE, "todo")] * 2


def test_faults_come_in_order_for_the_operation_and_the_oa_they_are_for(oa_sandbox: Running) -> None:
    faults = oa_sandbox.state.faults
    faults.add("weaver", OPERATION, "html502", times=2)
    faults.add("weaver", "*", "fault")
    faults.add("landray", "*", "fault")
    with http(oa_sandbox) as client:
        deleted = client.post("/weaver/rest/ofs/deleteRequestInfoByJson", json={})
        assert deleted.status_code == 500  # the one for any operation
    assert [send(oa_sandbox).status_code for _ in range(3)] == [502, 502, 200]
    assert [fault.kind for fault in faults.pending("landray")] == ["fault"]
    faults.clear()
    assert faults.pending("landray") == []


REFUSALS: dict[OAName, dict[Kind, str]] = {
    "weaver": {"not_registered": "未注册", "not_allowed": "未授权", "unknown_person": "检测接收人不存在"},
    "seeyon": {"not_registered": "未注册", "not_allowed": "未授权", "unknown_person": "接收人不存在"},
    "plain": {"not_registered": "未注册", "not_allowed": "未授权", "unknown_person": "没有用户"},
    "landray": {"not_registered": "密码错误", "not_allowed": "未授权", "unknown_person": "找不到对应"},
}


@pytest.mark.parametrize("oa", NAMES)
@pytest.mark.parametrize("kind", ["not_registered", "not_allowed", "unknown_person", "fault"])
def test_each_oa_has_its_own_words(oa_sandbox: Running, oa: OAName, kind: Kind) -> None:
    def seeyon() -> httpx.Response:
        return Seeyon(oa_sandbox).ask("receive", pending())

    def landray() -> httpx.Response:
        with http(oa_sandbox) as client:
            return client.post(f"{LANDRAY_REST}/sendTodo", json=todo())

    sending: dict[OAName, Any] = {
        "weaver": lambda: send(oa_sandbox),
        "seeyon": seeyon,
        "landray": landray,
        "plain": lambda: Plain(oa_sandbox).put("k1", user=NURSE, state="todo", title="年假申请"),
    }
    operation = {"weaver": OPERATION, "seeyon": "receive", "landray": "sendTodo", "plain": "put"}[oa]
    oa_sandbox.state.faults.add(oa, operation, kind)
    answer = sending[oa]()
    if kind == "fault":
        assert answer.status_code == 500
    else:
        assert REFUSALS[oa][kind] in answer.text
    assert oa_sandbox.state.oas[oa].rows() == []


def test_nothing_secret_is_kept_of_a_request(oa_sandbox: Running) -> None:
    seeyon = Seeyon(oa_sandbox)
    seeyon.ask("receive", pending(title="张三的病假"))
    send(oa_sandbox, requestname="李四的病假")
    kept = repr([*oa_sandbox.state.requests("seeyon"), *oa_sandbox.state.requests("weaver")])
    for secret in (seeyon.token, "病假", "piyue"):
        assert secret not in kept
    assert oa_sandbox.control.statistics(oa="seeyon") == {"token": 1, "receive": 1}


def test_a_state_is_played_with_over_its_control_api(oa_sandbox: Running) -> None:
    control = oa_sandbox.control
    own = control.start_own(oa="plain", account=NURSE, title="公文传阅", workflow="收文")
    assert [row["title"] for row in control.rows(oa="plain", account=NURSE)] == ["公文传阅"]
    control.finish_own(oa="plain", key=own["key"])
    control.fault(oa="weaver", operation="*", kind="html502")
    assert send(oa_sandbox).status_code == 502
    send(oa_sandbox)
    assert control.handle(oa="weaver", key="k1", account=NURSE, outcome="approve")["in_oa"] is True
    control.settings(oa="weaver", systems=[], older=True)
    assert "未注册" in send(oa_sandbox).json()["message"]
    assert control.advance(seconds=60)["now"] > own_time(oa_sandbox)
    control.reset()
    assert (control.rows(oa="weaver"), oa_sandbox.state.requests("weaver")) == ([], [])
    assert send(oa_sandbox).json()["operResult"] == "1"
    mistakes: list[Callable[[], Any]] = [
        lambda: control.rows(oa="nobody"),
        lambda: control.fault(oa="weaver", operation="*", kind="nothing"),
        lambda: control.start_own(oa="plain", account=STRANGER, title="x"),
        lambda: control.settings(oa="weaver", colour="red"),
    ]
    for wrong in mistakes:
        with pytest.raises(Refused):
            wrong()


def own_time(oa: Running) -> float:
    """Return the real time."""
    return oa.state.now() - oa.state.offset


def test_many_at_once_leave_one_row_each(oa_sandbox: Running) -> None:
    def work(first: int) -> None:
        with http(oa_sandbox) as client:
            for number in range(first, first + 25):
                client.post(RECEIVE, json=flow(flowid=f"k{number}"))

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 25, 50, 75)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(oa_sandbox.state.weaver.open(NURSE)) == 100
    assert {row.key for row in oa_sandbox.state.weaver.rows()} == {f"k{number}" for number in range(100)}
