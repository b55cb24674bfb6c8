"""Weaver E9's lists of a person: licence and tokens by RSA, renewed when the OA wants that; what rows are not ours."""

import base64
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine import outbox
from engine.connectors.oa.adapters.paservice import PaService, Pull
from engine.connectors.oa.adapters.protocol import State, Unknown, UnknownPerson
from engine.connectors.oa.adapters.site import Site
from tests.engine.connectors.conftest import Listener, Raw

REGISTER, APPLY = "/api/ec/dev/auth/regist", "/api/ec/dev/auth/applytoken"
TODO, READ, HANDLED, OVER = (
    f"/api/workflow/paService/get{name}WorkflowRequestList" for name in ("ToDo", "ToBeRead", "Handled", "Processed")
)
KEY = rsa.generate_private_key(65537, 2048)
SPK = base64.b64encode(KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
SECRET = "canary-secret-of-the-oa"
ROW = {
    "requestId": "17",
    "requestName": "放射防护检查通知",
    "workflowBaseInfo": {"workflowName": "收文"},
    "currentNodeName": "传阅",
    "creatorName": "院办",
    "lastOperatorName": "赵主任",
    "receiveTime": "2026-03-02 09:30:00",
    "operateTime": "2026-03-02 10:00:00",
    "sysName": "",
}


@pytest.fixture
def lists(listener: Listener) -> Iterator[PaService]:
    listener.answer(REGISTER, {"status": True, "secrit": SECRET, "spk": SPK})
    listener.answer(APPLY, {"status": True, "token": "canary-token-1"}, {"status": True, "token": "canary-token-2"})
    for endpoint in (TODO, READ, HANDLED, OVER):
        listener.answer(endpoint, [])
    given = {"code": "e9", "folder": Path(), "kind": "weaver.rest", "name": "泛微 OA", "address": listener.url}
    pull = Pull(appid="PIYUE-1", system="批阅")
    with closing(PaService(Site.model_validate(given), pull, lambda: None)) as made:
        yield made


def decrypted(text: str) -> str:
    return KEY.decrypt(base64.b64decode(text), PKCS1v15()).decode()


def test_only_the_oa_can_read_who_asks_for_whom(lists: PaService, listener: Listener) -> None:
    lists.waiting("2001")
    assert decrypted(listener.last(APPLY).headers["secret"]) == SECRET
    asked = listener.last(TODO).headers
    assert (asked["appid"], asked["token"], decrypted(asked["userid"])) == ("PIYUE-1", "canary-token-1", "2001")
    assert "2001" not in str(asked)


def test_licence_and_token_are_asked_for_once(lists: PaService, listener: Listener) -> None:
    for account in ("2001", "2002", "2003"):
        lists.waiting(account)
    assert (listener.count(REGISTER), listener.count(APPLY)) == (1, 1)


def test_an_item_of_the_oa_s_own_is_told_with_its_page(lists: PaService, listener: Listener) -> None:
    listener.answer(TODO, [ROW, ROW | {"requestId": "-4", "sysName": "批阅"}])
    [found] = lists.waiting("2001")
    assert (found.request_id, found.state, found.title) == ("17", State.TODO, "放射防护检查通知")
    assert (found.workflow, found.node, found.sender) == ("收文", "传阅", "赵主任")
    assert found.received_at == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert found.handled_at is None, "it waits"
    assert found.link == f"{listener.url}/spa/workflow/static4form/index.html#/main/workflow/req?requestid=17"


def test_ours_are_known_by_the_system_s_name_alone(lists: PaService, listener: Listener) -> None:
    listener.answer(TODO, [ROW, ROW | {"sysName": "批阅"}, ROW | {"sysName": "别的系统"}])
    listener.answer(READ, [ROW | {"sysName": "批阅", "requestName": "传阅件"}])
    assert [(row.key, row.title, row.state) for row in lists.shown("2001")] == [
        ("", "放射防护检查通知", State.TODO),
        ("", "传阅件", State.READ),
    ]
    assert b"isNeedOs=1" in listener.last(TODO).body


def test_what_was_handled_is_read_as_far_back_as_asked(lists: PaService, listener: Listener) -> None:
    times = ["2026-03-02 10:00:00", "2026-03-02 09:00:00", "2026-03-01 09:00:00"]
    listener.answer(HANDLED, [ROW | {"requestId": str(n), "operateTime": at} for n, at in enumerate(times)])
    listener.answer(OVER, [ROW | {"requestId": "9"}])
    found = lists.done_since("2001", datetime(2026, 3, 2, 0, 0, tzinfo=UTC))
    assert [(one.request_id, one.state) for one in found] == [
        ("0", State.DONE),
        ("1", State.DONE),
        ("9", State.FINISHED),
    ]
    assert [one.handled_at for one in found] == [datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (2, 1, 2)]
    assert {one.received_at for one in found} == {datetime(2026, 3, 2, 1, 30, tzinfo=UTC)}


def test_when_somebody_else_was_last_at_it_is_no_moment_of_theirs(lists: PaService, listener: Listener) -> None:
    told = {name: value for name, value in ROW.items() if name != "operateTime"}
    listener.answer(HANDLED, [told | {"lastOperateTime": "2026-03-02 11:00:00"}])
    [found] = lists.done_since("2001", datetime(2026, 3, 2, 0, 0, tzinfo=UTC))
    assert found.handled_at is None


@pytest.mark.parametrize(
    "refusal", [{"msg": "token不存在或者超时", "status": False}, {"msg": "登录信息超时", "errorCode": "002"}]
)
def test_a_spent_token_is_renewed_once(lists: PaService, listener: Listener, refusal: dict[str, Any]) -> None:
    listener.answer(TODO, refusal, [ROW])
    assert len(lists.waiting("2001")) == 1
    assert listener.last(TODO).headers["token"] == "canary-token-2"

    listener.answer(TODO, refusal | {"msg": f"{refusal['msg']}：canary-token-2"})
    with pytest.raises(outbox.Configuration) as raised:
        lists.waiting("2001")
    assert "canary" not in str(raised.value)


def test_an_oa_that_has_given_another_secret_since_is_asked_anew(lists: PaService, listener: Listener) -> None:
    listener.answer(APPLY, {"msg": "secret不正确", "status": False}, {"status": True, "token": "canary-token-2"})
    assert lists.waiting("2001") == []
    assert (listener.count(REGISTER), listener.count(APPLY)) == (2, 2)


@pytest.mark.parametrize(
    ("endpoint", "answer", "kind"),
    [
        (REGISTER, {"msg": "appid未注册,请联系管理员发放许可证", "status": False}, outbox.Configuration),
        (REGISTER, {"status": True, "secrit": "s", "spk": "no key"}, outbox.Configuration),
        (REGISTER, {}, Unknown),
        (APPLY, {"msg": f"secret {SECRET} 不正确", "status": False}, outbox.Configuration),
        (TODO, {"msg": "该账号存在异常,单点登录失败", "status": False}, UnknownPerson),
        (TODO, {"msg": "什么也不行", "status": False}, outbox.Configuration),
        (TODO, {}, Unknown),
        (TODO, "text", Unknown),
        (TODO, [ROW | {"receiveTime": "gestern"}], Unknown),
        (TODO, Raw(b"<html>login</html>"), Unknown),
        (TODO, Raw(b"", 502), Unknown),
    ],
)
def test_a_refusal_is_sorted(
    lists: PaService, listener: Listener, endpoint: str, answer: object, kind: type[Exception]
) -> None:
    listener.answer(endpoint, answer)
    with pytest.raises(kind) as raised:
        lists.waiting("2001")
    assert SECRET not in str(raised.value)
    assert "canary-token" not in str(raised.value)
