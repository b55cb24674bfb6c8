"""Edits of the contacts (通讯录), as an administrator makes them in the console; each is told by change_contact events.

The events carry ids only, and come only where ids change, as for every callback set after August 2022 (D 90970, 96079):
who gets another name or is disabled is found by asking.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.wecom import callbacks
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import ROOT_DEPARTMENT, Agent, Department, Event, Json, Member, Tag
from sandbox.wecom.state import State


def add_member(state: State, member: Member) -> list[Event]:
    """Add a member (create_user)."""
    with state.lock:
        if state.member(member.userid):
            raise ApiError(60102, "userid exists")
        _known(state, member.departments)
        state.members[member.key] = member
        return _tell(state, "create_user", {"UserID": member.userid, "Department": _joined(member.departments)})


def change_member(state: State, userid: str, given: Mapping[str, Any]) -> list[Event]:
    """Change a member; only a new `userid` (NewUserID) and `departments` (Department) are told (update_user)."""
    with state.lock:
        member, changes = _member(state, userid), dict(given)
        _fields(member, changes)
        told: Json = {"UserID": member.userid}
        if changes.get("departments", member.departments) != member.departments:
            if not changes["departments"]:
                raise ApiError(60123, "a member is in one department at least")
            _known(state, changes["departments"])
            told["Department"] = _joined(changes["departments"])
            if member.main_department not in changes["departments"]:
                changes.setdefault("main_department", changes["departments"][0])
        if changes.get("userid", member.userid) != member.userid:
            if changes["userid"].lower() != member.key and state.member(changes["userid"]):
                raise ApiError(60102, "userid exists")
            told["NewUserID"] = changes["userid"]
        before = member.key
        vars(member).update(changes)
        if member.key != before:
            _rename(state, before, member)
        state.touch()
        return _tell(state, "update_user", told) if len(told) > 1 else []


def delete_member(state: State, userid: str) -> list[Event]:
    """Delete a member (delete_user)."""
    with state.lock:
        member = _member(state, userid)
        del state.members[member.key]
        for tag in state.tags.values():
            tag.users.discard(member.key)
        for agent in state.agents.values():
            agent.users.discard(member.key)
        return _tell(state, "delete_user", {"UserID": member.userid})


def add_department(state: State, department: Department) -> list[Event]:
    """Add a department (create_party)."""
    with state.lock:
        if department.id in state.departments:
            raise ApiError(60008, "department exists")
        _known(state, [department.parentid])
        state.departments[department.id] = department
        return _tell(state, "create_party", {"Id": department.id, "ParentId": str(department.parentid)})


def change_department(state: State, number: int, changes: Mapping[str, Any]) -> list[Event]:
    """Change a department; only a new parent is told (update_party)."""
    with state.lock:
        _known(state, [number])
        department = state.departments[number]
        _fields(department, changes)
        parent = changes.get("parentid", department.parentid)
        if parent != department.parentid:
            _known(state, [parent])
            if number in state.above(parent):
                raise ApiError(60010, "a department can't be below itself")
        moved = parent != department.parentid
        vars(department).update(changes)
        state.touch()
        return _tell(state, "update_party", {"Id": number, "ParentId": str(parent)}) if moved else []


def delete_department(state: State, number: int) -> list[Event]:
    """Delete an empty department (delete_party)."""
    with state.lock:
        _known(state, [number])
        if number == ROOT_DEPARTMENT:
            raise ApiError(60007, "the root stays")
        if state.members_of(number):
            raise ApiError(60005, "there are members in the department")
        if any(d.parentid == number for d in state.departments.values()):
            raise ApiError(60006, "there are departments below")
        del state.departments[number]
        return _tell(state, "delete_party", {"Id": number})


def change_tag(
    state: State,
    number: int,
    name: str = "",
    *,
    add_users: Iterable[str] = (),
    remove_users: Iterable[str] = (),
    add_parties: Iterable[int] = (),
    remove_parties: Iterable[int] = (),
) -> list[Event]:
    """Make or change a tag and whom it is on (update_tag)."""
    with state.lock:
        tag = state.tags.setdefault(number, Tag(number, name or f"标签{number}"))
        added, removed = [_member(state, u) for u in add_users], [_member(state, u) for u in remove_users]
        parties, gone = list(add_parties), list(remove_parties)
        _known(state, parties)
        tag.name = name or tag.name
        tag.users = (tag.users | {m.key for m in added}) - {m.key for m in removed}
        tag.parties = (tag.parties | set(parties)) - set(gone)
        told: Json = {"TagId": number}
        for field, values in (
            ("AddUserItems", [m.userid for m in added]),
            ("DelUserItems", [m.userid for m in removed]),
            ("AddPartyItems", parties),
            ("DelPartyItems", gone),
        ):
            if values:
                told[field] = _joined(values)
        return _tell(state, "update_tag", told)


def change_scope(
    state: State, agent: Agent, users: Iterable[str], parties: Iterable[int], tags: Iterable[int]
) -> list[Event]:
    """Set who sees an app, which is told of each who newly does (subscribe) or no longer does (unsubscribe)."""
    with state.lock:
        before = {m.key for m in state.members.values() if state.visible(agent, m.userid)}
        agent.users = {_member(state, userid).key for userid in users}
        agent.parties, agent.tags = set(parties), set(tags)
        after = {m.key for m in state.members.values() if state.visible(agent, m.userid)}
        state.touch()
        changes = [("subscribe", key) for key in sorted(after - before)]
        changes += [("unsubscribe", key) for key in sorted(before - after)]
        sent = [
            callbacks.post(state, agent.agentid, {"FromUserName": state.members[key].userid, "Event": name})
            for name, key in changes
        ]
        return [event for event in sent if event is not None]


def _tell(state: State, change: str, fields: Json) -> list[Event]:
    state.touch()
    told = {"FromUserName": "sys", "Event": "change_contact", "ChangeType": change, **fields}
    sent = [callbacks.post(state, agent.agentid, told) for agent in state.agents.values() if agent.contacts]
    return [event for event in sent if event is not None]


def _member(state: State, userid: str) -> Member:
    member = state.member(userid)
    if member is None:
        raise ApiError(60111, "userid not found")
    return member


def _known(state: State, departments: Iterable[int]) -> None:
    if any(number not in state.departments for number in departments):
        raise ApiError(60123, "invalid department id")


def _fields(record: Member | Department, changes: Mapping[str, Any]) -> None:
    if unknown := set(changes) - set(vars(record)):
        raise ApiError(40058, f"there is no {min(unknown)}")


def _joined(values: Iterable[object]) -> str:
    return ",".join(map(str, values))


def _rename(state: State, before: str, member: Member) -> None:
    """Move everything that is kept under a member's key."""
    state.members = {m.key: m for m in state.members.values()}
    if before in state.inboxes:
        state.inboxes[member.key] = state.inboxes.pop(before)
        for copy in state.inboxes[member.key]:
            copy.userid = member.userid
            copy.message.copies[member.key] = copy.message.copies.pop(before)
    for tag in state.tags.values():
        tag.users = {member.key if key == before else key for key in tag.users}
    for agent in state.agents.values():
        agent.users = {member.key if key == before else key for key in agent.users}
    for chat in state.chats.values():
        chat.userids = [member.userid if u.lower() == before else u for u in chat.userids]
        chat.owner = member.userid if chat.owner.lower() == before else chat.owner
    state.workbench = {(a, member.key if k == before else k): d for (a, k), d in state.workbench.items()}
