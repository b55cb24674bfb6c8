"""Weaver E9's interfaces for other programs: registration and tokens by RSA, and the lists of paService.

A program registers with its own public key and gets the server's (spk) and a secret; it sends the secret encrypted for
a token, and with each call the token and the encrypted user. Rows of other systems carry no flowid.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sandbox.codes import fresh
from sandbox.oa.calls import Answer, Ask, Call, allowed, text, told
from sandbox.oa.records import ZONE, Kind, Row, State
from sandbox.oa.weaver import Weaver

_LONGEST = 86_400  # seconds of a token
_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True, slots=True)
class _List:
    states: tuple[State, ...]
    others: bool  # whether it can have rows of other systems, where isNeedOs


_LISTS = {
    "ToDoWorkflowRequest": _List(("todo",), True),
    "ToBeReadWorkflowRequest": _List(("read",), True),
    "CCWorkflowRequest": _List(("read",), True),
    "HandledWorkflowRequest": _List(("done",), False),
    "HandledWorkflowRequest4Ofs": _List(("done",), True),
    "ProcessedWorkflowRequest": _List(("finished",), True),
}
_REMARKS = {"todo": "0", "read": "8", "done": "2", "finished": "4"}


def read(oa: Weaver, ask: Ask) -> Call:
    """Return the call of a request."""
    name = ask.path.rpartition("/")[2]
    run: Callable[[Weaver, Ask], Answer] | None
    if ask.path.startswith("api/ec/dev/auth/"):
        run = {"regist": _register, "applytoken": _apply}.get(name)
    else:
        run = _counted if name.startswith("get") and "Count" in name else _listed
        if _meant(name) is None:
            run = None
    if run is None or ask.method != "POST":
        nowhere = told({"error": "404"}, 404)
        return Call("?", lambda: nowhere, lambda _: nowhere)
    found = run

    def answer() -> Answer:
        if not allowed(oa.settings.addresses, ask):
            return _refusal("not_allowed")
        return found(oa, ask)

    return Call(name, answer, _refusal)


def _register(oa: Weaver, ask: Ask) -> Answer:
    appid = ask.headers.get("appid", "")
    if appid not in oa.settings.appids:
        return _refusal("not_registered")
    if not ask.headers.get("cpk"):
        return _failed("注册失败,参数cpk为空")
    secret = oa.registered.setdefault(appid, fresh(36))
    return told({**_ok("ok"), "errcode": "0", "secrit": secret, "secret": secret, "spk": public_key()})


def _apply(oa: Weaver, ask: Ask) -> Answer:
    appid = ask.headers.get("appid", "")
    known = oa.registered.get(appid)
    if known is None:
        return _refusal("not_registered")
    secret = _decrypted(ask.headers.get("secret", ""))
    if secret is None:
        return _failed("secret解密失败,请检查加密内容.")
    if not hmac.compare_digest(secret.encode(), known.encode()):
        return _failed("secret不正确")
    asked = ask.headers.get("time", "")
    lasts = min(int(asked), _LONGEST) if asked.isascii() and asked.isdigit() else oa.settings.token_seconds
    token = fresh(36)
    oa.tokens = {known: until for known, until in oa.tokens.items() if until > oa.now()}
    oa.tokens[token] = oa.now() + lasts
    return told({**_ok("获取成功!"), "token": token})


def _listed(oa: Weaver, ask: Ask) -> Answer:
    rows = _rows(oa, ask)
    if isinstance(rows, Answer):
        return rows
    given = ask.fields() or {}
    page, size = _whole(given, "pageNo", 1), min(_whole(given, "pageSize", 10), 1000)
    return told([_row(oa, row) for row in rows[(page - 1) * size : page * size]])


def _counted(oa: Weaver, ask: Ask) -> Answer:
    rows = _rows(oa, ask)
    return rows if isinstance(rows, Answer) else told(len(rows))


def _rows(oa: Weaver, ask: Ask) -> list[Row] | Answer:
    """Return a person's rows of the list that is asked for, the newest first; an answer where the caller is refused."""
    if ask.headers.get("appid", "") not in oa.registered:
        return _refusal("not_registered")
    token = ask.headers.get("token", "")
    if oa.tokens.get(token, 0.0) <= oa.now():
        return _failed(f"token不存在或者超时：{token[:40]}")
    login = _decrypted(ask.headers.get("userid", ""))
    person = None if login is None else oa.people.get(login)
    if person is None:
        return _refusal("unknown_person")
    kind = _meant(ask.path.rpartition("/")[2])
    assert kind is not None
    given = ask.fields() or {}
    others = kind.others and text(given, "isNeedOs").lower() in ("true", "1")
    named = _condition(given)
    rows = [
        row
        for row in oa.waiting(person.number)
        if row.state in kind.states and (row.own or others) and named in row.title
    ]
    return sorted(rows, key=lambda row: (row.handled_at or row.received_at, row.id), reverse=True)


def _meant(name: str) -> _List | None:
    """Return the list that an operation such as getToDoWorkflowRequestList or …Count is about."""
    for ending in ("List", "Count"):
        for kind, found in _LISTS.items():
            body, _, suffix = kind.partition("4")
            if name == f"get{body}{ending}" + (f"4{suffix}" if suffix else ""):
                return found
    return None


def _condition(given: Mapping[str, Any]) -> str:
    conditions = given.get("conditions") or {}
    if isinstance(conditions, str):
        try:
            conditions = json.loads(conditions)
        except (ValueError, RecursionError):
            return ""
    return text(conditions, "requestName") if isinstance(conditions, dict) else ""


def _row(oa: Weaver, row: Row) -> dict[str, Any]:
    received = row.received_at.astimezone(ZONE).strftime(_TIME)
    operated = row.handled_at.astimezone(ZONE).strftime(_TIME) if row.handled_at else ""
    return {
        "requestId": row.id if row.own else f"-{row.id}",
        "requestName": row.title,
        "requestLevel": str(row.urgency),
        "requestmark": "",
        "workflowBaseInfo": {"workflowId": "", "workflowName": row.workflow, "workflowTypeName": row.workflow},
        "currentNodeId": "",
        "currentNodeName": row.node,
        "status": row.node,
        "creatorId": row.sender_account,
        "creatorName": row.sender,
        "createTime": received,
        "receiveTime": received,
        "operateTime": operated,
        "lastOperatorId": row.sender_account,
        "lastOperatorName": row.sender,
        "lastOperateTime": operated or received,
        "isremark": _REMARKS[row.state],
        "viewtype": "0" if row.unread else "-2",
        "sysName": "" if row.own else oa.settings.systems.get(row.system, ""),
    }


def _whole(given: Mapping[str, Any], name: str, otherwise: int) -> int:
    value = text(given, name)
    return max(int(value), 1) if value.isascii() and value.isdigit() and len(value) < 10 else otherwise


def _refusal(kind: Kind) -> Answer:
    if kind == "not_registered":
        return _failed("appid未注册,请联系管理员发放许可证")
    if kind == "not_allowed":
        return told({"msg": "登录信息超时", "errorCode": "002", "status": False})
    if kind == "unknown_person":
        return _failed("该账号存在异常,单点登录失败")
    return told({"msg": "系统异常", "code": -1, "status": False}, 500)


def _ok(message: str) -> dict[str, Any]:
    return {"msg": message, "code": 0, "msgShowType": "none", "status": True}


def _failed(message: str) -> Answer:
    return told({"msg": message, "code": -1, "msgShowType": "none", "status": False})


def _decrypted(encoded: str) -> str | None:
    try:
        return _key().decrypt(base64.b64decode(encoded, validate=True), padding.PKCS1v15()).decode()
    except (binascii.Error, ValueError):
        return None


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def public_key() -> str:
    """Return the server's public key (spk), DER in base64."""
    return base64.b64encode(_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
