"""A request on its way to the engine: who asks, in which transaction, and how the answer is written.

A route is a plain function with a parameter `call`: everything it needs runs in one thread, in one transaction, which
is committed before the answer is made. (Each dependency with `yield` would cost two more hops between threads.)
"""

import functools
import hmac
import inspect
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy.orm import Session

from engine.db import Database
from engine.errors import Forbidden, Unauthenticated, Unavailable
from engine.org import auth, service_tokens
from engine.org.actor import Actor
from engine.org.auth import Login
from engine.org.guesses import KNOWN_FOR
from engine.org.models import LoginSession
from engine.settings import Settings

PREFIX = "/api/v1"
CSRF_HEADER = "X-CSRF-Token"
ACCESS = "x-access"  # in the OpenAPI document: public, session, or the scope that a service token needs
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_RETRIED = frozenset({"busy", "concurrent_change"})  # both are raised before anything is kept
_TRIES = 3
_PATIENCE = 4.0  # seconds: a lock that could not be had in three isn't waited for again

_KEY: Any = Header(
    alias="Idempotency-Key",
    pattern=r"^[ -~]{1,100}$",
    description="同一操作重发时用同一个编号：只生效一次，回答与第一次相同；换了内容是 409（最多 100 个 ASCII 字符）",
    examples=["5b1c2f0e-complete-1"],
)
IdempotencyKey = Annotated[str | None, _KEY]
RequiredKey = Annotated[str, _KEY]
"""An Idempotency-Key that must be there."""


class Visit:
    """A request of anybody; `session` is open while the route runs."""

    session: Session

    def __init__(self, request: Request, *, reading: bool) -> None:
        self.request = request
        self.settings: Settings = request.app.state.settings
        self.db: Database = request.app.state.db
        self.cookie = request.cookies.get(cookie_name(self.settings))
        self._reading = reading

    def browser(self) -> dict[str, Any]:
        """Return what a login notes of the browser: the arguments of `auth.login`."""
        client = self.request.client
        return {
            "address": client.host if client else "",
            "agent": self.request.headers.get("user-agent", ""),
            "hours": self.settings.session_hours,
            "replaces": self.cookie,
            "device": self.request.cookies.get(device_cookie_name(self.settings), ""),
        }

    def run(self, route: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        """Run a route in a transaction; what was too busy to begin is tried again, twice."""
        began = time.monotonic()
        for attempt in range(1, _TRIES + 1):
            try:
                with self._transaction() as self.session:
                    self._enter()
                    return route(call=self, **arguments)
            except Unavailable as error:
                waited = time.monotonic() - began
                if error.code not in _RETRIED or attempt == _TRIES or waited > _PATIENCE:
                    raise
                time.sleep(0.01 * attempt)
        raise AssertionError("unreachable")

    def _transaction(self) -> AbstractContextManager[Session]:
        return self.db.reading() if self._reading else self.db.unit_of_work()

    def _asking(self) -> AbstractContextManager[Session]:
        """Return the session in which it is asked who comes: the transaction of a command begins with the command."""
        return nullcontext(self.session) if self._reading else self.db.reading()

    def _enter(self) -> None:
        """Nobody is asked for."""


class Call(Visit):
    """A request of somebody: a person in a browser, or another system with a service token."""

    actor: Actor
    login: LoginSession | None = None

    def __init__(self, request: Request, scope: str | None, *, reading: bool) -> None:
        super().__init__(request, reading=reading)
        self._scope = scope
        self._bearer = _bearer(request)
        if self._bearer is None and not self.cookie:
            raise Unauthenticated("请先登录", code="not_logged_in")
        if self._bearer is None and request.method not in SAFE:
            require_same_origin(request, self.settings)
            if not request.headers.get(CSRF_HEADER):
                raise Forbidden(f"缺少 {CSRF_HEADER}，请刷新页面后重试", code="csrf")

    def _enter(self) -> None:
        if self._bearer is not None:
            self._enter_by_token(self._bearer)
            return
        with self._asking() as session:
            self.actor, self.login = auth.authenticate(session, self.cookie or "")
        if self.request.method not in SAFE:
            given = self.request.headers[CSRF_HEADER]
            if not hmac.compare_digest(given.encode(), self.login.csrf.encode()):
                raise Forbidden(f"{CSRF_HEADER} 不正确，请刷新页面后重试", code="csrf")

    def _enter_by_token(self, clear: str) -> None:
        with self._asking() as session:
            self.actor, token = service_tokens.authenticate_service(session, clear)
        if self._scope is None:
            raise Forbidden("服务令牌不能用于这个操作", code="token_not_allowed")
        if self.actor.scopes is None or self._scope not in self.actor.scopes:
            raise Forbidden(f"服务令牌没有权限范围 {self._scope}", code="missing_scope", scope=self._scope)
        with self.db.unit_of_work() as writing:  # apart from what is done: kept though that may be refused
            service_tokens.note_use(writing, token)


def identify(request: Request) -> None:
    """Raise Unauthenticated for a request of nobody who is logged in or has a service token."""
    cookie, bearer = request.cookies.get(cookie_name(request.app.state.settings)), _bearer(request)
    if bearer is None and not cookie:
        raise Unauthenticated("请先登录", code="not_logged_in")
    with request.app.state.db.reading() as session:
        if bearer is not None:
            service_tokens.authenticate_service(session, bearer)
        else:
            auth.authenticate(session, cookie or "")


def _bearer(request: Request) -> str | None:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if kind.lower() == "bearer" else None


class _Access:
    """A dependency that says, for the OpenAPI document, to whom its routes are open."""

    def __init__(self, make: Callable[[Request], Awaitable[Visit]], name: str) -> None:
        self._make, self.name = make, name

    async def __call__(self, request: Request) -> Visit:
        return await self._make(request)


def allowed(scope: str | None, *, reading: bool | None = None) -> _Access:
    """Return the dependency of a route for who is logged in, or holds a token with `scope` (None: no token will do).

    `reading` routes get a read-only transaction: by default those that are asked with GET.
    """

    async def call(request: Request) -> Call:  # async: it only looks at headers, and needs no thread
        return Call(request, scope, reading=request.method in SAFE if reading is None else reading)

    return _Access(call, scope or "session")


async def _visit(request: Request) -> Visit:
    if request.method not in SAFE:
        require_same_origin(request, request.app.state.settings)
    return Visit(request, reading=request.method in SAFE)


Anybody = Annotated[Visit, Depends(_Access(_visit, "public"))]
"""The caller of a route that is open to everybody."""


def require_same_origin(request: Request, settings: Settings) -> None:
    """Refuse what a page of another site sends with our cookie (CSRF); who sends neither header is no browser."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = {settings.base_url.partition("://")[2].partition("/")[0], request.headers.get("host", "")}
    foreign = origin is not None and origin.partition("://")[2] not in ours
    if foreign or site not in (None, "same-origin", "none"):
        raise Forbidden("请求来自其他网站，已拒绝", code="cross_site")


def cookie_name(settings: Settings) -> str:
    """Return the name of the session's cookie; where it is secure, with the prefix that ties it to this very host."""
    return "__Host-piyue" if settings.secure_cookie else "piyue"


def device_cookie_name(settings: Settings) -> str:
    """Return the name of the cookie by which a browser is known (已知设备)."""
    return f"{cookie_name(settings)}-device"


def keep_login(answer: Response, settings: Settings, opened: Login) -> None:
    """Keep a new session in the browser, and the browser as a known one."""
    set_cookie(answer, settings, opened.token, max_age=settings.session_hours * 3600)
    if opened.device:
        name = device_cookie_name(settings)
        set_cookie(answer, settings, opened.device, max_age=int(KNOWN_FOR.total_seconds()), name=name)


def set_cookie(answer: Response, settings: Settings, token: str, *, max_age: int, name: str = "") -> None:
    """Keep a token in the browser for `max_age` seconds, by default the session's; 0 removes it."""
    answer.set_cookie(
        name or cookie_name(settings),
        token,
        max_age=max_age,
        path="/",
        secure=settings.secure_cookie,
        httponly=True,
        samesite="lax",
    )


def render(model: BaseModel | None, status: int = 200) -> Response:
    """Write an answer; it is valid already, so it is not validated once more."""
    if model is None:
        return Response(status_code=204)
    return Response(model.__pydantic_serializer__.to_json(model), status, media_type="application/json")


def operation_id(route: APIRoute) -> str:
    """Name an operation in the OpenAPI document by its module and function."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


class Router(APIRouter):
    """The routes of a feature, which run in one transaction and answer with a schema: see `Visit.run`."""

    def __init__(self, tag: str) -> None:
        super().__init__(prefix=PREFIX, tags=[tag], generate_unique_id_function=operation_id)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Register a route whose parameter `call` is a Visit or a Call; None as answer is status 204."""
        status = options.get("status_code") or 200

        @functools.wraps(endpoint)
        def run(call: Visit, **arguments: Any) -> Response:
            answer = call.run(endpoint, arguments)
            return answer if isinstance(answer, Response) else render(answer, status)

        access: _Access = inspect.signature(endpoint).parameters["call"].annotation.__metadata__[0].dependency
        super().add_api_route(path, run, **options | {"openapi_extra": {ACCESS: access.name}})
