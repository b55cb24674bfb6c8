"""What is refused before it costs anything: too many requests at once; bodies that are too large, too slow, of a wrong
type, or from nobody known.

A request counts from the moment at which its body is there: one that is half sent waits and takes nobody's place. What
it may take while it waits is bounded by who sends it. Strangers may send a little, which is enough to log in; more, and
files, are read only from people who are logged in. And whoever sends keeps a pace, or is cut off: the rule of Apache's
mod_reqtimeout, so many seconds for a body and one more for so many bytes of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import anyio
import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import DATABASE_AWAY, Unserved
from engine.errors import Unauthenticated

JSON_LIMIT = 1 << 20  # bytes
STRANGERS_LIMIT = 1 << 16  # bytes of a body that are read before it is asked who sends it
PACE = 8 << 10  # bytes of a body that buy it another second
_TYPES = ("application/json", "multipart/form-data")

Identify = Callable[[Request], object]
"""Raises Unauthenticated for who isn't logged in and has no service token."""


class Limits:
    """ASGI middleware: a bounded number of requests in progress, and a bounded body for each.

    `queue_limit` counts the requests of this process that wait for a thread or have one; `body_seconds` is how long a
    body may take beside what its pace buys; `uploads` gives the paths that take files their limits in bytes. Refusals
    are answered by `app.state.refused`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        queue_limit: int,
        body_seconds: int,
        uploads: Mapping[str, int],
        exempt: frozenset[str],
        identify: Identify,
    ) -> None:
        self._app = app
        self._queue = _Queue(queue_limit)
        self._seconds, self._uploads, self._exempt, self._identify = body_seconds, uploads, exempt, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        with _Place(self._queue) as place:
            try:
                body = self._body(scope, receive, place)
                if body is None:
                    place.take()
                elif not body.streamed:
                    await body.collect()
                await self._app(scope, receive if body is None else body.receive, send)
            except Unserved as refused:  # from here; the application answers those that it meets itself
                await scope["app"].state.refused(Request(scope), refused)(scope, receive, send)
            except _Gone:
                pass

    def _body(self, scope: Scope, receive: Receive, place: "_Place") -> "_Body | None":
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length in ("", "0") and "transfer-encoding" not in headers:
            return None
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        # a form of another site can send texts, but no JSON, without asking first
        if scope["path"].startswith("/api/") and kind and not kind.startswith(_TYPES):
            raise Unserved(415, "media_type", "请以 application/json 发送，文件以 multipart/form-data 发送")
        files = scope["method"] == "POST" and kind == "multipart/form-data"
        limit = self._uploads.get(scope["path"], JSON_LIMIT) if files else JSON_LIMIT
        declared = int(length[:20]) if length.isdecimal() else 0
        if declared > limit:
            raise _too_large(limit)

        async def ask() -> None:
            await self._ask(scope)

        return _Body(receive, place, ask, seconds=self._seconds, limit=limit, declared=declared)

    async def _ask(self, scope: Scope) -> None:
        """Refuse a request of nobody who is known; asking takes a place like any other."""
        with _Place(self._queue) as place:
            place.take()
            try:
                await anyio.to_thread.run_sync(self._identify, Request(scope))
            except Unauthenticated as error:
                raise Unserved(401, error.code, error.message) from error
            except DATABASE_AWAY:
                pass  # the route will say so


class _Gone(Exception):
    """The client has gone away before its body was there."""


@dataclass(slots=True)
class _Queue:
    """How many requests may be in progress, and how many are."""

    limit: int
    taken: int = 0


class _Place:
    """A request's place in the queue, from when it is taken to the end of the block."""

    def __init__(self, queue: _Queue) -> None:
        self._queue, self._taken = queue, False

    def take(self) -> None:
        """Take it, or refuse the request."""
        if self._queue.taken >= self._queue.limit:
            raise Unserved(503, "overloaded", "现在使用的人太多，请稍后重试")
        self._queue.taken += 1
        self._taken = True

    def __enter__(self) -> "_Place":
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.taken -= self._taken


class _Body:
    """A body on its way in: JSON is collected before the application sees it, files are handed on as they come."""

    def __init__(
        self,
        receive: Receive,
        place: _Place,
        ask: Callable[[], Awaitable[None]],
        *,
        seconds: int,
        limit: int,
        declared: int,
    ) -> None:
        self.streamed = limit > JSON_LIMIT
        self._receive, self._place, self._ask = receive, place, ask
        self._limit, self._declared = limit, declared
        self._received, self._asked, self._whole = 0, False, False
        self._deadline = anyio.current_time() + seconds
        self._collected: list[Message] = []

    async def collect(self) -> None:
        """Read all of it."""
        parts = []
        while not self._whole:
            message = await self._next()
            if message["type"] != "http.request":
                raise _Gone
            parts.append(message.get("body", b""))
        self._collected = [{"type": "http.request", "body": b"".join(parts), "more_body": False}]

    async def receive(self) -> Message:
        """Return the application's next message."""
        if self._collected:
            return self._collected.pop()
        return await (self._receive() if self._whole else self._next())

    async def _next(self) -> Message:
        if not self._asked and (self.streamed or max(self._declared, self._received) > STRANGERS_LIMIT):
            await self._ask()
            self._asked = True
        left = self._deadline + self._received / PACE - anyio.current_time()
        message: Message | None = None
        with anyio.move_on_after(left):
            message = await self._receive()
        if message is None:
            raise Unserved(408, "too_slow", "内容没有在规定时间内传完，请检查网络后重试", close=True)
        self._received += len(message.get("body", b""))
        if self._received > self._limit:  # no Content-Length, or a wrong one
            raise _too_large(self._limit)
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._whole = True
            self._place.take()
        return message


def _too_large(limit: int) -> Unserved:
    return Unserved(413, "too_large", f"内容太大，最多 {limit / (1 << 20):g} MB，请缩小后重试", limit=limit)
