"""What the phone's pages have in common: templates, safe links, who may ask."""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from inspect import isawaitable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from sandbox.wecom import constants, phone_text

HERE = Path(__file__).parent
Handler = Callable[[Request], Response | Awaitable[Response]]
HEADERS = {
    # pictures in messages come from wherever the app says
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src http: https: data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def webview_url(userid: str, url: str) -> str:
    """Return the address that opens a link as a member."""
    return f"/webview?as={quote(userid, '')}&url={quote(url, '')}"


def window_name(userid: str) -> str:
    """Return the name of a member's webview window: a second link opens in the same one."""
    return f"piyue-webview-{userid}"


def anchor(userid: str) -> phone_text.Link:
    """Return how a link in a text is written for a member."""

    def link(url: str, label: str) -> str:
        return Markup('<a href="{}" target="{}" data-webview>{}</a>').format(
            webview_url(userid, url), window_name(userid), label
        )

    return link


def picture(url: str | None) -> str:
    """Return the address of a picture where the browser may load it; nothing otherwise."""
    return url if url and phone_text.is_web(url) else ""


_TEMPLATES = Environment(
    loader=FileSystemLoader(HERE / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
_TEMPLATES.globals.update(
    corp=constants.CORP_NAME,
    agent_name=constants.AGENT_NAME,
    webview=webview_url,
    window=window_name,
    picture=picture,
    media=lambda media_id: f"/phone/media/{quote(str(media_id), '')}",
    text=lambda content, userid: phone_text.plain(content, anchor(userid)),
    markdown=lambda content, userid: phone_text.markdown(content, anchor(userid)),
    card_text=phone_text.card,
    whole=phone_text.whole,
)


def part(template: str, name: str, facts: Mapping[str, Any], *arguments: Any) -> str:
    """Return what a macro of a template makes of its arguments; `facts` are known in it by name."""
    return str(getattr(_TEMPLATES.get_template(template).make_module(dict(facts)), name)(*arguments))


def page(template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """Return a page."""
    return HTMLResponse(_TEMPLATES.get_template(template).render(facts), status, HEADERS)


def is_loopback(request: Request) -> bool:
    """Return whether a request comes from this machine and was meant for it (a rebound name was not)."""
    return _local(request.client.host if request.client else "") and _local(request.url.hostname or "")


def own(handler: Handler) -> Handler:
    """Refuse what another website's page sends: a member's click is made on the phone page only."""

    @wraps(handler)
    async def guarded(request: Request) -> Response:
        origin = request.headers.get("origin")
        same = origin is None or urlsplit(origin).netloc == request.headers.get("host")
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or not same:
            return PlainTextResponse("只接受手机页面自己发出的请求", 403)
        answer = handler(request)
        return await answer if isawaitable(answer) else answer

    return guarded


def _local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
