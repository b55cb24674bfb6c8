"""HTTP as the adapters speak it: one pool of connections to one OA, and for each way to fail the right error.

It goes over httpx's transport, beneath its client: no proxy or certificate is taken from the environment, no
redirection followed, no cookie kept, nothing repeated, and no address logged, in whose query some OAs want tokens.
httpx tells what happens on the way (its `trace`), so what was never sent is told from what may have had an effect.
"""

import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, cast

import httpx

from engine.connectors.oa.adapters import deadline
from engine.connectors.oa.adapters.protocol import Take, Unknown
from engine.connectors.oa.adapters.site import Site
from engine.outbox import Configuration, Permanent, Transient

MAX_ANSWER = 1_000_000
"""Bytes of one answer."""
MAX_WORDS = 200
"""Characters of the OA's own words in an error."""
_HEADER = re.compile(r"[\x20-\x7e]*")
# that OAs use; among all that Python knows are some that raise, and one that takes minutes for a megabyte
_CHARSETS = ("utf-8", "gb2312", "gbk", "gb18030", "big5", "iso-8859-1", "us-ascii", "utf-16")
_SAYS = ("message", "msg", "errmsg", "errorMsg", "error_description", "error", "detail")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\ufeff]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the OA has answered, whatever its status."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, in the charset that the OA names, UTF-8 where it is none of `_CHARSETS`."""
        named = re.search(r"charset=\"?([\w-]+)", self.headers.get("content-type", ""), re.IGNORECASE)
        charset = named[1].lower() if named else ""
        return self.body.decode(charset if charset in _CHARSETS else "utf-8", "replace")

    @property
    def is_page(self) -> bool:
        """Whether it is a page for people: of a proxy, a login or an error."""
        return "html" in self.headers.get("content-type", "") or bool(re.match(r"\s*<(!doctype|html)", self.text, re.I))

    def json(self, *hidden: str) -> Any:
        """Return the JSON in it, where its status is one of success; raises as `Adapter.put` otherwise.

        `hidden` as `clipped`.
        """
        if not 200 <= self.status < 300:
            raise by_status(self, *hidden)
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            pass
        raise unanswered("是网页" if self.is_page else "不是 JSON")

    def words(self) -> str:
        """Return what it says in words, "" where that isn't where interfaces use to have it."""
        try:
            content = json.loads(self.text)
        except (ValueError, RecursionError):
            return ""
        says = (content.get(name) for name in _SAYS) if isinstance(content, dict) else ()
        return next((text for text in says if isinstance(text, str) and text), "")


class Http:
    """The way to one OA. Safe to share between threads; connections are kept and used again."""

    def __init__(self, site: Site, take: Take) -> None:
        self._take, self._seconds = take, site.timeout
        self._address = site.address.rstrip("/")
        self._origin = _origin(httpx.URL(self._address))
        self._transport = deadline.Transport(_trusted(), site.threads)

    def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        """Ask once, at a path below the site's address; return whatever comes back within the site's timeout.

        Raises Transient where the request was never sent, Unknown where no answer came, Configuration where the OA's
        certificate isn't trusted, Permanent where no such request can be made; and what `take` does. No error names
        the address.
        """
        watch = _Watch(self._seconds)
        extensions = {"timeout": watch.timeouts, "trace": watch}
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            url = httpx.URL(self._address + path, params=params) if params else httpx.URL(self._address + path)
            request = httpx.Request(
                method, url, headers=sent, json=json, data=form, content=content, extensions=extensions
            )
        except (httpx.InvalidURL, ValueError):  # of characters that neither an address nor a header can have
            request = None
        if request is None or _origin(request.url) != self._origin or not all(map(_HEADER.fullmatch, sent.values())):
            raise Permanent("给 OA 的请求，地址或请求头里有不允许的字符：请检查 site.toml 和此人的账号")
        self._take()
        watch.begin()
        try:
            response = self._transport.handle_request(request)
            try:
                return Answer(response.status_code, response.headers, watch.read(response))
            finally:
                response.close()
        except httpx.TransportError as error:
            failure = _sorted(error, watch)
        raise failure  # out here, so that the other, with the request, isn't even its context

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


def by_status(answer: Answer, *hidden: str) -> Exception:
    """Return the error that a status other than success stands for; `hidden` as `clipped`."""
    words = clipped(answer.words(), *hidden)
    told = f"OA 回答 HTTP {answer.status}" + (f"：{words}" if words else "")
    if answer.status in (401, 403, 407):
        return Configuration(f"{told}。请检查用户名、密码，以及 OA 是否允许本机的地址访问")
    if answer.status in (404, 405) and not words:  # an OA that is starting doesn't know its addresses yet
        return Transient(f"{told}，现在没有这个接口。一直这样的话，请检查 address")
    if answer.status in (408, 425, 429):
        after = answer.headers.get("retry-after", "")
        delay = timedelta(seconds=min(int(after), 3600)) if re.fullmatch(r"\d{1,6}", after) else None
        return Transient(told, delay=delay)
    if 400 <= answer.status < 500:
        return Permanent(told)
    if 300 <= answer.status < 400:
        return Unknown(f"{told}，要转到别处。不是在维护的话，请把 address 改为最终的地址")
    return unanswered(f"HTTP {answer.status}")


def unanswered(why: str) -> Unknown:
    """Return the error for a request that was sent and has no answer that tells its end."""
    return Unknown(f"OA 没有给出可用的回答（{why}），不知是否已生效")


def clipped(text: str, *hidden: str) -> str:
    """Return words of the OA as an error may quote them: on one line, short, without what is `hidden` (secrets)."""
    for part in sorted(hidden, key=len, reverse=True):
        text = text.replace(part, "…") if part else text
    text = " ".join(_CONTROL.sub(" ", text).split())
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (httpx.TimeoutException, "等太久"),
    (socket.gaierror, "查不到主机名"),
    (ConnectionRefusedError, "对方拒绝连接"),
)


def _sorted(error: httpx.TransportError, watch: "_Watch") -> Exception:
    if watch.sent:
        return unanswered("等太久" if isinstance(error, httpx.TimeoutException) else "连接断开")
    why, cause = "", cast("BaseException | None", error)
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Configuration("OA 的 HTTPS 证书不可信或已过期：请换上有效的证书，或把签发者的根证书装到本机")
        why = why or next((told for kind, told in _CAUSES if isinstance(cause, kind)), "")
        cause = cause.__cause__ or cause.__context__
    return Transient(f"连不上 OA{why and f'（{why}）'}：请检查 address 和网络")


class _Watch:
    """The time that a request has left, and whether any of it may have been sent: httpx tells it each step."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._end = seconds, 0.0
        self.sent = False
        # httpx reads them at the beginning of each step
        self.timeouts = {"pool": seconds / 4, "connect": seconds / 4, "write": seconds / 4, "read": seconds}

    def begin(self) -> None:
        """Start the clock."""
        self._end = deadline.begin(self._seconds)

    def __call__(self, event: str, _: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.started"):
            self.sent = True
        left = max(self._end - time.monotonic(), 0.01)
        self.timeouts["read"] = min(left, self._seconds / 4) if event.endswith("body.started") and self.sent else left

    def read(self, response: httpx.Response) -> bytes:
        """Return the body; raises ReadTimeout when the time is over, ReadError when it is too large."""
        body = bytearray()
        for chunk in cast(httpx.SyncByteStream, response.stream):
            body += chunk
            if len(body) > MAX_ANSWER:
                raise httpx.ReadError("the answer is too large")
            if time.monotonic() > self._end:
                raise httpx.ReadTimeout("")
        return bytes(body)


@cache
def _trusted() -> ssl.SSLContext:
    """Return the certificates that this machine trusts: reading them takes a while."""
    return ssl.create_default_context()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
