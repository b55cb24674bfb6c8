"""Who is asking: the login behind a request's cookie, and the guarded form behind a POST.

As in the API, everything that a route does runs in one transaction, ended before the answer is sent.
"""

import functools
import hmac
import uuid
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from python_multipart.multipart import parse_options_header
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse

from api.deps import Visit, require_same_origin
from engine.errors import EngineError, Forbidden, Invalid, NotFound, Unauthenticated
from engine.org import auth
from engine.org.actor import Actor

_MAX_FILES, _MAX_FIELDS = 20, 5_000


class Page(Visit):
    """A request of somebody who is logged in; `session` is read-only."""

    actor: Actor
    csrf: str

    def __init__(self, request: Request, *, reading: bool = True) -> None:
        super().__init__(request, reading=reading)
        if not self.cookie:
            raise Unauthenticated("请先登录", code="not_logged_in")
        self._later: list[Callable[[Session], None]] = []

    def later(self, write: Callable[[Session], None]) -> None:
        """Write something after the page's own transaction has ended: that it was opened."""
        self._later.append(write)

    def finish(self) -> None:
        """Do what was put off."""
        for write in self._later:
            with self.db.unit_of_work() as session:
                write(session)

    def _enter(self) -> None:
        with self._asking() as session:
            self.actor, login = auth.authenticate(session, self.cookie or "")
        self.csrf = login.csrf

    @property
    def htmx(self) -> bool:
        """Whether the page's own script asks, not the browser for a new page."""
        return self.request.headers.get("hx-request") == "true"


class Router(APIRouter):
    """Routes with a parameter `call`, a Visit or one of the classes above: they run in its transaction."""

    def add_api_route(self, path: str, endpoint: Callable[..., Response], **options: Any) -> None:
        """Register a route."""

        @functools.wraps(endpoint)
        def run(call: Visit, **arguments: Any) -> Response:
            answer: Response = call.run(endpoint, arguments)
            if isinstance(call, Page):
                call.finish()
            return answer

        super().add_api_route(path, run, **options | {"response_model": None})


async def _page(request: Request) -> Page:
    """Return the visit, unless its address holds NUL, which no database looks for."""
    if "\x00" in request.scope["path"] or "%00" in request.url.query:
        raise NotFound("没有这个页面，请检查地址", code="page_not_found")
    return Page(request)


Visitor = Annotated[Page, Depends(_page)]

Again = Callable[[Page, EngineError], Response]
"""Shows the page from which a form came once more, with the refusal in place and what was typed."""


class Post(Page):
    """A form that somebody sent from a page of ours; `session` writes, and is committed when the route has ended."""

    def __init__(self, request: Request, fields: FormData) -> None:
        super().__init__(request, reading=False)
        self.fields = fields
        request.state.back = self.text("_from")
        require_same_origin(request, self.settings)

    def _enter(self) -> None:
        super()._enter()
        given = self.fields.get("_csrf") or self.request.headers.get("x-csrf-token")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), self.csrf.encode()):
            raise Forbidden("页面已过期，没有提交。请刷新页面后重新提交", code="csrf")

    def or_else(self, again: Again) -> None:
        """Say what is shown where the command refuses."""
        self.request.state.again = again

    def text(self, name: str, default: str = "") -> str:
        """Return a text field; an absent one is the default."""
        value = self.fields.get(name, default)
        return value if isinstance(value, str) else default

    def uploads(self) -> list[tuple[str, UploadFile]]:
        """Return the files that came with the form itself, by field: those of browsers without script."""
        return [(k, v) for k, v in self.fields.multi_items() if isinstance(v, UploadFile) and v.filename]

    @property
    def key(self) -> str | None:
        """The idempotency key of the form that was shown: sent twice, it is carried out once."""
        return self.text("_key")[:100] or None

    def id(self, name: str, what: str) -> uuid.UUID:
        """Return a field that holds an id. Raises Invalid that asks for `what`."""
        return _id(name, self.text(name), what)

    def ids(self, name: str, what: str) -> list[uuid.UUID]:
        """Return a field that holds ids, at least one. Raises Invalid."""
        given = [v for v in self.fields.getlist(name) if isinstance(v, str) and v]
        if not given:
            raise _choose(name, what)
        return [_id(name, v, what) for v in given]

    def go(self, path: str) -> Response:
        """Send the browser on after success: 303, or for our script a header (it would follow a 303 by itself)."""
        if self.htmx:
            return Response(status_code=200, headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)


def _id(name: str, text: str, what: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise _choose(name, what) from None


def _choose(name: str, what: str) -> Invalid:
    return Invalid(f"请选择{what}", code="choose", errors=[{"place": name, "message": f"请选择{what}"}])


async def _anybody(request: Request) -> Visit:
    return Visit(request, reading=True)


Anybody = Annotated[Visit, Depends(_anybody)]


async def submitted(request: Request) -> AsyncIterator[FormData]:
    """Read a posted form; its uploads are closed afterwards.

    Browsers send the encoding of the page, UTF-8; another one is a program's, and so is NUL, which can't be stored.
    """
    charset = (
        parse_options_header(request.headers.get("content-type", ""))[1].get(b"charset", b"utf-8").decode("latin-1")
    )
    if charset.lower() not in ("utf-8", "utf8"):
        raise Invalid("表单的编码只能是 UTF-8", code="charset")
    fields = await request.form(max_files=_MAX_FILES, max_fields=_MAX_FIELDS)
    try:
        if any("\x00" in part for pair in fields.multi_items() for part in pair if isinstance(part, str)):
            raise Invalid("表单里有不能保存的字符，请删去后重试", code="characters")
        yield fields
    finally:
        await fields.close()


Submitted = Annotated[FormData, Depends(submitted)]


async def _post(request: Request, fields: Submitted) -> Post:
    return Post(request, fields)


Posted = Annotated[Post, Depends(_post)]


def local_path(text: str, default: str, *, below: str = "/") -> str:
    """Return a path of ours that a request names (where to go back to), or the default: never another site."""
    if text.startswith(below) and not text.startswith("//") and text.isprintable() and "\\" not in text:
        return text[:1000]
    return default
