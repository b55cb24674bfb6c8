"""An app about itself: its scope, its menu, and what it shows on the workbench (D 90227, 90231, 92535)."""

from typing import Any

from sandbox.wecom.api.endpoints import Ask, endpoint, messaging_agent, own_agent
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Json
from sandbox.wecom.state import State

_TYPES = ("normal", "keydata", "image", "list", "webview")
_LONGEST_TEXT, _LONGEST_URL = 64, 1024  # characters


@endpoint("GET", "agent/get")
def agent_get(state: State, ask: Ask) -> Json:
    """Return the app of the token with its visible scope."""
    agent = own_agent(ask, ask.query.get("agentid"))
    return {
        "agentid": agent.agentid,
        "name": agent.name,
        "square_logo_url": "",
        "description": agent.description,
        "allow_userinfos": {"user": [{"userid": state.members[key].userid} for key in sorted(agent.users)]},
        "allow_partys": {"partyid": sorted(agent.parties)},
        "allow_tags": {"tagid": sorted(agent.tags)},
        "close": 0,
        "redirect_domain": min(agent.domains, default=""),
        "report_location_flag": 0,
        "isreportenter": 1,
        "home_url": agent.home_url,
    }


@endpoint("GET", "agent/list")
def agent_list(state: State, ask: Ask) -> Json:
    """Return the app of the token, in a list."""
    agent = messaging_agent(ask)
    return {"agentlist": [{"agentid": agent.agentid, "name": agent.name, "square_logo_url": ""}]}


@endpoint("POST", "agent/set")
def agent_set(state: State, ask: Ask) -> Json:
    """Change what the console says of the app."""
    agent = own_agent(ask, ask.body.get("agentid"))
    if "description" in ask.body and not 4 <= len(ask.text("description")) <= 120:
        raise ApiError(45004, "description must have 4 to 120 characters")
    if "name" in ask.body and not 1 <= len(ask.text("name")) <= 32:
        raise ApiError(45022, "name must have 1 to 32 characters")
    agent.name = ask.text("name") or agent.name
    agent.description = ask.text("description") or agent.description
    agent.home_url = ask.text("home_url") or agent.home_url
    if ask.text("redirect_domain"):
        agent.domains = {ask.text("redirect_domain")}
    state.touch()
    return {}


@endpoint("POST", "menu/create")
def menu_create(state: State, ask: Ask) -> Json:
    """Set the menu below the app's chat: 1 to 3 buttons, each with 1 to 5 below it or a key or a url."""
    agent = own_agent(ask, ask.query.get("agentid"))
    buttons = ask.listed("button", dict)
    if not 1 <= len(buttons) <= 3:
        raise ApiError(40016, "invalid number of buttons")
    for button in buttons:
        below = button.get("sub_button") or []
        if len(below) > 5:
            raise ApiError(40023, "invalid number of sub buttons")
        for each in below or [button]:
            _check_menu_button(each)
    agent.menu = {"button": buttons}
    state.touch()
    return {}


@endpoint("GET", "menu/get")
def menu_get(state: State, ask: Ask) -> Json:
    """Return the menu."""
    agent = own_agent(ask, ask.query.get("agentid"))
    if agent.menu is None:
        raise ApiError(46003, "menu not set")
    return agent.menu


@endpoint("GET", "menu/delete")
def menu_delete(state: State, ask: Ask) -> Json:
    """Remove the menu."""
    own_agent(ask, ask.query.get("agentid")).menu = None
    state.touch()
    return {}


@endpoint("POST", "agent/set_workbench_template")
def set_workbench_template(state: State, ask: Ask) -> Json:
    """Say what kind of data the app shows on the workbench, and what to those who have none of their own."""
    agent = own_agent(ask, ask.body.get("agentid"))
    kind = ask.text("type")
    if kind not in _TYPES:
        raise ApiError(40058, "invalid type")
    if kind != "normal":
        _check_data(kind, ask.body.get(kind, {}), template=True)
    agent.template = None if kind == "normal" else {"type": kind, kind: ask.body.get(kind, {})}
    if ask.body.get("replace_user_data"):
        state.workbench = {key: data for key, data in state.workbench.items() if key[0] != agent.agentid}
    state.touch()
    return {}


@endpoint("POST", "agent/set_workbench_data")
def set_workbench_data(state: State, ask: Ask) -> Json:
    """Say what the app shows one member on the workbench; ten times a minute for each at most."""
    agent = own_agent(ask, ask.body.get("agentid"))
    member = state.member(ask.text("userid"))
    if member is None:
        raise ApiError(40003, "invalid userid")
    if not state.visible(agent, member.userid):
        raise ApiError(60021, "the member can't see the app")
    kind = ask.text("type")
    if agent.template is None or kind != agent.template["type"]:
        raise ApiError(40058, "type is not that of the template")
    data = ask.body.get(kind)
    _check_data(kind, data, template=False)
    if not state.within((agent.agentid, member.key, "workbench"), state.limits.workbench_minute, 60):
        raise ApiError(45009, "api freq out of limit")
    state.workbench[agent.agentid, member.key] = {"type": kind, kind: data}
    state.touch()
    return {}


def _check_data(kind: str, data: Any, *, template: bool) -> None:
    if not isinstance(data, dict):
        raise ApiError(40058, f"missing {kind}")
    if kind in ("keydata", "list"):
        items, most = data.get("items", [] if template else None), 4 if kind == "keydata" else 3
        if not isinstance(items, list) or len(items) > most or not all(isinstance(item, dict) for item in items):
            raise ApiError(40058, f"items must be at most {most}")
        for item in items:
            needed = "data" if kind == "keydata" else "title"
            if not template and not isinstance(item.get(needed), str):
                raise ApiError(40058, f"missing {needed}")
            if any(len(str(item.get(name, ""))) > _LONGEST_TEXT for name in ("key", "data")):
                raise ApiError(40058, f"key and data have {_LONGEST_TEXT} characters at most")
            if len(item.get("title", "").encode()) > 128 or len(item.get("jump_url", "")) > _LONGEST_URL:
                raise ApiError(40058, "title or jump_url is too long")
    elif not data.get("url") and not template:
        raise ApiError(40058, "missing url")


def _check_menu_button(button: Json) -> None:
    if button.get("type") not in ("click", "view"):
        raise ApiError(40017, "invalid type of a button")
    if not 1 <= len(str(button.get("name", "")).encode()) <= 40:
        raise ApiError(40018, "invalid length of a name")
    if button["type"] == "click" and not 1 <= len(str(button.get("key", "")).encode()) <= 128:
        raise ApiError(40019, "invalid length of a key")
    if button["type"] == "view" and not 1 <= len(str(button.get("url", "")).encode()) <= 1024:
        raise ApiError(40020, "invalid length of a url")
