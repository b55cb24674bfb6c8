"""The interface of a `template` site, ready for use: its templates and formulas compiled, and tried before any item.

What a template may use: `user`, `password`, `secret`, `now`; `token` after a login; `todo` (`protocol.Todo`) and
`state` to put; `account`, `page` and `since` to list.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from engine import clock, feel
from engine.connectors.oa.adapters.protocol import State, Todo
from engine.connectors.oa.adapters.rendering import Mistake, Text
from engine.feel import FeelError

if TYPE_CHECKING:
    from engine.connectors.oa.adapters.template_site import Listing, Operation, TemplateSite

_ALWAYS = frozenset({"user", "password", "secret", "now"})
_LISTED = frozenset({"account", "page", "since"})
_ANSWERED = frozenset({"answer", "status", "text"})
_NEEDED = (State.TODO, State.DONE, State.DELETED)
_AWKWARD = "张三\"'关于 <年假> & 100% 的#申请?\\😀"
_PATH = re.compile(r"/[!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]*")
_NAME, _HEADER = re.compile(r"[A-Za-z0-9-]+"), re.compile(r"[\x20-\x7e]*")


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent."""

    method: str
    path: str
    headers: dict[str, str]
    content: bytes | None


class Formula:
    """A compiled FEEL expression over an answer: immutable, shared between threads."""

    __slots__ = ("_expression",)

    def __init__(self, text: str, known: frozenset[str]) -> None:
        try:
            self._expression = feel.compile(text, names=known)
        except FeelError as error:
            raise Mistake(f"公式写得不对：{error.message}") from None
        if unknown := sorted(self._expression.names - known):
            raise Mistake(f"公式不认识“{unknown[0]}”，这里可用：" + "、".join(sorted(known)))

    def value(self, context: Mapping[str, object]) -> Any:
        """Return its value, None where the answer can't be read so."""
        try:
            return self._expression.evaluate(context)
        except FeelError:
            return None


class Call:
    """An operation of the file, compiled and tried. Raises Mistake."""

    def __init__(self, operation: "Operation", site: "TemplateSite", known: frozenset[str] = frozenset()) -> None:
        interface = site.template
        is_login = operation is interface.login
        known |= _ALWAYS if is_login or interface.login is None else _ALWAYS | {"token"}
        if not operation.url.startswith("/"):
            raise Mistake("url 要以 / 开头：它接在 address 后面，不能指向别的主机")
        with _at("url"):
            self._url = Text(operation.url, known)
        with _at("body"):
            self._body = Text(operation.body, known)
        self._headers = dict[str, Text]()
        for name, source in (({} if is_login else interface.headers) | operation.headers).items():
            with _at(f"headers.{name}"):
                if not _NAME.fullmatch(name):
                    raise Mistake("不能作请求头的名字，请改正")
                self._headers[name] = Text(source, known)
        with _at("success"):
            self.success = Formula(operation.success or interface.success, _ANSWERED)
        self.names = frozenset[str]().union(*(text.names for text in (self._url, self._body, *self._headers.values())))
        self._method, self._type = operation.method, operation.content_type
        self._try()

    def request(self, values: Mapping[str, Any]) -> Request:
        """Return what is sent with these values. Raises Mistake where they don't fit."""
        with _at("url"):
            path = self._url.render(values)
            if not _PATH.fullmatch(path) or ".." in path.partition("?")[0].split("/"):
                raise Mistake("算出来的地址里有不允许的字符：值要写成 {{ 值|urlencode }}，中文要先编码")
        with _at("body"):
            body = self._body.render(values)
        headers = dict[str, str]()
        for name, text in self._headers.items():
            with _at(f"headers.{name}"):
                headers[name] = text.render(values)
                if not _HEADER.fullmatch(headers[name]):
                    raise Mistake("算出来的请求头里有不允许的字符：值要加 |urlencode 或 |base64")
        if body:
            headers.setdefault("Content-Type", self._type)
        return Request(self._method, path, headers, body.encode("utf-8", "replace") if body else None)

    def _try(self) -> None:
        """Send nothing, but see what an awkward item would make of it."""
        for values in _samples():
            request = self.request(values)
            if request.content and "json" in self._type:
                try:
                    json.loads(request.content)
                except ValueError:
                    raise Mistake(
                        "body：算出来的不是 JSON：值要写成 {{ 值|tojson }}，外面不再加引号；逗号和括号要成对"
                    ) from None


@dataclass(frozen=True, slots=True)
class Login:
    """The login of the file, compiled; `lasts` in seconds."""

    call: Call
    token: Formula
    expired: Formula
    lasts: int


class Rows:
    """A listing of the file, compiled: its request, and how its rows are read."""

    def __init__(self, listing: "Listing", site: "TemplateSite") -> None:
        self.call = Call(listing, site, _LISTED)
        with _at("rows"):
            self.rows = Formula(listing.rows, _ANSWERED)
        with _at("more"):
            self.more = Formula(listing.more, _ANSWERED)
        self._fields = dict[str, Formula]()
        for name in listing.fields():
            with _at(name):
                self._fields[name] = Formula(getattr(listing, name), _ANSWERED | {"row", "account"})

    def read(self, context: Mapping[str, object], account: str) -> list[dict[str, Any]] | None:
        """Return the rows of an answer, each with the file's fields; None where it has no list."""
        found = self.rows.value(context)
        if not isinstance(found, list | tuple):
            return None
        shown = ({**context, "row": row, "account": account} for row in found)
        return [{name: formula.value(each) for name, formula in self._fields.items()} for each in shown]


class Compiled:
    """All of an interface. Raises Mistake with the place."""

    def __init__(self, site: "TemplateSite") -> None:
        interface = site.template
        self.put = dict[State, tuple[Call, tuple[str, ...]]]()
        self.rows = dict[str, Rows]()
        self.message: Formula | None = None
        self.login: Login | None = None
        for number, put in enumerate(interface.put, 1):
            with _at(f"第 {number} 个 [[template.put]]"):
                call = Call(put, site, frozenset({"todo", "state"}))
                for state in put.states:
                    if state in self.put:
                        raise Mistake(f"状态 {state} 已在前面写过，请删去一处")
                    self.put[state] = call, put.already
        if missing := [state for state in _NEEDED if state not in self.put]:
            raise Mistake(f"[[template.put]] 里没有状态 {'、'.join(missing)}，请补上")
        with _at("[template.check]"):
            self.check = Call(interface.check, site)
        if interface.message:
            with _at("message"):
                self.message = Formula(interface.message, _ANSWERED)
        if interface.login is not None:
            with _at("[template.login]"):
                self.login = Login(
                    Call(interface.login, site),
                    Formula(interface.login.token, _ANSWERED),
                    Formula(interface.login.expired, _ANSWERED),
                    interface.login.lasts,
                )
        for name in ("shown", "waiting", "done_since", "handled"):
            listing: Listing | None = getattr(interface, name)
            if listing is not None:
                with _at(f"[template.{name}]"):
                    self.rows[name] = Rows(listing, site)
        if not interface.repeatable and "shown" not in self.rows:
            raise Mistake("repeatable = false 时要有 [template.shown]：没有结果的请求重发之前先问一下")


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Name the place of a mistake."""
    try:
        yield
    except Mistake as mistake:
        raise Mistake(f"{place}：{mistake}") from None


def _samples() -> Iterator[dict[str, Any]]:
    """Yield values that a template may get; a title can hold anything."""
    moment = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    for kind, outcome in (("decide", ""), ("read", "return")):
        todo = Todo(
            key="0" * 32,
            account="zhang'san&1",
            person=_AWKWARD,
            title=_AWKWARD,
            workflow=_AWKWARD,
            node=_AWKWARD,
            sender=_AWKWARD,
            sender_account="",
            urgency=3,
            started_at=moment,
            opened_at=moment,
            link="https://piyue.example/oa/a/b?c=d&e=f",
            mobile_link="https://piyue.example/oa/a/b?c=d&e=f",
            kind=kind,
            outcome=outcome,
            stamp=1_770_000_000_000,
        )
        secrets = dict.fromkeys(("user", "password", "secret", "token"), "sample+/=")
        yield {
            **secrets, "now": clock.now(), "todo": todo, "state": "todo", "account": "zhang'san&1", "page": 1,
            "since": moment,
        }  # fmt: skip
