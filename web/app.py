"""The pages as one application under the API's routes: headers, refusals as pages, built files."""

import secrets
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.deps import PREFIX
from api.errors import Unserved, status_of
from engine.errors import EngineError, Unauthenticated
from web.actions import admin as admin_actions
from web.actions import contacts as contacts_actions
from web.actions import definitions as definition_actions
from web.actions import files, instances, items, login, me, starting
from web.actions import handover as handover_actions
from web.actions import oa as oa_actions
from web.actions import oa_admin as oa_admin_actions
from web.actions import telling as telling_actions
from web.actions import wecom as wecom_actions
from web.entrance import way_in
from web.pages import (
    account,
    admin,
    boxes,
    contacts,
    definitions,
    detail,
    diagram,
    handover,
    notices,
    oa,
    oa_admin,
    oa_checks,
    opening,
    start,
    telling,
    wecom,
)
from web.rendering import STATIC, environment, plain
from web.session import Page

_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; font-src 'self'; "
    "manifest-src 'self'"
)
_WITH_FILES = (  # forms that bring their attachments along where no script sends them before
    "/start/{key}", "/start/{key}/draft", "/start/{key}/form",
    "/items/{id}/complete", "/items/{id}/draft", "/items/{id}/form",
)  # fmt: skip
_HEADINGS = {
    400: ("看不懂这个请求", "请返回上一页重试。"),
    403: ("您没有权限", "如果工作需要，请联系信息科或流程管理员开通。"),
    404: ("没有找到", "链接可能已失效，或者这件事与您无关。"),
    405: ("不能这样打开", "请从首页进入。"),
    409: ("情况已变化", "请返回列表查看最新状态。"),
    408: ("网络太慢", "内容没有传完，您的操作没有生效。请换个网络重试。"),
    413: ("内容太大", "请删减文字，或压缩、拆分附件后重新提交。"),
    422: ("填写有误", "请返回上一页修改后重试。"),
    500: ("系统出错了", "您的操作没有完成，数据没有改变。请稍后重试。"),
    503: ("系统繁忙", "请稍等几秒再试，您的操作没有生效。"),
}


def mount(service: FastAPI) -> None:
    """Put the pages onto the service. They come last: whatever the API doesn't answer is a page."""
    pages = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    pages.state = service.state
    pages.state.templates = environment(service.state.settings.var / "templates")
    routers = (
        login, boxes, start, starting, detail, items, instances, diagram, files, notices, account, me, admin,
        admin_actions, definitions, definition_actions, opening, telling, telling_actions, wecom, wecom_actions,
        handover, handover_actions, contacts, contacts_actions, oa, oa_actions, oa_admin, oa_checks, oa_admin_actions,
    )  # fmt: skip
    for module in routers:
        pages.include_router(module.router)
    # pages themselves stay as they are: compressing a secret beside what somebody typed would tell on it
    pages.mount("/static", GZipMiddleware(_Built(directory=STATIC, check_dir=False)))
    uploads = service.state.uploads
    uploads["/definitions"] = uploads[f"{PREFIX}/definitions"]
    uploads[f"{oa_admin.OA}/{{code}}/accounts/import"] = uploads[f"{PREFIX}/admin/staff/import"]
    for path in _WITH_FILES:
        uploads[path] = uploads[f"{PREFIX}/attachments"]
    pages.add_exception_handler(EngineError, _refused)
    pages.add_exception_handler(HTTPException, _http)
    pages.add_exception_handler(RequestValidationError, _odd)
    for away in errors.DATABASE_AWAY:
        pages.add_exception_handler(away, _away)
    pages.add_middleware(errors.Unexpected, answer=_unexpected)
    pages.add_middleware(_Headers)
    service.state.refused = _unserved
    service.mount("/", pages)


class _Built(StaticFiles):
    """Built files: the name carries a hash of the content."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        answer = super().file_response(*args, **kwargs)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


class _Headers:
    """ASGI middleware: a nonce for each answer and the policy that names it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16)
        scope.setdefault("state", {})["nonce"] = nonce

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", _POLICY.format(nonce=nonce))
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Referrer-Policy", "same-origin")
                headers.setdefault("Cache-Control", "private, no-cache")
                headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
                if message["status"] == 503:
                    headers.setdefault("Retry-After", str(errors.RETRY_AFTER))
            await send(message)

        await self._app(scope, receive, guarded)


def _error_page(request: Request, status: int, message: str) -> Response:
    heading, cure = _HEADINGS.get(status, ("没有完成", "请返回上一页重试。"))
    if request.headers.get("hx-request-type") == "partial":  # the script tells it, and the page stays as it is
        return PlainTextResponse(message or cure, status, headers={"HX-Reswap": "none"})
    return plain(request, "error.html", status, heading=heading, message=message, cure=cure, code=status)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, EngineError)
    at_the_door: Callable[[EngineError], Response] | None = getattr(request.state, "refused", None)
    if at_the_door is not None:
        return at_the_door(error)
    if isinstance(error, Unauthenticated) and not request.url.path.startswith("/login"):
        return _to_login(request)
    again: Callable[[Page, EngineError], Response] | None = getattr(request.state, "again", None)
    if again is not None:
        return _shown_again(request, again, error)
    return _error_page(request, status_of(error), error.message)


def _shown_again(request: Request, again: Callable[[Page, EngineError], Response], error: EngineError) -> Response:
    """Show the page from which the form came, as it is now, with the refusal."""

    def show(call: Page) -> Response:
        return again(call, error)

    try:
        shown: Response = Page(request).run(show, {})
    except EngineError as further:  # the page itself isn't there any more
        return _error_page(request, status_of(further), error.message)
    return shown


def _to_login(request: Request) -> Response:
    target = way_in(request)
    if request.headers.get("hx-request") == "true":
        return Response(status_code=200, headers={"HX-Redirect": target})
    return RedirectResponse(target, 303)


def _unserved(request: Request, error: Unserved) -> ASGIApp:
    """Answer what was refused before any page was asked, as pages answer."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await _http(request, error)(scope, receive, send)

    return errors.http(request, error) if _of_api(request) else _Headers(answer)


def _of_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if _of_api(request):  # none of its routes, so it came here
        return errors.http(request, error)
    if error.status_code == 401:
        return _to_login(request)
    answer = _error_page(request, error.status_code, error.detail if isinstance(error, Unserved) else "")
    answer.headers.update(error.headers or {})
    return answer


def _odd(request: Request, error: Exception) -> Response:
    """An id in an address that is none is a page that isn't there."""
    assert isinstance(error, RequestValidationError)
    in_path = any(found["loc"][:1] == ("path",) for found in error.errors())
    return _error_page(request, 404 if in_path else 422, "")


def _away(request: Request, error: Exception) -> Response:
    errors.database_away(request, error)  # it is logged there
    return _error_page(request, 503, "")


def _unexpected(request: Request, id_: str) -> Response:
    return _error_page(request, 500, f"请把编号 {id_} 告诉信息科")
