"""Seeyon's third-party to-dos, and what is its own: tokens in addresses, outcomes, versions that refuse a repeat."""

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine import outbox
from engine.connectors.oa.adapters.protocol import State, Todo, Unknown
from engine.connectors.oa.adapters.seeyon import Seeyon, SeeyonSite
from tests.engine.connectors.conftest import Listener, Raw

TOKEN, RECEIVE = "/seeyon/rest/token", "/seeyon/rest/thirdpartyPending/receive"
UPDATE = "/seeyon/rest/thirdpartyPending/updatePendingState"
OK = {"success": True, "errorMsgs": []}
MOMENT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


def refused(*messages: Any) -> dict[str, Any]:
    return {"success": False, "errorMsgs": list(messages)}


@pytest.fixture
def seeyon(listener: Listener) -> Iterator[Seeyon]:
    for endpoint in (RECEIVE, UPDATE):
        listener.answer(endpoint, OK)
    listener.answer(TOKEN, {"id": "canary-token-1"}, {"id": "canary-token-2"})
    given = {"code": "a8", "folder": Path(), "kind": "seeyon", "name": "致远 OA", "address": listener.url}
    given |= {"user": "rest", "password": "canary-password", "register_code": "3006"}
    with closing(Seeyon(SeeyonSite.model_validate(given), lambda: None)) as made:
        yield made


def todo(**changed: Any) -> Todo:
    given: dict[str, Any] = {
        "key": "1" * 32,
        "account": "2001",
        "person": "李医生",
        "title": "年假",
        "workflow": "请假",
    }
    given |= {"node": "审批", "sender": "王护士", "sender_account": "2002", "urgency": 2, "started_at": MOMENT}
    given |= {"opened_at": MOMENT, "link": "https://a/b", "mobile_link": "https://a/m", "kind": "decide", "stamp": 7}
    return Todo(**given | changed)


def sent(listener: Listener, endpoint: str) -> dict[str, Any]:
    return dict(json.loads(listener.last(endpoint).body))


def test_an_item_is_received_by_its_person_without_a_binding(seeyon: Seeyon, listener: Listener) -> None:
    seeyon.put(todo(), State.TODO)
    assert sent(listener, RECEIVE) == {
        "registerCode": "3006",
        "taskId": "1" * 32,
        "title": "年假",
        "senderName": "王护士",
        "content": "请假 审批",
        "state": "0",
        "creationDate": "2026-03-02 09:30:00",
        "url": "https://a/b",
        "h5url": "https://a/m",
        "noneBindingReceiver": "2001",
        "noneBindingSender": "2002",
    }
    assert listener.last(RECEIVE).query == {"token": "canary-token-1"}


@pytest.mark.parametrize(
    ("state", "changed", "sub_state"),
    [
        (State.DONE, {"outcome": "approve"}, "0"),
        (State.FINISHED, {"outcome": "approve"}, "0"),
        (State.DONE, {"outcome": "reject", "positive": False}, "1"),
        (State.DELETED, {}, "2"),
        (State.DONE, {"outcome": "return", "positive": False}, "3"),
    ],
)
def test_the_outcome_is_told(
    seeyon: Seeyon, listener: Listener, state: State, changed: dict[str, Any], sub_state: str
) -> None:
    seeyon.put(todo(**changed), state)
    assert (sent(listener, UPDATE)["state"], sent(listener, UPDATE)["subState"]) == ("1", sub_state)


def test_a_version_that_refuses_a_repeat_is_changed_instead(seeyon: Seeyon, listener: Listener) -> None:
    listener.answer(RECEIVE, refused({"taskId": "1", "errorMsg": "待办【1】已存在"}))
    seeyon.put(todo(), State.TODO)
    assert (listener.count(RECEIVE), sent(listener, UPDATE)["state"]) == (1, "0")


def test_what_may_be_there_is_changed_before_it_is_sent_anew(seeyon: Seeyon, listener: Listener) -> None:
    listener.answer(UPDATE, OK, refused("待办【1】不存在"))
    seeyon.put(todo(), State.TODO, doubtful=True)
    assert listener.count(RECEIVE) == 0
    seeyon.put(todo(), State.TODO, doubtful=True)
    assert listener.count(RECEIVE) == 1


def test_a_token_is_kept_and_renewed_once(seeyon: Seeyon, listener: Listener) -> None:
    listener.answer(UPDATE, OK, Raw(b"{}", 401), OK)
    seeyon.put(todo(), State.DONE)
    seeyon.put(todo(), State.DONE)
    tokens = [heard.query["token"] for heard in listener.heard if heard.endpoint == UPDATE]
    assert tokens == ["canary-token-1", "canary-token-1", "canary-token-2"]

    listener.answer(UPDATE, Raw('{"message": "token canary-token-2 已过期"}'.encode(), 401))
    with pytest.raises(outbox.Configuration) as raised:
        seeyon.put(todo(), State.DONE)
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("answer", [{"id": "-1"}, {"id": ""}, {}, {"id": None}, []])
def test_no_token_is_a_matter_of_settings(seeyon: Seeyon, listener: Listener, answer: object) -> None:
    listener.answer(TOKEN, answer)
    with pytest.raises(outbox.Configuration, match="REST 用户"):
        seeyon.put(todo(), State.TODO)
    assert listener.count(RECEIVE) == 0


@pytest.mark.parametrize("answer", [{}, [], {"success": "true"}, Raw(b"<html></html>")])
def test_an_answer_without_success_says_nothing(seeyon: Seeyon, listener: Listener, answer: object) -> None:
    listener.answer(RECEIVE, answer)
    with pytest.raises(Unknown):
        seeyon.put(todo(), State.TODO)


@pytest.mark.parametrize("messages", [[], None, [None], [{}], "标题太长", [{"code": 1, "message": "标题太长"}]])
def test_a_refusal_in_any_shape_is_of_this_item(seeyon: Seeyon, listener: Listener, messages: object) -> None:
    listener.answer(RECEIVE, {"success": False, "errorMsgs": messages})
    listener.answer(UPDATE, refused("待办【1】不存在"))
    with pytest.raises(outbox.Permanent, match="标题太长" if "太长" in str(messages) else "没有说明原因"):
        seeyon.put(todo(), State.TODO)
