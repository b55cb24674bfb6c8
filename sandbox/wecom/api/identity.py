"""Who entered, and what pages of an app may do: OAuth codes, user tickets, JS-SDK tickets (D 91023, 95833)."""

from sandbox.codes import fresh
from sandbox.wecom.api.endpoints import Ask, endpoint, messaging_agent
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import OAUTH_SECONDS, TICKET_SECONDS, TOKEN_SECONDS, Json, OAuthCode
from sandbox.wecom.state import State


@endpoint("GET", "auth/getuserinfo", counted=False)
def get_user_info(state: State, ask: Ask) -> Json:
    """Return who a code stands for: a member, in the app's scope or not, or an outsider's openid."""
    agent = messaging_agent(ask)
    code = _spent(state, ask)
    if not code.userid:
        return {"openid": code.openid}
    answer: Json = {"userid": code.userid}
    if code.scope == "snsapi_privateinfo" and state.visible(agent, code.userid):
        ticket = fresh(64)
        state.user_tickets[ticket] = (code.userid, state.now() + TICKET_SECONDS)
        answer["user_ticket"] = ticket
    return answer


@endpoint("GET", "user/getuserinfo", counted=False)
def get_user_info_before(state: State, ask: Ask) -> Json:
    """Return the same in the older spelling, which wechatpy asks for."""
    messaging_agent(ask)
    code = _spent(state, ask)
    return {"UserId": code.userid, "DeviceId": ""} if code.userid else {"OpenId": code.openid, "DeviceId": ""}


@endpoint("POST", "auth/getuserdetail")
def get_user_detail(state: State, ask: Ask) -> Json:
    """Return what a member has let the app know: mobile, mail and so on."""
    agent = messaging_agent(ask)
    userid, until = state.user_tickets.get(ask.text("user_ticket"), ("", 0.0))
    member = state.member(userid) if until > state.now() else None
    if member is None:
        raise ApiError(40035, "invalid user_ticket")
    if not state.visible(agent, member.userid):
        raise ApiError(50002, "the member is out of scope")
    return {
        "userid": member.userid,
        "gender": member.gender,
        "avatar": "",
        "qr_code": "",
        "mobile": member.mobile,
        "email": member.email,
        "biz_mail": "",
        "address": "",
    }


@endpoint("GET", "get_jsapi_ticket")
def get_jsapi_ticket(state: State, ask: Ask) -> Json:
    """Return the ticket by which ww.register signs for the corp."""
    return _ticket(state, "corp", ask)


@endpoint("GET", "ticket/get")
def get_agent_ticket(state: State, ask: Ask) -> Json:
    """Return the ticket by which ww.register signs for the app."""
    if ask.query.get("type") != "agent_config":
        raise ApiError(40058, "invalid type")
    return _ticket(state, f"agent {messaging_agent(ask).agentid}", ask)


@endpoint("GET", "getcallbackip")
def get_callback_ip(state: State, ask: Ask) -> Json:
    """Return where callbacks come from."""
    return {"ip_list": ["127.0.0.1"]}


@endpoint("GET", "get_api_domain_ip")
def get_api_domain_ip(state: State, ask: Ask) -> Json:
    """Return where the server API is."""
    return {"ip_list": ["127.0.0.1"]}


def _spent(state: State, ask: Ask) -> OAuthCode:
    """Return a code that nobody has used and that is young enough; it is used then."""
    given = ask.required("code", 41008)
    code = state.oauth_codes.get(given)
    if code is None:
        raise ApiError(40029, "invalid code")
    if code.used:
        raise ApiError(42022, "code has been used")
    if code.at + OAUTH_SECONDS <= state.now():
        raise ApiError(42003, "code expired")
    if code.agentid is not None and code.agentid != ask.agent.agentid:
        raise ApiError(50001, "the code was given out for another app's domain")
    code.used = True
    return code


def _ticket(state: State, what: str, ask: Ask) -> Json:
    limits, kind = state.limits, what.partition(" ")[0]
    if not (
        state.within((kind, ask.agent.agentid, "ticket"), limits.tickets_agent_hour, 3600)
        and state.within((kind, "ticket"), limits.tickets_hour, 3600)
    ):
        raise ApiError(45009, "api freq out of limit")
    now = state.now()
    ticket, until = state.js_tickets.get(what, ("", 0.0))
    if until <= now:
        ticket, until = fresh(86), now + TOKEN_SECONDS
        state.js_tickets[what] = (ticket, until)
    return {"ticket": ticket, "expires_in": int(until - now)}
