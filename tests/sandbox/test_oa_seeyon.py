"""Seeyon's stand-in: tokens and third-party to-dos."""

import pytest

from sandbox.oa.server import Running
from sandbox.oa.state import State
from tests.sandbox.oas import HEAD_NURSE, NURSE, STRANGER, Seeyon, http, pending, states

DONE = {"registerCode": "3006", "taskId": "k1", "state": "1"}


@pytest.fixture
def state(oa_sandbox: Running) -> State:
    """What the OAs know."""
    return oa_sandbox.state


@pytest.fixture
def seeyon(oa_sandbox: Running) -> Seeyon:
    """A REST user with a token."""
    return Seeyon(oa_sandbox)


def test_an_item_appears_is_done_reopened_and_cancelled(state: State, seeyon: Seeyon) -> None:
    assert seeyon.ask("receive", pending()).json() == {"success": True, "errorMsgs": []}
    [row] = state.seeyon.rows()
    assert (row.key, row.account, row.state, row.title, row.sender) == ("k1", NURSE, "todo", "年假申请", "李敏")
    assert (row.link, row.mobile_link) == ("http://piyue/items/k1", "http://piyue/m/items/k1")

    seeyon.ask("updatePendingState", {**DONE, "subState": "3"})
    assert [(r.state, r.outcome) for r in state.seeyon.rows()] == [("done", "驳回")]
    seeyon.ask("updatePendingState", {**DONE, "state": "0"})
    [row] = state.seeyon.rows()
    assert (row.state, row.notified) == ("todo", 2)
    assert seeyon.ask("updatePendingState", {**DONE, "subState": "2"}).json()["success"] is True
    assert state.seeyon.rows() == []
    assert seeyon.refused("updatePendingState", DONE) == "待办【k1】不存在"


def test_a_task_is_of_one_receiver_and_a_repeat_changes_it(state: State, seeyon: Seeyon) -> None:
    seeyon.ask("receive", pending())
    seeyon.ask("receive", pending(title="年假申请（改）"))
    [row] = state.seeyon.rows()
    assert (row.title, row.notified) == ("年假申请（改）", 1)
    assert "接收人不同" in seeyon.refused("receive", pending(noneBindingReceiver=HEAD_NURSE))
    state.seeyon.settings.refuse_repeated = True
    assert seeyon.refused("receive", pending()) == "待办【k1】已存在"
    assert states(state.seeyon.rows()) == [("k1", NURSE, "todo")]


def test_of_several_items_those_are_taken_that_can_be(state: State, seeyon: Seeyon) -> None:
    items = [pending(), pending(taskId="k2", noneBindingReceiver=STRANGER), pending(taskId="k3")]
    assert seeyon.refused("receive/pendings", {"pendingList": items}) == f"接收人【{STRANGER}】不存在"
    assert states(state.seeyon.rows()) == [("k1", NURSE, "todo"), ("k3", NURSE, "todo")]
    assert seeyon.ask("receive/pendings", {"pendingList": []}).json()["success"] is False


@pytest.mark.parametrize("lacking", ["taskId", "registerCode", "title", "senderName", "creationDate", "state"])
def test_nothing_required_may_be_empty(state: State, seeyon: Seeyon, lacking: str) -> None:
    assert seeyon.refused("receive", pending(**{lacking: ""})) == f"参数{lacking}不能为空"
    assert state.seeyon.rows() == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"registerCode": "1"}, "系统注册编码【1】未注册"),
        ({"noneBindingReceiver": STRANGER}, f"接收人【{STRANGER}】不存在"),
        ({"creationDate": "26.11.2026"}, "creationDate"),
        ({"state": "2"}, "state"),
        ({"subState": "9"}, "subState"),
    ],
)
def test_it_says_why_it_refuses(state: State, seeyon: Seeyon, given: dict[str, str], why: str) -> None:
    assert why in seeyon.refused("receive", pending(**given))
    assert state.seeyon.rows() == []


def test_a_token_lasts_from_its_last_use_and_not_beyond_a_restart(state: State, seeyon: Seeyon) -> None:
    for _ in range(3):
        state.advance(800)
        assert seeyon.ask("receive", pending()).status_code == 200
    state.advance(901)
    assert seeyon.ask("receive", pending()).status_code == 401
    seeyon.token = "a guess"
    assert seeyon.ask("receive", pending()).status_code == 401


def test_a_restart_forgets_the_token_and_keeps_the_rows(oa_sandbox: Running, seeyon: Seeyon) -> None:
    seeyon.ask("receive", pending())
    oa_sandbox.control.restart(oa="seeyon")
    assert seeyon.ask("receive", pending()).status_code == 401
    assert states(oa_sandbox.state.seeyon.rows()) == [("k1", NURSE, "todo")]


def test_a_wrong_password_gives_no_token_and_another_address_no_answer(oa_sandbox: Running, seeyon: Seeyon) -> None:
    assert seeyon.log_in("wrong") == "-1"
    oa_sandbox.state.seeyon.settings.addresses = {"10.0.0.1"}
    assert seeyon.ask("receive", pending()).status_code == 403
    assert oa_sandbox.state.seeyon.rows() == []


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_whatever_comes_is_answered_in_the_products_style(oa_sandbox: Running, seeyon: Seeyon, body: bytes) -> None:
    with http(oa_sandbox) as client:
        answer = client.post(
            "/seeyon/seeyon/rest/thirdpartyPending/receive",
            params={"token": seeyon.token},
            content=body,
            headers={"Content-Type": "application/json"},
        )
        assert answer.json()["success"] is False
        assert client.get("/seeyon/seeyon/rest/token").status_code == 404
