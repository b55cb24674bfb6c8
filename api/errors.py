"""Refusals as HTTP answers: problem details (RFC 9457), each family of engine errors mapped to its status once."""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.errors import Conflict, EngineError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2  # seconds

DATABASE_AWAY = (OperationalError, NoConnection)
"""The database can't be reached, or no connection is free in time."""

log = logging.getLogger(__name__)

_FAMILIES: Mapping[type[EngineError], int] = {
    NotFound: 404,
    Unauthenticated: 401,
    Forbidden: 403,
    Conflict: 409,
    Invalid: 422,
    Unavailable: 503,
}
TITLES: Mapping[int, str] = {
    400: "请求不正确",
    401: "需要登录",
    403: "没有权限",
    404: "没有找到",
    405: "方法不允许",
    408: "传得太慢",
    409: "状态已变化",
    413: "内容太大",
    415: "格式不支持",
    422: "输入有误",
    500: "系统出错",
    503: "暂时不可用",
}
_HTTP: Mapping[int, tuple[str, str]] = {
    400: ("malformed", "请求内容无法解析，请检查格式后重试"),
    404: ("route_not_found", "没有这个地址，请检查路径"),
    405: ("method_not_allowed", "这个地址不支持这种请求方法"),
}


class Unserved(HTTPException):
    """What is refused before any route is asked: told like an engine's refusal, with further `members` for programs.

    `close` ends the connection: nothing more is expected from it.
    """

    def __init__(self, status: int, code: str, detail: str, *, close: bool = False, **members: Any) -> None:
        super().__init__(status, detail, {"Connection": "close"} if close else None)
        self.code, self.members = code, members


def problem(status: int, code: str, detail: str, **members: Any) -> Response:
    """Return a problem document: `detail` is the Chinese sentence for the person, `code` is for programs."""
    content = {
        "type": f"urn:piyue:problem:{code}",
        "title": TITLES.get(status, "请求没有完成"),
        "status": status,
        "detail": detail,
        "code": code,
    }
    answer = Response(orjson.dumps(members | content, default=str), status, media_type=MEDIA_TYPE)
    if status == 503:
        answer.headers["Retry-After"] = str(RETRY_AFTER)
    elif status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def status_of(error: EngineError) -> int:
    """Return the HTTP status of a refusal, by its family."""
    return next((status for family, status in _FAMILIES.items() if isinstance(error, family)), 500)


def refused(_request: Request, error: Exception) -> Response:
    """Answer an engine's refusal."""
    assert isinstance(error, EngineError)
    errors = error.errors if isinstance(error, Invalid) else []
    return problem(status_of(error), error.code, error.message, **error.fields, errors=errors)


def malformed(_request: Request, error: Exception) -> Response:
    """Answer a request that doesn't have the shape which the OpenAPI document asks for."""
    assert isinstance(error, RequestValidationError)
    errors = [_place(found) for found in error.errors()]
    first = f"{errors[0]['place']}：{errors[0]['message']}" if errors[0]["place"] else errors[0]["message"]
    more = f"（共 {len(errors)} 处）" if len(errors) > 1 else ""
    return problem(422, "malformed", f"请求不正确，{first}{more}", errors=errors[:50])


def http(_request: Request, error: Exception) -> Response:
    """Answer what the router refuses: unknown addresses, methods, bodies that can't be parsed."""
    assert isinstance(error, HTTPException)
    if isinstance(error, Unserved):
        answer = problem(error.status_code, error.code, error.detail, errors=[], **error.members)
        answer.headers.update(error.headers or {})
        return answer
    status = 422 if error.status_code == 400 else error.status_code
    code, detail = _HTTP.get(error.status_code, ("refused", str(error.detail)))
    answer = problem(status, code, detail, errors=[])
    answer.headers.update(error.headers or {})
    return answer


def database_away(_request: Request, error: Exception) -> Response:
    """Log and answer DATABASE_AWAY."""
    log.error("database unavailable: %s", type(error).__name__, exc_info=error)
    return problem(503, "database_unavailable", "数据库暂时不可用，请稍后重试", errors=[])


def unexpected(_request: Request, id_: str) -> Response:
    """Answer what nobody expected, by the id under which it is logged."""
    return problem(500, "unexpected", f"系统出错，您的操作没有完成。请把编号 {id_} 告诉信息科", id=id_, errors=[])


class Unexpected:
    """ASGI middleware: what nobody expected is logged with an id, and answered with that id alone."""

    def __init__(self, app: ASGIApp, answer: Callable[[Request, str], Response] = unexpected) -> None:
        self._app, self._answer = app, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            if scope["type"] != "http" or started:
                raise
            id_ = secrets.token_hex(6)
            log.exception("unexpected error %s: %s %s", id_, scope["method"], scope["path"])
            await self._answer(Request(scope), id_)(scope, receive, send)


def install(app: FastAPI) -> None:
    """Register the answers of this module."""
    app.add_exception_handler(EngineError, refused)
    app.add_exception_handler(RequestValidationError, malformed)
    app.add_exception_handler(HTTPException, http)
    for away in DATABASE_AWAY:
        app.add_exception_handler(away, database_away)


# pydantic's error types; {…} are the constraints that it names
_MESSAGES: Mapping[str, str] = {
    "missing": "缺少这一项",
    "extra_forbidden": "没有这一项，请删去",
    "json_invalid": "不是正确的 JSON",
    "string_type": "应为文字",
    "string_unicode": "含有不能保存的字符",
    "string_too_short": "至少 {min_length} 个字",
    "string_too_long": "最多 {max_length} 个字",
    "string_pattern_mismatch": "格式不正确",
    "uuid_type": "应为编号（UUID）",
    "uuid_parsing": "编号（UUID）不正确",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_parsing_size": "数字太大",
    "int_from_float": "应为整数",
    "bool_type": "应为 true 或 false",
    "bool_parsing": "应为 true 或 false",
    "greater_than_equal": "不能小于 {ge}",
    "less_than_equal": "不能大于 {le}",
    "enum": "可选：{expected}",
    "literal_error": "可选：{expected}",
    "list_type": "应为列表",
    "dict_type": "应为对象",
    "model_attributes_type": "应为对象，请以 Content-Type: application/json 发送",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
    "datetime_type": "应为时间，如 2026-03-02T08:00:00+08:00",
    "datetime_parsing": "应为时间，如 2026-03-02T08:00:00+08:00",
    "datetime_from_date_parsing": "应为时间，如 2026-03-02T08:00:00+08:00",
    "timezone_aware": "请写明时区，如 2026-03-02T08:00:00+08:00",
    "value_error": "{error}",
}


def _place(found: Mapping[str, Any]) -> dict[str, str]:
    where: Sequence[object] = found["loc"]
    parts = where[1:] if len(where) > 1 and found["type"] != "json_invalid" else where[:1]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).lstrip(".")
    text = _MESSAGES.get(found["type"], "格式不正确")
    try:
        message = text.format(**found.get("ctx", {}))
    except KeyError:
        message = "格式不正确"
    # names of fields come from the client: databases aren't reached, but logs and pages may be
    return {"place": "".join(filter(str.isprintable, place))[:200], "message": message[:400]}
