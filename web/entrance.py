"""The way in (入口): silently through WeCom where a page is opened in it, to the login page anywhere else."""

from urllib.parse import quote, urlsplit

from fastapi import Request

from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.settings import WeComSettings
from web.session import local_path

GO = "/wecom/go"


def client_of(request: Request) -> WeCom | None:
    """Return WeCom's client, None where WeCom isn't used."""
    found: WeCom | None = request.app.state.db.part(WeCom)
    return found


def inside(request: Request) -> bool:
    """Whether the page is opened in WeCom's own browser, on a telephone or at the desk."""
    return "wxwork/" in request.headers.get("user-agent", "").lower()


def through_wecom(request: Request) -> WeComSettings | None:
    """Return the application's settings where a page is opened in WeCom and WeCom is used, otherwise None."""
    client = client_of(request) if inside(request) else None
    return None if client is None else client.settings


def way_in(request: Request, here: str = "") -> str:
    """Return the address at which a stranger who asked for something comes in, and then goes on to it, or to `here`.

    In WeCom whose session has ended while our script sent something comes back to that page: what they typed is kept
    there. A form that the browser itself sends may not lead to another site (form-action), so it leads to the login.
    """
    here = here or request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wecom = through_wecom(request) is not None
    if request.method != "GET":
        wecom = wecom and request.headers.get("hx-request") == "true"
        here = _page_before(request) if wecom else "/"
    start = GO if wecom else "/login"
    return start if here == "/" else f"{start}?next={quote(here, safe='')}"


def target_of(text: str) -> str:
    """Return the page of ours to which an entry leads; never one that leads in by itself."""
    found = local_path(text, "/")
    return "/" if found.startswith(("/wecom/", "/login", "/logout")) else found


def _page_before(request: Request) -> str:
    try:
        before = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    if before.netloc != request.headers.get("host"):
        return "/"
    return local_path(before.path + (f"?{before.query}" if before.query else ""), "/")
