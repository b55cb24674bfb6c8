"""Seeyon A8 (致远): tokens, and the pending items of other systems (三方待办), one taskId per receiver.

An item that the other system cancels (subState 2) is in no list any more; nothing can be read back.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from sandbox.codes import fresh
from sandbox.oa import constants
from sandbox.oa.calls import Answer, Ask, Call, allowed, moment, text, told
from sandbox.oa.lists import Lists
from sandbox.oa.records import Kind, Row
from sandbox.oa.settings import SeeyonSettings

Seeyon = Lists[SeeyonSettings]
Fields = Mapping[str, Any]

_ROOT = "seeyon/rest/"
_CANCELLED = "2"
_OUTCOMES = {"": "", "0": "同意", "1": "不同意", _CANCELLED: "取消", "3": "驳回"}  # by subState
_WRONG = "-1"  # the token of a wrong password
_REQUIRED = ("taskId", "registerCode", "title", "senderName", "creationDate", "state")


class Refused(Exception):
    """An item isn't taken; the text says why."""


def read(oa: Seeyon, ask: Ask) -> Call:
    """Return the call of a request."""
    found = _PATHS.get(ask.path.removeprefix(_ROOT)) if ask.path.startswith(_ROOT) else None
    if found is None or ask.method != "POST":
        nowhere = told({"message": "404"}, 404)
        return Call("?", lambda: nowhere, lambda _: nowhere)
    name, work = found
    given = ask.fields()

    def run() -> Answer:
        if not allowed(oa.settings.addresses, ask):
            return _not_allowed(ask)
        if given is None:
            return told({"success": False, "errorMsgs": ["请求参数不是JSON"]}, 400)
        return work(oa, ask, given)

    fields = given or {}
    account = text(fields, "thirdReceiverId") or text(fields, "noneBindingReceiver")
    return Call(name, run, partial(_refusal, name, ask, fields), text(fields, "taskId"), account)


def _token(oa: Seeyon, _: Ask, given: Fields) -> Answer:
    settings = oa.settings
    known = hmac.compare_digest(text(given, "userName").encode(), settings.user.encode())
    known &= hmac.compare_digest(text(given, "password").encode(), settings.password.encode())
    if not known:
        return told({"id": _WRONG, "bindingUser": None})
    token = fresh(36)
    oa.tokens = {known: until for known, until in oa.tokens.items() if until > oa.now()}
    oa.tokens[token] = oa.now() + settings.token_seconds
    return told({"id": token, "bindingUser": None})


def _receive(oa: Seeyon, ask: Ask, given: Fields) -> Answer:
    return _each(oa, ask, [given], _put)


def _receive_all(oa: Seeyon, ask: Ask, given: Fields) -> Answer:
    items = given.get("pendingList")
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        items = [{}]
    return _each(oa, ask, items, _put)


def _update_state(oa: Seeyon, ask: Ask, given: Fields) -> Answer:
    return _each(oa, ask, [given], _change)


_PATHS: dict[str, tuple[str, Callable[[Seeyon, Ask, Fields], Answer]]] = {
    "token": ("token", _token),
    "thirdpartyPending/receive": ("receive", _receive),
    "thirdpartyPending/receive/pendings": ("pendings", _receive_all),
    "thirdpartyPending/updatePendingState": ("updatePendingState", _update_state),
}


def _each(oa: Seeyon, ask: Ask, items: Iterable[Fields], work: Callable[[Seeyon, Fields], None]) -> Answer:
    """Take what can be taken of some items; tell why the others can't."""
    token = ask.query.get("token") or ask.headers.get("token", "")
    if oa.tokens.get(token, 0.0) <= oa.now():
        return told({"code": 1010, "success": False, "message": "无效的token或token已过期"}, 401)
    oa.tokens[token] = oa.now() + oa.settings.token_seconds  # it lasts from its last use
    errors = list[str]()
    for item in items:
        try:
            work(oa, item)
        except Refused as refused:
            errors.append(str(refused))
    return _reply(errors)


def _put(oa: Seeyon, given: Fields) -> None:
    lacking = next((name for name in _REQUIRED if not text(given, name)), None)
    if lacking:
        raise Refused(f"参数{lacking}不能为空")
    _check_system(oa, given)
    login = text(given, "thirdReceiverId") or text(given, "noneBindingReceiver")
    person = oa.people.get(login)
    if person is None:
        raise Refused(f"接收人【{login}】不存在")
    at = moment(text(given, "creationDate"))
    if at is None:
        raise Refused("参数creationDate格式不正确")
    state, sub_state = _states(given)
    row = _row(oa, given)
    if row is not None and row.account != person.number:
        raise Refused(f"待办【{text(given, 'taskId')}】已存在，接收人不同")
    if row is not None and oa.settings.refuse_repeated and row.open and state == "0":
        raise Refused(f"待办【{text(given, 'taskId')}】已存在")
    if row is None:
        row = Row(oa.number(), text(given, "taskId"), person.number, "done", "", system=text(given, "registerCode"))
        oa.add(row)
    row.title, row.received_at = text(given, "title"), at
    row.link, row.mobile_link = text(given, "url"), text(given, "h5url")
    row.sender = text(given, "senderName")
    _show(oa, row, state, sub_state)


def _change(oa: Seeyon, given: Fields) -> None:
    lacking = next((name for name in ("registerCode", "taskId", "state") if not text(given, name)), None)
    if lacking:
        raise Refused(f"参数{lacking}不能为空")
    _check_system(oa, given)
    state, sub_state = _states(given)
    row = _row(oa, given)
    if row is None:
        raise Refused(f"待办【{text(given, 'taskId')}】不存在")
    _show(oa, row, state, sub_state)


def _show(oa: Seeyon, row: Row, state: str, sub_state: str) -> None:
    row.outcome = _OUTCOMES[sub_state]
    if state == "1" and sub_state == _CANCELLED:
        oa.remove(row)
    elif state == "1":
        oa.close(row, "done")
    else:
        oa.reopen(row, "todo", tell=not row.open)


def _states(given: Fields) -> tuple[str, str]:
    state, sub_state = text(given, "state"), text(given, "subState")
    if state not in ("0", "1"):
        raise Refused("参数state不合法")
    if sub_state not in _OUTCOMES:
        raise Refused("参数subState不合法")
    return state, sub_state


def _check_system(oa: Seeyon, given: Fields) -> None:
    if text(given, "registerCode") not in oa.settings.register_codes:
        raise Refused(_unregistered(given))


def _row(oa: Seeyon, given: Fields) -> Row | None:
    code = text(given, "registerCode")
    return next((row for row in oa.having(text(given, "taskId")) if row.system == code and not row.own), None)


def _unregistered(given: Fields) -> str:
    return f"系统注册编码【{text(given, 'registerCode')}】未注册"


def _reply(errors: list[str]) -> Answer:
    return told({"success": not errors, "errorMsgs": errors})


def _not_allowed(ask: Ask) -> Answer:
    return told({"success": False, "message": f"当前IP（{ask.address}）未授权"}, 403)


def _refusal(name: str, ask: Ask, given: Fields, kind: Kind) -> Answer:
    if kind == "not_allowed":
        return _not_allowed(ask)
    if kind == "not_registered":
        return told({"id": _WRONG, "bindingUser": None}) if name == "token" else _reply([_unregistered(given)])
    if kind == "unknown_person":
        return _reply(["接收人不存在"])
    return told({"success": False, "message": "系统内部错误"}, 500)


def site(url: str) -> dict[str, Any]:
    """Return what a site is told."""
    return {
        "name": "致远 OA",
        "address": f"{url}/seeyon",
        "user": constants.SEEYON_USER,
        "password": constants.SEEYON_PASSWORD,
        "register_code": constants.SEEYON_REGISTER_CODE,
    }
