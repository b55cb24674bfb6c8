"""The login pages: inside the phone's webview nobody is asked, in a plain browser a member is picked (D 91022, 98151).

They stand for https://open.weixin.qq.com/connect/oauth2/authorize and https://login.work.weixin.qq.com/wwlogin/sso/login.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from sandbox.codes import fresh
from sandbox.wecom import constants
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Agent, Member, OAuthCode
from sandbox.wecom.state import State

OUTSIDER = "*"  # picked instead of a userid: somebody who isn't of the corp
_STATE = re.compile(r"[a-zA-Z0-9]{0,128}")
BASE, PRIVATE = "snsapi_base", "snsapi_privateinfo"
_SHOWN = 60  # members on the page
Demand = Callable[[State, Mapping[str, str]], Agent | None]


def routes(state: State) -> Sequence[BaseRoute]:
    """Return the routes of the two pages."""

    def authorize(request: Request) -> Response:
        """Enter inside WeCom: the phone's webview says by a cookie who looks."""
        query = request.query_params
        who = query.get("member") or request.cookies.get(constants.MEMBER_COOKIE, "")
        if query.get("scope") == PRIVATE and query.get("agentid") and who and not query.get("member"):
            return _consent(state, request, who)
        return _page(state, request, who, "网页授权", _demand_h5)

    def login(request: Request) -> Response:
        """Enter on the desktop, as by scanning a QR code: asks who, unless a phone of the page has just scanned it."""
        who = request.query_params.get("member") or request.cookies.get(constants.SCANNED_COOKIE, "")
        return _page(state, request, who, "企业微信登录", _demand_web)

    return [Route("/connect/oauth2/authorize", authorize), Route("/wwlogin/sso/login", login)]


def new_code(state: State, who: str, *, scope: str = "snsapi_base", agentid: int | None = None) -> str:
    """Return a code for a member, or for an outsider. Raises ApiError 40003 for a member who isn't there."""
    code = OAuthCode(fresh(43), state.now(), scope=scope, agentid=agentid)
    if who == OUTSIDER:
        code.openid = "o" + fresh(27)
    else:
        member = state.member(who)
        if member is None:
            raise ApiError(40003, "成员不存在或已离职")
        code.userid = member.userid
    state.oauth_codes[code.code] = code
    return code.code


def _page(state: State, request: Request, who: str, title: str, demand: Demand) -> Response:
    query = request.query_params
    with state.lock:
        try:
            agent = demand(state, query)
            _trusted(state, agent, query.get("redirect_uri", ""))
            if who:
                scope = query.get("scope", BASE) if agent else BASE  # D 91022: without agentid nothing private is told
                if scope == PRIVATE and agent and who != OUTSIDER and not state.visible(agent, who):
                    raise ApiError(50002, "你不在应用的可见范围内，请联系管理员")
                code = new_code(state, who, scope=scope, agentid=agent.agentid if agent else None)
                given = {"code": code, "state": query.get("state", "")}
                if "appid" in query and query.get("login_type"):
                    given["appid"] = query["appid"]
                return RedirectResponse(_with(query["redirect_uri"], given), 302)
        except ApiError as error:
            return _html("无法打开", f"<p>{escape(error.errmsg)}（{error.errcode}）</p>")
        return _html(title, _picker(state, agent, query))


def _demand_h5(state: State, query: Mapping[str, str]) -> Agent | None:
    _demand_common(query)
    if query.get("response_type") != "code" or query.get("scope") not in (BASE, PRIVATE):
        raise ApiError(40058, "response_type 应为 code，scope 应为 snsapi_base 或 snsapi_privateinfo")
    return _agent(state, query["agentid"]) if query.get("agentid") else None


def _demand_web(state: State, query: Mapping[str, str]) -> Agent | None:
    _demand_common(query)
    if query.get("login_type") != "CorpApp":
        raise ApiError(40058, "login_type 应为 CorpApp")
    return _agent(state, query.get("agentid", ""))


def _demand_common(query: Mapping[str, str]) -> None:
    if query.get("appid") != constants.CORP_ID:
        raise ApiError(40013, "appid 不是这个企业的 CorpID")
    if not _STATE.fullmatch(query.get("state", "")):
        raise ApiError(40058, "state 只能由字母和数字组成，最长 128 字节")


def _agent(state: State, agentid: str) -> Agent:
    agent = state.agents.get(int(agentid)) if agentid.isdigit() else None
    if agent is None or agent.contacts:
        raise ApiError(40056, "agentid 不是这个企业的应用")
    return agent


def _trusted(state: State, agent: Agent | None, address: str) -> None:
    """Refuse a redirect_uri outside the trusted domains: the app's, or those of any app where the link names none."""
    parts = urlsplit(address)
    agents = [agent] if agent else [a for a in state.agents.values() if not a.contacts]
    trusted = any(not a.domains or {parts.netloc, parts.hostname} & a.domains for a in agents)
    if parts.scheme not in ("http", "https") or not trusted:
        raise ApiError(50001, f"redirect_uri 的域名 {parts.netloc} 没有登记为可信域名")


def _with(address: str, given: Mapping[str, str]) -> str:
    parts = urlsplit(address)
    return parts._replace(query="&".join(filter(None, (parts.query, urlencode(given))))).geturl()


def _consent(state: State, request: Request, who: str) -> Response:
    """Ask the member of the webview whether the app may know what is private (手动授权)."""
    with state.lock:
        member, agentid = state.member(who), request.query_params["agentid"]
        try:
            agent = _agent(state, agentid)
        except ApiError as error:
            return _html("无法打开", f"<p>{escape(error.errmsg)}（{error.errcode}）</p>")
    asked = f"<p><b>{escape(agent.name)}</b> 申请获取{escape(member.name if member else who)}的手机号和邮箱</p>"
    button = f'<p><button name="member" value="{escape(who)}">同意</button></p>'
    return _html("授权", f"<form>{asked}{_hidden(request.query_params)}{button}</form>")


def _hidden(query: Mapping[str, str]) -> str:
    return "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in query.items()
        if name not in ("member", "sought")
    )


def _picker(state: State, agent: Agent | None, query: Mapping[str, str]) -> str:
    sought = query.get("sought", "").strip().lower()
    members = [m for m in state.members.values() if not sought or sought in m.key or sought in m.name.lower()]
    rows = "".join(_row(state, agent, member) for member in members[:_SHOWN])
    more = f"<p>另有 {len(members) - _SHOWN} 人，请输入姓名或账号查找</p>" if len(members) > _SHOWN else ""
    return (
        f"<p>沙箱里不用扫码：选一个人，就是他进入{escape(agent.name if agent else constants.CORP_NAME)}。</p>"
        f'<form>{_hidden(query)}<p class="search"><input name="sought" value="{escape(sought)}" '
        f'placeholder="姓名或账号" aria-label="姓名或账号" autofocus>'
        f'<button>查找</button></p><ul>{rows}<li><button name="member" value="{OUTSIDER}">'
        f"外部人员 <small>不是本企业成员</small></button></li></ul>{more}</form>"
    )


def _row(state: State, agent: Agent | None, member: Member) -> str:
    department = state.departments.get(member.main_department)
    outside = " · 不在应用可见范围" if agent and not state.visible(agent, member.userid) else ""
    about = f"{member.userid} · {department.name if department else ''}{outside}"
    return (
        f'<li><button name="member" value="{escape(member.userid)}">{escape(member.name)} '
        f"<small>{escape(about)}</small></button></li>"
    )


def _html(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f'<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>{escape(title)} · 企业微信沙箱</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="/phone/ui/icon.svg">'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>"
    )


_STYLE = """
body { max-width: 400px; margin: 0 auto; padding: 32px 16px; background: #dfe5ee; color: #1b2330; }
body, button, input { font: 16px/1.5 sans-serif; }
h1 { margin: 0; font-size: 20px; }
p { margin: 6px 0 16px; color: #4d586a; }
ul { margin: 0 0 16px; padding: 0; overflow: hidden; border-radius: 12px; background: #fff; list-style: none; }
li + li { border-top: 1px solid #e8ebf0; }
input, button { min-height: 44px; border: 0; border-radius: 8px; background: #fff; color: inherit; }
button { padding: 0 16px; color: #1d4f91; cursor: pointer; }
li button { width: 100%; border-radius: 0; color: inherit; text-align: left; }
li button:hover { background: #edf2f9; }
small { color: #5b6675; font-size: 13px; }
.search { display: flex; gap: 8px; }
.search input { flex: 1; min-width: 0; padding: 0 12px; }
"""
