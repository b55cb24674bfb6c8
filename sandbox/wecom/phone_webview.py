"""Opening a link from a chat as a member.

A plain browser can't be given WeCom's user agent, and the app's pages refuse to be framed. So a link goes to the stand-in
first, which notes whose phone it was and passes on to the app's own entry; that asks the stand-in's OAuth who is there,
and gets the member without a question. A browser that says `wxwork/…` itself is sent straight to the page, as WeCom does.
"""

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.wecom import constants, phone_text
from sandbox.wecom.phone_pages import page
from sandbox.wecom.records import Agent
from sandbox.wecom.state import State

ENTRY = "/wecom/enter/start?next="  # of Piyue: begins the login in WeCom, then opens the page


def routes(state: State) -> list[BaseRoute]:
    """Return the route that opens links."""

    def webview(request: Request) -> Response:
        userid, url = request.query_params.get("as", ""), request.query_params.get("url", "")
        with state.lock:
            member = state.member(userid)
            origins = {origin for agent in state.agents.values() for origin in app_origins(agent)}
        if member is None:
            return page("outside.html", 404, title="没有这个成员", why=f"企业里没有账号“{userid}”，回到手机页面另选一位。", url="")
        if not phone_text.is_web(url):
            return page("outside.html", 400, title="打不开这个链接", why="企业微信只打开 http 和 https 的链接。", url="")
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}".lower() not in origins:
            return page("outside.html", title="即将离开企业微信", why="这个链接不在应用的可信域名里，请确认来源后再打开。", url=url)
        target = url
        if "wxwork/" not in request.headers.get("user-agent", ""):
            path = url[len(f"{parts.scheme}://{parts.netloc}") :] or "/"
            target = f"{parts.scheme}://{parts.netloc}{ENTRY}{quote(path, '')}"
        answer = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        answer.set_cookie(constants.MEMBER_COOKIE, member.userid, httponly=True, samesite="lax")
        return answer

    return [Route("/webview", webview)]


def app_origins(agent: Agent) -> set[str]:
    """Return where an app's pages are: of its callback, its home page, its trusted domains."""
    addresses = [agent.callback.url if agent.callback else "", agent.home_url]
    found = {f"{(at := urlsplit(address)).scheme}://{at.netloc}".lower() for address in addresses if address}
    return found | {f"{scheme}://{domain}".lower() for domain in agent.domains for scheme in ("http", "https")}
