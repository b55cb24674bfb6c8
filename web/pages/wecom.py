"""In WeCom (企业微信): the way out to it and back, the page of those who join, and what our script asks for there."""

from typing import Annotated
from urllib.parse import urlencode, urlsplit

from fastapi import Query, Request, Response
from starlette.responses import JSONResponse, RedirectResponse

from api.deps import Visit, cookie_name, keep_login, set_cookie
from api.errors import status_of
from engine.connectors.wecom import accounts
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.errors import unavailable
from engine.connectors.wecom.entry import arriving, joining, states
from engine.connectors.wecom.entry.arriving import Arrival
from engine.connectors.wecom.entry.codes import Codes
from engine.crypto import Keys
from engine.errors import EngineError, Forbidden, Invalid, NotFound
from web.entrance import GO, client_of, inside, target_of
from web.rendering import plain
from web.session import Anybody, Router, Visitor

router = Router()

_KEPT = 3600  # seconds that a browser's token stays: there and back, and time to join
_MOST_PEOPLE = 200
_HEADINGS = {
    "entry_state": "这次进入已失效",
    "entry_declined": "没有得到授权",
    "wecom_entry_expired": "登录凭证已失效",
    "entry_outsider": "您不是本院成员",
    "entry_scope": "应用还没有对您开放",
    "entry_unknown": "还不知道您是谁",
    "entry_disabled": "您的账号已停用",
    "entry_loop": "进入的次数太多",
    "wecom_unavailable": "企业微信暂时连不上",
}
_NOWHERE = {"place": "", "message": ""}
_AWAY = "批阅现在连不上企业微信，您的待办和数据不受影响。请稍等几秒再试，或先用工号和密码登录"


@router.get(GO)
def go(call: Anybody, next: str = "/", private: bool = False) -> Response:  # noqa: A002
    """Send the browser to WeCom, from where it comes back to `enter`."""
    target = target_of(next)
    call.request.state.refused = lambda error: refused_page(call.request, error, target)
    begun = arriving.begin(
        client(call).settings,
        _key(call),
        back=f"{call.settings.base_url.rstrip('/')}/wecom/enter",
        browser=browser_token(call),
        ways=_ways(call),
        target=target,
        inside=inside(call.request),
        private=private,
    )
    answer = RedirectResponse(begun.url, 303)
    set_cookie(answer, call.settings, begun.browser, max_age=_KEPT, name=_cookie(call))
    return _keep_ways(answer, call, begun.ways)


@router.get("/wecom/enter")
def enter(call: Anybody, code: str = "", state: str = "") -> Response:
    """Let in who comes back from WeCom: with a session to the page that was asked for, or first to join."""
    call.request.state.refused = lambda error: refused_page(call.request, error, "/")
    wecom = client(call)
    with call.db.unit_of_work() as session:
        returned = arriving.come_back(session, _key(call), state, browser_token(call), _ways(call))
    call.request.state.refused = lambda error: refused_page(call.request, error, returned.target)
    arrival = arriving.arrive(call.db, wecom, returned, code[:512], call.browser())
    if arrival.login is None:
        query = {"state": state, **({"differs": "1"} if arrival.differs else {})}
        return _keep_ways(RedirectResponse(f"/wecom/join?{urlencode(query)}", 303), call, returned.ways)
    return _keep_ways(let_in(call, arrival), call, returned.ways)


@router.get("/wecom/join")
def join(call: Anybody, state: str = "", again: bool = False, differs: bool = False) -> Response:
    """Show how far one's joining is: who one is, where the code goes, the code."""
    call.request.state.refused = lambda error: refused_page(call.request, error, "/")
    return join_page(call, state, again=again, differs=differs)


def join_page(
    call: Visit,
    state: str,
    *,
    again: bool = False,
    differs: bool = False,
    error: EngineError | None = None,
    number: str = "",
    name: str = "",
) -> Response:
    """Return the page of who joins, with a refusal in place. Raises Forbidden where there is nobody to join."""
    with call.db.reading() as session:
        joiner = joining.joiner(session, codes(call), state, browser_token(call))
    has_mobile = joiner.person is not None and bool(joiner.person.mobile)
    return plain(
        call.request,
        "wecom/join.html",
        200 if error is None else status_of(error),
        joiner=joiner,
        state=state,
        naming=joiner.person is None or (again and joiner.named),
        error=error,
        wrong=next(iter(error.errors), _NOWHERE) if isinstance(error, Invalid) else _NOWHERE,
        number=number,
        name=name,
        differs=differs,
        private=inside(call.request) and not (joiner.named or differs) and has_mobile,
        go=GO,
        title="核实身份",
    )


def refused_page(request: Request, error: EngineError, target: str) -> Response:
    """Return the page that says why one doesn't come in, and whom to ask; it never leads on by itself."""
    away = error.code == "wecom_unavailable"
    query = urlencode({"next": target}) if target != "/" else ""
    return plain(
        request,
        "wecom/refused.html",
        status_of(error),
        heading=_HEADINGS.get(error.code, "没有进入"),
        message=_AWAY if away else error.message,
        again=f"{GO}?{query}" if query else GO,
        password=f"/login?{query}" if query else "/login",
        title="企业微信登录",
    )


def let_in(call: Visit, arrival: Arrival) -> Response:
    """Return the way on to the page that was asked for, with the new session."""
    assert arrival.login is not None
    answer = RedirectResponse(arrival.target, 303)
    keep_login(answer, call.settings, arrival.login)
    return answer


def browser_token(call: Visit) -> str:
    """Return the token of this browser, which its entries are bound to; empty where it has none."""
    return call.request.cookies.get(_cookie(call), "")


def _cookie(call: Visit) -> str:
    return f"{cookie_name(call.settings)}-wecom"


def _ways(call: Visit) -> str:
    return call.request.cookies.get(f"{_cookie(call)}-ways", "")


def _keep_ways(answer: Response, call: Visit, ways: str) -> Response:
    lasts = int(states.LASTS.total_seconds())
    set_cookie(answer, call.settings, ways, max_age=lasts, name=f"{_cookie(call)}-ways")
    return answer


def _key(call: Visit) -> bytes:
    return Keys.load(call.settings).key(states.PURPOSE)


def client(call: Visit) -> WeCom:
    """Return WeCom's client. Raises NotFound where WeCom isn't used."""
    found = client_of(call.request)
    if found is None:
        raise NotFound("这里没有启用企业微信，请用工号和密码登录", code="wecom_off")
    return found


def codes(call: Visit) -> Codes:
    """Return what codes are made with. Raises Forbidden where nobody can join."""
    found = call.db.part(Codes)
    if found is None:
        raise Forbidden("没有设置验证码的发送方式，请联系信息科", code="entry_unknown")
    return found


# -- what our script asks for in WeCom


@router.get("/wecom/js-config")
def js_config(call: Visitor, url: Annotated[str, Query(max_length=2000)]) -> Response:
    """Sign one of our own pages for the JS-SDK: by the configured address, not by the host that a request names."""
    if not url.startswith(("https://", "http://")) or _host(url) != _host(call.settings.base_url):
        raise Forbidden("只能为批阅自己的页面签名", code="foreign_page")
    wecom = client(call)
    call.session.close()  # nobody's connection is held while WeCom is asked
    with unavailable():
        corp, agent = wecom.js_config(url), wecom.agent_js_config(url)
    return JSONResponse(
        {"corpId": corp.corp_id, "agentId": agent.agent_id, "corp": corp.for_sdk(), "agent": agent.for_sdk()}
    )


@router.get("/wecom/people")
def people(call: Visitor, userid: Annotated[list[str], Query(max_length=_MOST_PEOPLE)]) -> Response:
    """Say who of ours the members are that somebody has picked in WeCom."""
    client(call)
    found = accounts.people_of(call.session, userid)
    return JSONResponse({"people": [{"userid": member, "id": str(id_), "name": name} for member, id_, name in found]})


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
