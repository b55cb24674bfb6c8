"""Weaver e-cology by SOAP: what its to-do centre needs beyond the contract of all kinds."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from engine.connectors.oa.adapters.protocol import State, Unknown, UnknownPerson
from engine.outbox import Permanent
from tests.engine.connectors.conftest import Listener, Raw
from tests.engine.connectors.items import TITLE, WEAVER, envelope, item, listening

RECEIVE, DELETE = "receiveRequestInfoByJson", "deleteUserRequestInfoByJson"


def answers(operation: str, out: str) -> Raw:
    """Return what Weaver answers to an operation."""
    tag = f"n:{operation}Response"
    return envelope(f'<{tag} xmlns:n="webservices.ofs.weaver.com.cn"><n:out>{out}</n:out></{tag}>')


def result(operation: str, message: str = "", *, success: bool = False) -> Raw:
    """Return a result in its JSON."""
    told = {"syscode": "piyue", "dataType": "WfData", "operType": "Check", "operResult": "01"[success]}
    return answers(operation, json.dumps(told | {"message": message}, ensure_ascii=False))


def sent(listener: Listener, index: int = -1) -> dict[str, Any]:
    """Return the fields of a request."""
    [text] = re.findall(r"<\w+:in0>(.*?)</", listener.heard[index].body.decode(), re.DOTALL)
    fields: dict[str, Any] = json.loads(unescape(text))
    return fields


def test_an_item_is_sent_with_all_that_the_centre_wants_as_texts(listener: Listener, tmp_path: Path) -> None:
    weaver = listening(listener, "weaver.soap", tmp_path)
    listener.answer(WEAVER, result(RECEIVE, success=True))
    weaver.put(item(stamp=1_772_415_000_001), State.TODO)
    assert sent(listener) == {
        "syscode": "piyue",
        "flowid": item().key,
        "requestname": TITLE,
        "workflowname": "请假",
        "nodename": "科室审批",
        "pcurl": "https://piyue.example/oa/ekp/1",
        "appurl": "https://piyue.example/oa/ekp/1?m=1",
        "isremark": "0",
        "viewtype": "0",
        "creator": "2002",
        "createdatetime": "2026-03-02 07:00:00",
        "receiver": "2001",
        "receivedatetime": "2026-03-02 09:30:00",
        "receivets": "1772415000001",
    }
    weaver.close()


@pytest.mark.parametrize(
    ("state", "quiet", "older", "remark", "viewtype"),
    [
        (State.TODO, False, False, "0", "0"),
        (State.TODO, True, False, "0", "1"),  # a repair: nobody is told again
        (State.READ, False, False, "8", "0"),
        (State.READ, False, True, "0", "0"),  # an older server has no list for it
        (State.DONE, False, False, "2", "1"),
        (State.FINISHED, False, True, "4", "1"),
    ],
)
def test_each_state_has_its_list(
    listener: Listener, tmp_path: Path, state: State, quiet: bool, older: bool, remark: str, viewtype: str
) -> None:
    weaver = listening(listener, "weaver.soap", tmp_path, older_server=older)
    listener.answer(WEAVER, result(RECEIVE, success=True))
    weaver.put(item(quiet=quiet), state)
    assert (sent(listener)["isremark"], sent(listener)["viewtype"]) == (remark, viewtype)
    weaver.close()


def test_a_sender_whom_the_oa_does_not_know_holds_nothing_up(listener: Listener, tmp_path: Path) -> None:
    weaver = listening(listener, "weaver.soap", tmp_path)
    unknown = result(RECEIVE, f"流程数据【{TITLE}】检测创建人不存在")
    listener.answer(WEAVER, unknown, result(RECEIVE, success=True))
    weaver.put(item(), State.TODO)
    assert [sent(listener, index)["creator"] for index in (0, 1)] == ["2002", "2001"]

    listener.answer(WEAVER, unknown)
    with pytest.raises(Permanent) as raised:
        weaver.put(item(sender_account=""), State.TODO)
    assert not isinstance(raised.value, UnknownPerson)
    assert TITLE not in str(raised.value)
    weaver.close()


def test_deleting_what_is_not_there_is_as_wanted(listener: Listener, tmp_path: Path) -> None:
    weaver = listening(listener, "weaver.soap", tmp_path)
    listener.answer(WEAVER, result(DELETE, f"流程数据【{item().key}】不存在"))
    weaver.put(item(), State.DELETED)
    assert sent(listener) == {"syscode": "piyue", "flowid": item().key, "userid": "2001"}
    weaver.close()


@pytest.mark.parametrize("out", ["", "not JSON", "[]", "{}", '{"operResult":"2"}'])
def test_a_result_that_says_nothing_leaves_it_unknown(listener: Listener, tmp_path: Path, out: str) -> None:
    weaver = listening(listener, "weaver.soap", tmp_path)
    listener.answer(WEAVER, answers(RECEIVE, out))
    with pytest.raises(Unknown):
        weaver.put(item(), State.TODO)
    weaver.close()
