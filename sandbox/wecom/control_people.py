"""Commands of the control API about people: members, departments, tags, and who sees an app."""

from typing import Any

from sandbox.wecom import directory
from sandbox.wecom.control_commands import command
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Department, Event, Json, Member
from sandbox.wecom.state import State


@command
def agent(state: State, agentid: int, **changes: Any) -> Json:
    """Change an app: its scope (users, parties, tags), domains, addresses, sensitive, secret, name, home_url."""
    with state.lock:
        found = state.agents[agentid]
        scope = {name: changes.pop(name, getattr(found, name)) for name in ("users", "parties", "tags")}
        directory.change_scope(state, found, **scope)
        for name, value in changes.items():
            if name not in ("domains", "addresses", "sensitive", "secret", "name", "home_url"):
                raise ApiError(40058, f"an app has no {name}")
            setattr(found, name, set(value) if isinstance(value, list) else value)
        state.touch()
        return {"users": sorted(found.users), "parties": sorted(found.parties), "tags": sorted(found.tags)}


@command
def add_member(state: State, **member: Any) -> Json:
    """Add a member: userid, name, departments and whatever else `records.Member` has."""
    return _told(directory.add_member(state, Member(**member)))


@command
def change_member(state: State, userid: str, changes: Json) -> Json:
    """Change a member: a new userid, departments, status, name …"""
    return _told(directory.change_member(state, userid, changes))


@command
def delete_member(state: State, userid: str) -> Json:
    """Delete a member."""
    return _told(directory.delete_member(state, userid))


@command
def add_department(state: State, **department: Any) -> Json:
    """Add a department: id, name, parentid."""
    return _told(directory.add_department(state, Department(**department)))


@command
def change_department(state: State, number: int, changes: Json) -> Json:
    """Change a department: name, parentid, order."""
    return _told(directory.change_department(state, number, changes))


@command
def delete_department(state: State, number: int) -> Json:
    """Delete an empty department."""
    return _told(directory.delete_department(state, number))


@command
def change_tag(state: State, number: int, **changes: Any) -> Json:
    """Make or change a tag, see `directory.change_tag`."""
    return _told(directory.change_tag(state, number, **changes))


def _told(sent: list[Event]) -> Json:
    return {"events": [event.id for event in sent]}
