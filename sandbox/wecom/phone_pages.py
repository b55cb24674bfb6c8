"""What the phone's pages have in common: templates and safe links."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from starlette.responses import HTMLResponse

from sandbox.pages import HEADERS, TEMPLATES
from sandbox.wecom import constants, phone_text

HERE = Path(__file__).parent


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
    loader=FileSystemLoader([HERE / "templates", TEMPLATES]), autoescape=True, trim_blocks=True, lstrip_blocks=True
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
