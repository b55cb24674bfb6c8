"""Logging in and out."""

from typing import Annotated

from fastapi import Depends, Request, Response
from starlette.responses import RedirectResponse

from api.deps import Visit, keep_login, require_same_origin, set_cookie
from api.errors import status_of
from engine.org import auth
from web.pages.account import login_page
from web.session import Posted, Router, Submitted, local_path

router = Router()


class _Entering(Visit):
    """Somebody at the door, with what they have filled in."""

    def __init__(self, request: Request, number: str, password: str | None, following: str) -> None:
        super().__init__(request, reading=False)
        require_same_origin(request, self.settings)
        self.number, self.password, self.following = number, password, following


async def _entering(request: Request, fields: Submitted) -> _Entering:
    def text(name: str) -> str:
        value = fields.get(name)
        return value if isinstance(value, str) else ""

    return _Entering(request, text("number")[:50], text("password") if "password" in fields else None, text("next"))


@router.post("/login")
def login(call: Annotated[_Entering, Depends(_entering)]) -> Response:
    """Open a session: with a password, in the demo by picking a person."""
    call.request.state.refused = lambda error: login_page(
        call.request,
        call.settings.demo,
        call.following,
        number=call.number,
        message=error.message,
        status=status_of(error),
    )
    if call.password is None:
        opened = auth.login_as(call.session, call.number, demo=call.settings.demo, **call.browser())
    else:
        opened = auth.login(call.session, call.number, call.password[:512], **call.browser())
    answer = RedirectResponse(local_path(call.following, "/"), 303)
    keep_login(answer, call.settings, opened)
    return answer


@router.post("/logout")
def logout(call: Posted) -> Response:
    """End the session and forget its cookie."""
    auth.logout(call.session, call.actor, call.cookie or "")
    answer = call.go("/login")
    set_cookie(answer, call.settings, "", max_age=0)
    return answer
