"""A plain OA of no known make: an HTTP interface as any programmer would write one, with quick approval (快速审批).

PUT /api/todos/{key} brings one person's item into a state; the lists are read page by page. `stamp` orders writes.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from sandbox.oa import constants
from sandbox.oa.calls import Answer, Ask, Call, allowed, text, told
from sandbox.oa.lists import Lists
from sandbox.oa.records import OPEN, ZONE, Kind, Row, State
from sandbox.oa.settings import PlainSettings

Plain = Lists[PlainSettings]
Fields = Mapping[str, Any]

_STATES: dict[str, State] = {"todo": "todo", "read": "read", "done": "done", "finished": "finished"}
_DELETED = "deleted"
_SIZE = 100  # of a page, at most and where the caller doesn't say


def read(oa: Plain, ask: Ask) -> Call:
    """Return the call of a request."""
    path = ask.path.removeprefix("api/")
    work: Callable[[Plain, Ask], Answer] | None = None
    name, key = f"{ask.method} {path}", ""
    if ask.method == "PUT" and path.startswith("todos/"):
        key, name, work = path.removeprefix("todos/"), "put", _put
    elif ask.method == "GET":
        name, work = path, {"ping": _ping, "todos": _todos, "own": _own, "handled": _handled}.get(path)
    if work is None or not ask.path.startswith("api/"):
        return Call(
            "?", lambda: _failed(404, "no_such_path", "没有这个地址"), lambda _: _failed(404, "", "没有这个地址")
        )
    found = work

    def run() -> Answer:
        return _closed_to(oa, ask) or found(oa, ask)

    account = text(ask.fields() or {}, "user") if name == "put" else ask.query.get("user", "")
    return Call(name, run, partial(_refusal, ask), key, account)


def _closed_to(oa: Plain, ask: Ask) -> Answer | None:
    if not allowed(oa.settings.addresses, ask):
        return _refusal(ask, "not_allowed")
    scheme, _, token = ask.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), oa.settings.token.encode()):
        return _failed(401, "bad_token", "令牌不正确")
    return None if oa.settings.registered else _refusal(ask, "not_registered")


def _ping(oa: Plain, _: Ask) -> Answer:
    return told({"ok": True, "people": len(oa.people)})


def _put(oa: Plain, ask: Ask) -> Answer:
    key, given = ask.path.removeprefix("api/todos/"), ask.fields()
    if given is None:
        return _failed(400, "not_json", "请求不是 JSON")
    person, state = oa.people.get(text(given, "user")), text(given, "state")
    if person is None:
        return _failed(422, "unknown_user", f"没有用户 {text(given, 'user')[:40]}")
    if state != _DELETED and state not in _STATES:
        return _failed(422, "bad_state", f"没有状态 {state[:40]}")
    if state != _DELETED and not text(given, "title"):
        return _failed(422, "no_title", "标题不能为空")
    stamp = given.get("stamp")
    stamp = stamp if isinstance(stamp, int) else 0
    row = next((r for r in oa.having(key) if r.account == person.number and not r.own), None)
    if stamp and stamp < max(row.stamp if row else 0, oa.gone.get((key, person.number), 0)):
        return told({"ok": True, "changed": False})
    if state == _DELETED:
        oa.gone[key, person.number] = stamp
        if row is not None:
            oa.remove(row)
        return told({"ok": True, "changed": row is not None})
    if row is None:
        row = Row(oa.number(), key, person.number, "done", "", system=constants.SYSTEM)
        oa.add(row)
    _write(row, given, stamp)
    shown = _STATES[state]
    if shown in OPEN:
        oa.reopen(row, shown, tell=not row.open and not given.get("quiet"))
    else:
        oa.close(row, shown)
    return told({"ok": True, "changed": True})


def _write(row: Row, given: Fields, stamp: int) -> None:
    row.title, row.workflow, row.node = text(given, "title"), text(given, "workflow"), text(given, "node")
    row.link, row.mobile_link = text(given, "link"), text(given, "mobile_link")
    row.sender, row.stamp = text(given, "sender"), stamp or row.stamp
    urgency = given.get("urgency")
    row.urgency = urgency if isinstance(urgency, int) and 0 <= urgency <= 3 else 0
    row.received_at = _moment(text(given, "received_at")) or row.received_at


def _todos(oa: Plain, ask: Ask) -> Answer:
    """Answer the items of other systems that wait for a person."""
    rows = [row for row in oa.waiting(ask.query.get("user", "")) if row.open and not row.own]
    return _page(ask, [_told(row, ask) for row in _sorted(rows)])


def _own(oa: Plain, ask: Ask) -> Answer:
    """Answer a person's items of the OA's own processes: those that wait, or those handled `since` a moment."""
    since = _moment(ask.query.get("since", ""))
    if ask.query.get("since") and since is None:
        return _failed(422, "bad_since", "since 要写成 ISO 8601")
    rows = [row for row in oa.waiting(ask.query.get("user", "")) if row.own]
    if since is None:
        rows = [row for row in rows if row.open]
    else:
        rows = [row for row in rows if row.handled_at is not None and row.handled_at >= since]
    return _page(ask, [_told(row, ask) for row in _sorted(rows)])


def _handled(oa: Plain, ask: Ask) -> Answer:
    """Answer the items of other systems that were handled in the OA itself since a moment."""
    since = _moment(ask.query.get("since", ""))
    if since is None:
        return _failed(422, "bad_since", "since 要写成 ISO 8601")
    user = ask.query.get("user", "")
    rows = [row for row in oa.all() if row.in_oa and not row.own and user in ("", row.account)]
    found = [(row.handled_at, row) for row in rows if row.handled_at is not None and row.handled_at >= since]
    found.sort(key=lambda one: (one[0], one[1].id))
    items = [
        {
            "key": row.key,
            "user": row.account,
            "outcome": row.outcome,
            "opinion": row.opinion,
            "at": at.isoformat(),
        }
        for at, row in found
    ]
    return _page(ask, items)


def _sorted(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row.received_at, row.id), reverse=True)


def _told(row: Row, ask: Ask) -> dict[str, Any]:
    def linked(link: str) -> str:
        return f"{ask.root.rpartition('/')[0]}{link}" if link.startswith("/") else link

    return {
        "id": row.id,
        "key": row.key,
        "state": row.state,
        "title": row.title,
        "workflow": row.workflow,
        "node": row.node,
        "sender": row.sender,
        "received_at": row.received_at.isoformat(),
        "handled_at": row.handled_at.isoformat() if row.handled_at else None,
        "link": linked(row.link),
        "mobile_link": linked(row.mobile_link),
    }


def _page(ask: Ask, items: list[dict[str, Any]]) -> Answer:
    page, size = _whole(ask, "page", 1), min(_whole(ask, "size", _SIZE), _SIZE)
    return told({"ok": True, "items": items[(page - 1) * size : page * size], "more": len(items) > page * size})


def _whole(ask: Ask, name: str, otherwise: int) -> int:
    value = ask.query.get(name, "")
    return max(int(value), 1) if value.isascii() and value.isdigit() and len(value) < 10 else otherwise


def _moment(value: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=ZONE)


def _refusal(ask: Ask, kind: Kind) -> Answer:
    if kind == "not_registered":
        return _failed(403, "not_registered", f"系统“{constants.SYSTEM}”未注册")
    if kind == "not_allowed":
        return _failed(403, "not_allowed", f"当前 IP（{ask.address}）未授权")
    if kind == "unknown_person":
        return _failed(422, "unknown_user", "没有用户")
    return _failed(500, "broken", "系统内部错误")


def _failed(status: int, code: str, message: str) -> Answer:
    return told({"ok": False, "code": code, "message": message}, status)


_BODY = """{
  "user": {{ todo.account|tojson }}, "state": {{ state|tojson }}, "title": {{ todo.title|tojson }},
  "workflow": {{ todo.workflow|tojson }}, "node": {{ todo.node|tojson }}, "sender": {{ todo.sender|tojson }},
  "urgency": {{ todo.urgency|tojson }}, "link": {{ todo.link|tojson }}, "mobile_link": {{ todo.mobile_link|tojson }},
  "received_at": {{ todo.opened_at|moment("%Y-%m-%dT%H:%M:%S%z")|tojson }},
  "stamp": {{ todo.stamp|tojson }}, "quiet": {{ todo.quiet|tojson }}
}"""
_SINCE = '{{ since|moment("%Y-%m-%dT%H:%M:%S%z")|urlencode }}'
_ROW = {
    "request_id": "row.id",
    "state": "row.state",
    "title": "row.title",
    "workflow": "row.workflow",
    "node": "row.node",
    "sender": "row.sender",
    "received_at": "row.received_at",
    "link": "row.link",
    "mobile_link": "row.mobile_link",
}
_LIST = {"method": "GET", "rows": "answer.items", "more": "answer.more"}


def site(url: str) -> dict[str, Any]:
    """Return what a template site is told: the whole interface."""
    account = "{{ account|urlencode }}"
    return {
        "name": "旧 OA",
        "address": f"{url}/plain",
        "password": constants.PLAIN_TOKEN,
        "template": {
            "headers": {"Authorization": "Bearer {{ password }}"},
            "success": "answer.ok",
            "message": "answer.message",
            "errors": {
                "configuration": ["未注册", "未授权", "令牌不正确"],
                "unknown_person": ["没有用户"],
                "transient": ["系统内部错误"],
            },
            "check": {"method": "GET", "url": "/api/ping"},
            "put": [
                {
                    "states": [*_STATES, _DELETED],
                    "method": "PUT",
                    "url": "/api/todos/{{ todo.key|urlencode }}",
                    "body": _BODY,
                }
            ],
            "shown": {
                **_LIST,
                "url": f"/api/todos?user={account}&page={{{{ page }}}}",
                "key": "row.key",
                "state": "row.state",
                "title": "row.title",
                "node": "row.node",
                "received_at": "row.received_at",
            },
            "waiting": {**_LIST, **_ROW, "url": f"/api/own?user={account}&page={{{{ page }}}}"},
            "done_since": {
                **_LIST,
                **_ROW,
                "url": f"/api/own?user={account}&page={{{{ page }}}}&since={_SINCE}",
                "handled_at": "row.handled_at",
            },
            "handled": {
                **_LIST,
                "url": f"/api/handled?page={{{{ page }}}}&since={_SINCE}",
                "key": "row.key",
                "account": "row.user",
                "outcome": "row.outcome",
                "opinion": "row.opinion",
                "at": "row.at",
            },
        },
    }
