"""Logging in (登录), and one's own page (我的)."""

from urllib.parse import urlencode

from fastapi import Request, Response

from api.errors import status_of
from engine.connectors.oa.sites import connected
from engine.connectors.wecom.client import WeCom
from engine.errors import EngineError
from engine.org import demo, own, queries
from web.entrance import GO, client_of
from web.rendering import page, plain
from web.session import Anybody, Page, Router, Visitor, local_path

router = Router()


@router.get("/login")
def login(call: Anybody, next: str = "/") -> Response:  # noqa: A002  (the word that addresses use)
    """Show the login: a password, or in the demo whom to be."""
    return login_page(call.request, call.settings.demo, next)


def login_page(
    request: Request, is_demo: bool, following: str, *, number: str = "", message: str = "", status: int = 200
) -> Response:
    """Return the login page, with a refusal in place."""
    following = local_path(following, "/")
    return plain(
        request,
        "login.html",
        status,
        cast=list(demo.CAST.values()) if is_demo else [],
        following=following,
        wecom=f"{GO}?{urlencode({'next': following})}" if client_of(request) is not None else "",
        number=number,
        message=message,
        title="登录",
    )


@router.get("/account")
def account(call: Visitor) -> Response:
    """Show who one is, one's own settings, the senior mode, and the way out."""
    return account_page(call)


def account_page(call: Page, typed: own.Own | None = None, error: EngineError | None = None) -> Response:
    """Return one's own page, with what was typed and the refusal where there is one."""
    return page(
        call,
        "account.html",
        200 if error is None else status_of(error),
        card=queries.person_card(call.session, call.actor, call.actor.person_id),
        own=typed or own.own(call.session, call.actor),
        error=error,
        wecom=call.db.part(WeCom) is not None,
        mirrored=bool(connected(call.db)),
        title="我的",
        section="account",
    )
