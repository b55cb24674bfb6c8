"""The way of a call: injected faults, the token, the caller's address, rates, the endpoint, and what is counted.

Each answer is HTTP 200 with an errcode, except where a fault says otherwise. The body of a POST is read as JSON
whatever its Content-Type says, as WeCom does.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from sandbox.codes import fresh
from sandbox.serving import break_connection
from sandbox.wecom import constants
from sandbox.wecom.api.endpoints import ENDPOINTS, Ask, Endpoint, File, Upload
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import TOKEN_SECONDS, Agent, Call, Fault, Token
from sandbox.wecom.state import State


def routes(state: State) -> Sequence[BaseRoute]:
    """Return the routes of the server API."""
    return [Route("/cgi-bin/{path:path}", ServerApi(state), methods=["GET", "POST"])]


class ServerApi:
    """The server API as an ASGI app, because a fault may break the connection instead of answering."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._running: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        request = Request(scope, receive)
        path = request.path_params["path"]
        started, before = time.time(), time.perf_counter()
        fault = _take_fault(self._state, path)
        self._running[path] += 1
        try:
            if fault is not None and fault.latency:
                await asyncio.sleep(fault.latency)
            if fault is not None and fault.reset:
                _record(self._state, Call(path, started, time.perf_counter() - before, None, -2))
                await break_connection(scope)
                return
            response, agentid, errcode, people = await self._answer(path, request, fault)
        finally:
            self._running[path] -= 1
        _record(self._state, Call(path, started, time.perf_counter() - before, agentid, errcode, people))
        if fault is not None and fault.silent:
            await asyncio.sleep(fault.silent)
            await break_connection(scope)
            return
        await response(scope, receive, send)

    async def _answer(self, path: str, request: Request, fault: Fault | None) -> tuple[Response, int | None, int, int]:
        agentid: int | None = None
        people = 0
        try:
            found = ENDPOINTS.get(path)
            if found is None and path != "gettoken":
                return Response("404 page not found", 404), None, 404, 0
            if fault is not None and fault.status:
                return Response("injected", fault.status), None, fault.status, 0
            if fault is not None and fault.errcode:
                raise ApiError(fault.errcode, fault.errmsg)
            if self._running[path] > self._state.limits.concurrent:
                raise ApiError(45033, "concurrent calls out of limit")
            body, media = await _read(request)
            with self._state.lock:
                if found is None:
                    answer: Any = _get_token(self._state, request)
                else:
                    agent = _authenticated(self._state, request)
                    agentid = agent.agentid
                    _admit(self._state, path, found, request)
                    answer = found.function(self._state, Ask(agent, request.query_params, body, media))
            if isinstance(answer, File):
                return _file(answer), agentid, 0, 0
            people = answer.pop("_people", 0)
            return JSONResponse({"errcode": 0, "errmsg": "ok", **answer}), agentid, 0, people
        except ApiError as error:
            return JSONResponse({"errcode": error.errcode, "errmsg": error.errmsg}), agentid, error.errcode, 0


async def _read(request: Request) -> tuple[dict[str, Any], Upload | None]:
    if request.method != "POST":
        return {}, None
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_part_size=64 * 1024 * 1024) as form:
            part = form.get("media")
            if part is None or isinstance(part, str):
                return {}, None
            kind = part.content_type or "application/octet-stream"
            return {}, Upload(part.filename or "", kind, await part.read())
    text = await request.body()
    try:
        body = json.loads(text or b"{}")
    except (ValueError, UnicodeDecodeError):
        raise ApiError(47001, "wrong json format") from None
    if not isinstance(body, dict):
        raise ApiError(47001, "wrong json format")
    return body, None


def _get_token(state: State, request: Request) -> dict[str, Any]:
    """Give out the token of a secret; while it lasts it is the same one (D 91039)."""
    query = request.query_params
    if not query.get("corpid"):
        raise ApiError(41002, "missing corpid")
    if not query.get("corpsecret"):
        raise ApiError(41004, "missing secret")
    if query["corpid"] != constants.CORP_ID:
        raise ApiError(40013, "invalid corpid")
    agent = next((a for a in state.agents.values() if a.secret == query["corpsecret"]), None)
    if agent is None:
        raise ApiError(40001, "invalid credential")
    now = state.now()
    for token in state.tokens.values():
        if token.agentid == agent.agentid and token.until > now:
            return {"access_token": token.token, "expires_in": int(token.until - now)}
    token = Token(fresh(48), agent.agentid, now + TOKEN_SECONDS)
    state.tokens[token.token] = token
    return {"access_token": token.token, "expires_in": TOKEN_SECONDS}


def _authenticated(state: State, request: Request) -> Agent:
    given = request.query_params.get("access_token", "")
    if not given:
        raise ApiError(41001, "access_token missing")
    token = state.tokens.get(given)
    if token is None:
        raise ApiError(40014, "invalid access_token")
    if token.until <= state.now():
        raise ApiError(42001, "access_token expired")
    agent = state.agents[token.agentid]
    _trust(agent, request)
    return agent


def _trust(agent: Agent, request: Request) -> None:
    address = request.client.host if request.client else ""
    if agent.addresses and address not in agent.addresses:
        raise ApiError(60020, f"not allow to access from your ip, from ip: {address}")


def _admit(state: State, path: str, found: Endpoint, request: Request) -> None:
    if request.method != found.method:
        raise ApiError(43001 if found.method == "GET" else 43002, f"require {found.method} method")
    address = request.client.host if request.client else ""
    limits = state.limits
    if found.counted and not (
        state.within((path, address), limits.address_minute, 60)
        and state.within(path, limits.api_minute, 60)
        and state.within(path, limits.api_hour, 3600)
    ):
        raise ApiError(45009, "api freq out of limit")


def _file(file: File) -> Response:
    name = file.filename.encode("ascii", "replace").decode().replace('"', "'")
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(file.content, media_type=file.content_type, headers=headers)


def _take_fault(state: State, path: str) -> Fault | None:
    with state.lock:
        for fault in state.faults:
            if fault.times > 0 and fault.endpoint in (path, "*"):
                fault.times -= 1
                if not fault.times:
                    state.faults.remove(fault)
                return fault
    return None


def _record(state: State, call: Call) -> None:
    with state.lock:
        state.calls.append(call)
