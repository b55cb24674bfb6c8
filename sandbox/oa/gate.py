"""The way of a request into an OA: read, counted, let go wrong where that was asked for, run, answered."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from sandbox.oa.calls import Answer, Ask, Call
from sandbox.oa.lists import Lists
from sandbox.oa.records import Fault, Seen
from sandbox.oa.state import State
from sandbox.serving import break_connection

Reader = Callable[[Lists[Any], Ask], Call]

MAX_BYTES = 2 * 1024 * 1024
_PROXY = Answer(
    b"<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>",
    502,
    "text/html",
)
_GARBAGE = Answer(b"\x00\xff<<{not an answer", 200, "text/html")
_TOO_LARGE = Answer(b"413 Request Entity Too Large", 413, "text/plain")
_NO_EFFECT = ("refuse", "timeout", "late", "restart", "html502", "garbage")


def routes(state: State, oa: Lists[Any], reader: Reader, *folders: str) -> list[Route]:
    """Return the routes of an OA's interfaces: of all that is in these folders below its root."""
    gate = Gate(state, oa, reader)
    return [Route(f"/{oa.name}/{folder}/{{path:path}}", gate) for folder in folders]


class Gate:
    """One OA's interfaces as an ASGI app, because a fault may break the connection instead of answering."""

    def __init__(self, state: State, oa: Lists[Any], reader: Reader) -> None:
        self._state, self._oa, self._reader = state, oa, reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ask = await self._read(scope, receive)
        if ask is None:
            await _send(send, _TOO_LARGE)
            return
        state, name = self._state, self._oa.name
        with state.lock:
            call = self._reader(self._oa, ask)
            fault = state.faults.take(name, call.operation)
            kind = fault.kind if fault else ""
            state.see(Seen(name, call.operation, call.key, call.account, state.now(), kind))
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        with state.lock:
            answer = self._take_effect(call, fault)
            state.faults.passed(name)
            if fault is not None and fault.kind == "late":
                state.faults.postpone(name, fault.after, call.run)
        if fault is not None and fault.kind in ("timeout", "timeout_after", "late"):
            await _hang(receive, fault.seconds)
            await break_connection(scope)
        elif fault is not None and fault.kind in ("refuse", "reset_after", "restart"):
            await break_connection(scope)
        else:
            await _send(send, answer)

    def _take_effect(self, call: Call, fault: Fault | None) -> Answer:
        """Let a call take effect as often as its fault says; return the answer."""
        if fault is None or fault.kind in ("slow", "reset_after", "timeout_after"):
            return call.run()
        if fault.kind == "duplicate":
            call.run()
            return call.run()
        if fault.kind == "restart":
            self._state.restart(self._oa.name)
        if fault.kind in _NO_EFFECT:
            return _PROXY if fault.kind == "html502" else _GARBAGE
        return call.refuse(fault.kind)

    async def _read(self, scope: Scope, receive: Receive) -> Ask | None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MAX_BYTES:
                return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        return Ask(
            scope["method"],
            scope["path"].removeprefix(f"/{self._oa.name}/"),
            dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers,
            body,
            client[0] if client else "",
            f"{scope['scheme']}://{headers.get('host', 'localhost')}/{self._oa.name}",
        )


async def _send(send: Send, answer: Answer) -> None:
    headers = [
        (b"content-type", answer.content_type.encode()),
        (b"content-length", str(len(answer.content)).encode()),
    ]
    if answer.location:
        headers.append((b"location", answer.location.encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.content})


async def _hang(receive: Receive, seconds: float) -> None:
    """Keep a client waiting until it gives up, or so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass
