"""Opening a link from a chat as a member.

A plain browser can't be given WeCom's user agent, and the app's pages refuse to be framed. So a link goes to the
stand-in first, which notes whose phone it was and passes on to the app's own entry. That leads a plain browser to the
login page for desks (`oauth.login`), which for a moment takes the code as scanned by that phone and asks nothing. A
browser that says `wxwork/…` is sent straight to the page, as in WeCom.
"""

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.wecom import constants, phone_text
from sandbox.wecom.phone_pages import page
from sandbox.wecom.records import Agent
from sandbox.wecom.state import State

ENTRY = "/wecom/go?next="  # of Piyue: begins a login through WeCom, which then opens the page
SCANNED_SECONDS = 20


def routes(state: State) -> list[BaseRoute]:
    """Return the route that opens links."""

    def webview(request: Request) -> Response:
        userid, url = request.query_params.get("as", ""), request.query_params.get("url", "")
        with state.lock:
            member = state.member(userid)
            known = any(belongs(agent, url) for agent in state.agents.values())
        if member is None:
            return _told(404, "没有这个成员", f"企业里没有账号“{userid}”，回到手机页面另选一位。")
        if not phone_text.is_web(url):
            return _told(400, "打不开这个链接", "企业微信只打开 http 和 https 的链接。")
        if not known:
            return _told(200, "即将离开企业微信", "这个链接不在应用的可信域名里，请确认来源后再打开。", url)
        target = url
        if "wxwork/" not in request.headers.get("user-agent", ""):
            parts = urlsplit(url)
            origin = f"{parts.scheme}://{parts.netloc}"
            target = f"{origin}{ENTRY}{quote(url[len(origin) :] or '/', '')}"
        answer = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        answer.set_cookie(constants.MEMBER_COOKIE, member.userid, httponly=True, samesite="lax")
        answer.set_cookie(
            constants.SCANNED_COOKIE,
            member.userid,
            max_age=SCANNED_SECONDS,
            path="/wwlogin",
            httponly=True,
            samesite="lax",
        )
        return answer

    return [Route("/webview", webview)]


def home(agent: Agent) -> str:
    """Return the address of an app's first page: its home, or the root of where its callbacks go."""
    if agent.home_url or agent.callback is None:
        return agent.home_url
    parts = urlsplit(agent.callback.url)
    return f"{parts.scheme}://{parts.netloc}/"


def belongs(agent: Agent, url: str) -> bool:
    """Return whether an address is one of an app's pages: in its trusted domains, or where its callback or home is."""
    parts = urlsplit(url)
    first = urlsplit(home(agent))
    if (parts.scheme, parts.netloc) == (first.scheme, first.netloc):
        return True
    return parts.scheme in ("http", "https") and bool({parts.netloc, parts.hostname} & agent.domains)


def _told(status: int, title: str, why: str, url: str = "") -> Response:
    return page("outside.html", status, title=title, why=why, url=url)
