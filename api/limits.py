"""What is refused before it costs anything: too many requests at once, bodies that are too large or of a wrong type."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import problem

JSON_LIMIT = 1 << 20  # bytes
_TYPES = ("application/json", "multipart/form-data")


class Limits:
    """ASGI middleware: a bounded number of requests in progress, and a bounded body for each.

    `queue_limit` counts the requests of this process that wait for a thread or have one; `uploads` gives the paths that
    take files their limits in bytes.
    """

    def __init__(self, app: ASGIApp, *, queue_limit: int, uploads: Mapping[str, int], exempt: frozenset[str]) -> None:
        self._app = app
        self._limit = queue_limit
        self._uploads = uploads
        self._exempt = exempt
        self._in_progress = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in self._exempt:
            await self._app(scope, receive, send)
            return
        if self._in_progress >= self._limit:
            await problem(503, "overloaded", "现在使用的人太多，请稍后重试", errors=[])(scope, receive, send)
            return
        self._in_progress += 1
        try:
            await self._bounded(scope, receive, send)
        finally:
            self._in_progress -= 1

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._uploads.get(scope["path"], JSON_LIMIT)
        headers = Headers(scope=scope)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            detail = f"内容太大，最多 {limit / (1 << 20):g} MB，请缩小后重试"
            await problem(413, "too_large", detail, errors=[], limit=limit)(scope, receive, send)
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        # a form of another site can send texts, but no JSON, without asking first
        if scope["path"].startswith("/api/") and kind and not kind.startswith(_TYPES):
            detail = "请以 application/json 发送，文件以 multipart/form-data 发送"
            await problem(415, "media_type", detail, errors=[])(scope, receive, send)
            return
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:  # no Content-Length, or a wrong one
                raise HTTPException(413)
            return message

        await self._app(scope, counting, send)
