"""Landray EKP (蓝凌): its unified to-do list (统一待办) by SOAP or by the REST twin.

A to-do is found again by appName, modelName and modelId, which is our item's key; its `type` is 1 审批 (待办) or
2 通知 (待阅). sendTodo is no upsert on every version: sent twice it may show twice. So where the OA may have the item
it is asked first, and what it shows too often, in the wrong list or with another title is taken away before it is
sent again.
setTodoDone and deleteTodo answer 0 where they found nothing to do; that is as wanted where nothing is shown.
EKP can't be told to be quiet: whether a to-do is announced is a setting of its own.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urljoin

from engine import clock
from engine.connectors.oa.adapters import errors, moments
from engine.connectors.oa.adapters.landray_calls import Calls, Envelopes, LandraySite, Rest
from engine.connectors.oa.adapters.protocol import Foreign, Handled, Shown, State, Take, Todo, UnknownPerson, fold
from engine.connectors.oa.adapters.texts import same, titled
from engine.outbox import Permanent, Transient

_DONE = 2  # returnState: 0 nothing done, 1 failed
_KIND = {State.TODO: 1, State.READ: 2}
_LEVEL = {0: 3, 1: 2, 2: 2, 3: 1}  # 普通 一般, 平急 急, 加急 急, 特急 紧急
# lists of getTodo
_ALL_DONE, _ALL_OPEN, _NOTICES, _HANDLED, _READ = -1, 0, 2, 4, 5
_WHOLE = 1  # optType: the to-do itself, not one of its people; an item of ours has one
_DONE_AT = ("finishTime", "doneTime", "finishDate")  # the first that a version tells
_ROWS = 100  # of a page
_PAGES = 50
_COUNT = re.compile(r"[0-9]{1,9}")
_NOTHING = ("未找到", "没有找到", "没有相应", "无相应", "无记录", "没有记录")


class Landray:
    """EKP's unified to-do list; see `Adapter`."""

    states = frozenset({State.TODO, State.READ, State.DONE, State.DELETED})
    reads_back = True
    polls = True
    quick = True

    def __init__(self, site: LandraySite, calls: Calls) -> None:
        self._site, self._calls = site, calls

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        """Bring the OA to show an item in a state; see `Adapter`."""
        state = fold(self.states, state)
        if not state.open:
            self._close(todo, state)
            return
        if doubtful:
            there = self._there(todo, _ALL_OPEN)
            if len(there) == 1 and _state(there[0]) is state and same(titled(todo.title), _text(there[0], "subject")):
                return
            if there or self._there(todo, _ALL_DONE):
                self._close(todo, State.DELETED)
        self._send(todo, state)

    def check(self) -> str:
        """Ask for the list of somebody, whom the OA needn't know; see `Adapter`."""
        try:
            self._page(self._site.user or self._site.app_name, _ALL_OPEN, [], 1, rows=1)
        except UnknownPerson:
            pass
        return f"蓝凌统一待办接受了我们的请求（待办来源“{self._site.app_name}”）"

    def shown(self, account: str) -> list[Shown]:
        """Return our items in a person's 待办 and 待阅; see `Adapter`."""
        return [
            Shown(
                str(row["modelId"]),
                account,
                _state(row),
                _text(row, "subject"),
                "",
                moments.read(row.get("createTime")),
            )
            for row in self._rows(account, _ALL_OPEN, self._ours)
            if self._is_ours(row)
        ]

    def waiting(self, account: str) -> list[Foreign]:
        """Return the OA's own items that wait for a person; see `Adapter`."""
        return [self._foreign(row, _state(row)) for row in self._rows(account, _ALL_OPEN) if not self._is_ours(row)]

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        """Return the OA's own items that a person handled last; see `_last_done`."""
        rows = self._last_done(account, _ALL_DONE, (), since)
        return [self._foreign(row, State.DONE) for row in rows if not self._is_ours(row)]

    def handled(self, accounts: Iterable[str], since: datetime) -> list[Handled]:
        """Return our items that EKP lists as handled or read, by whatever way; it tells neither outcome nor opinion."""
        return [
            Handled(_text(row, "modelId"), account, "", "", _done_at(row) or clock.now())
            for account in accounts
            for kind in (_HANDLED, _READ)
            for row in self._last_done(account, kind, self._ours, since)
            if self._is_ours(row)
        ]

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()

    def _send(self, todo: Todo, state: State) -> None:
        site = self._site
        fields: dict[str, str | int] = {
            "appName": site.app_name,
            "modelName": site.model_name,
            "modelId": todo.key,
            "subject": titled(todo.title),
            "link": todo.link,
            "mobileLink": todo.mobile_link or todo.link,
            "padLink": todo.link,
            "type": _KIND[state],
            "targets": self._target(todo.account),
            "createTime": moments.local(todo.opened_at),
            "level": _LEVEL.get(todo.urgency, 3),
        }
        sender = {"docCreator": self._target(todo.sender_account)} if todo.sender_account else {}
        try:
            self._do("sendTodo", fields | sender, todo)
        except errors.UnknownCreator:
            if not sender:
                raise
            self._do("sendTodo", fields, todo)

    def _do(self, operation: str, fields: Mapping[str, str | int], todo: Todo) -> None:
        """Call an operation; raises what its refusal stands for."""
        hidden = (todo.title, str(fields.get("subject", "")))
        state, message = self._calls.call(operation, fields, *hidden)
        if state != _DONE:
            raise errors.refused(str(message or ""), *hidden)

    def _close(self, todo: Todo, state: State) -> None:
        """Take an item out of its person's open lists: into the one of what is done, or out of all."""
        site = self._site
        names = {"appName": site.app_name, "modelName": site.model_name, "modelId": todo.key}
        operation = "deleteTodo" if state is State.DELETED else "setTodoDone"
        try:
            self._do(operation, names | {"optType": _WHOLE}, todo)
        except Permanent as error:  # there was nothing to do, perhaps
            refusal = error
        else:
            return
        lists = (_ALL_OPEN, _ALL_DONE) if state is State.DELETED else (_ALL_OPEN,)
        try:
            there = any(self._there(todo, kind) for kind in lists)
        except UnknownPerson:  # nobody is shown it any more
            return
        if there:
            raise refusal

    def _there(self, todo: Todo, kind: int) -> list[dict[str, Any]]:
        """Return the rows of an item in its person's list."""
        rows = self._rows(todo.account, kind, [*self._ours, {"modelId": todo.key}])
        return [row for row in rows if self._is_ours(row) and row["modelId"] == todo.key]

    def _rows(self, account: str, kind: int, where: Iterable[Mapping[str, str]] = ()) -> Iterator[dict[str, Any]]:
        """Yield the rows of a person's list, page by page."""
        for number in range(1, _PAGES + 1):
            rows, pages = self._page(account, kind, list(where), number)
            yield from rows
            if number >= pages or not rows:
                return
        raise Transient(f"OA 的列表超过 {_PAGES * _ROWS} 条，读不完")

    def _last_done(
        self, account: str, kind: int, where: Iterable[Mapping[str, str]], since: datetime
    ) -> Iterator[dict[str, Any]]:
        """Yield a person's done rows since a moment, the newest first.

        Not every version tells when a row was done: then what one page holds is taken for new.
        """
        for number, row in enumerate(self._rows(account, kind, where)):
            at = _done_at(row)
            if (at is None and number >= _ROWS) or (at is not None and at < since):
                return
            yield row

    def _page(
        self, account: str, kind: int, where: list[Mapping[str, str]], number: int, rows: int = _ROWS
    ) -> tuple[list[dict[str, Any]], int]:
        """Return a page of a person's list, and how many pages there are."""
        fields: dict[str, str | int] = {
            "targets": self._target(account),
            "type": kind,
            "rowSize": rows,
            "pageNo": number,
        }
        if where:
            fields["otherCond"] = json.dumps(where, ensure_ascii=False)
        state, message = self._calls.call("getTodo", fields)
        words = message if isinstance(message, str) else ""
        if state != _DONE:
            if state == 0 and (not words or any(part in words for part in _NOTHING)):
                return [], 0
            raise errors.refused(words, unknown=Transient)
        try:
            content = json.loads(words) if words else message
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise Transient("OA 的列表读不懂")
        if str(content.get("errorPage", "")).lower() == "true":
            said = str(content.get("message") or "")
            if said and not any(part in said for part in _NOTHING):
                raise errors.refused(said, unknown=Transient)
            return [], 0
        docs, pages = content.get("docs"), str(content.get("pageCount", ""))
        if not isinstance(docs, list) or not _COUNT.fullmatch(pages):
            raise Transient("OA 的列表读不懂")
        return [row for row in docs if isinstance(row, dict)], int(pages)

    @property
    def _ours(self) -> list[Mapping[str, str]]:
        return [{"appName": self._site.app_name}]

    def _is_ours(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is an item of ours, which has the appName that only this application has."""
        return row.get("appName") == self._site.app_name and bool(row.get("modelId"))

    def _target(self, account: str) -> str:
        return json.dumps({self._site.target: account}, ensure_ascii=False)

    def _foreign(self, row: Mapping[str, Any], state: State) -> Foreign:
        def address(link: str) -> str:
            try:
                found = urljoin(self._site.address.rstrip("/") + "/", link.lstrip("/") if link[:2] != "//" else link)
            except ValueError:
                return self._site.address
            return found if found.startswith(("http://", "https://")) else self._site.address

        link, mobile = _text(row, "link"), _text(row, "mobileLink")
        return Foreign(
            request_id=_text(row, "id"),
            state=state,
            title=_text(row, "subject"),
            workflow=_text(row, "moduleName"),
            node="",
            sender=_text(row, "creatorName") or _text(row, "creator"),
            received_at=moments.read(row.get("createTime")),
            link=address(link),
            mobile_link=address(mobile) if mobile else "",
            handled_at=None if state.open else _done_at(row),
        )


def soap(site: LandraySite, take: Take) -> Landray:
    """Return the adapter that speaks SOAP."""
    return Landray(site, Envelopes(site, take))


def rest(site: LandraySite, take: Take) -> Landray:
    """Return the adapter that speaks to the REST twin."""
    return Landray(site, Rest(site, take))


def _state(row: Mapping[str, Any]) -> State:
    return State.READ if str(row.get("type")) == str(_NOTICES) else State.TODO


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value)


def _done_at(row: Mapping[str, Any]) -> datetime | None:
    """Return when a row of what is done was done; None where this version doesn't tell."""
    return next((at for name in _DONE_AT if (at := moments.read(row.get(name))) is not None), None)
