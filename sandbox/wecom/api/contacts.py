"""Contacts as apps may read them: members and departments of the visible scope (D 90196, 90208, 96067).

The secret of the contact synchronisation reads ids only (48009 otherwise), as for every corp that began to use it after
August 2022; `Agent.sensitive` makes it, or an app, one from before that.
"""

from sandbox.wecom.api.endpoints import Ask, endpoint
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import LEFT, Department, Json, Member
from sandbox.wecom.state import State

_MOST_IDS = 10_000


@endpoint("GET", "user/get")
def user_get(state: State, ask: Ask) -> Json:
    """Return one member; an app of today gets no mobile, mail, avatar or gender."""
    _details(ask)
    member = state.member(ask.required("userid", 41009))
    if member is None:
        raise ApiError(60111, "userid not found")
    if not state.visible(ask.agent, member.userid):
        raise ApiError(60011, "no privilege to access the member")
    return _member(state, ask, member)


@endpoint("GET", "user/list")
def user_list(state: State, ask: Ask) -> Json:
    """Return the members of a department with what the app may know of them."""
    _details(ask)
    return {"userlist": [_member(state, ask, member) for member in _asked(state, ask)]}


@endpoint("GET", "user/simplelist")
def user_simplelist(state: State, ask: Ask) -> Json:
    """Return the members of a department: userid, name, departments."""
    _details(ask)
    return {
        "userlist": [
            {
                "userid": member.userid,
                "name": member.name,
                "department": member.departments,
                "open_userid": f"open-{member.key}",
            }
            for member in _asked(state, ask)
        ]
    }


@endpoint("POST", "user/list_id")
def user_list_id(state: State, ask: Ask) -> Json:
    """Return pages of (userid, department), for the contact synchronisation only."""
    if not ask.agent.contacts:
        raise ApiError(48002, "api forbidden for this secret")
    limit = ask.body.get("limit", _MOST_IDS)
    if not isinstance(limit, int) or not 1 <= limit <= _MOST_IDS:
        raise ApiError(40058, "limit must be 1 to 10000")
    cursor = ask.text("cursor")
    if cursor and not (cursor.startswith("c-") and cursor[2:].isdigit()):
        raise ApiError(60268, "invalid cursor")
    begin = int(cursor[2:]) if cursor else 0
    pairs = [
        {"userid": member.userid, "department": department}
        for member in state.members.values()
        if member.status != LEFT
        for department in member.departments
    ]
    end = begin + limit
    return {"next_cursor": f"c-{end}" if end < len(pairs) else "", "dept_user": pairs[begin:end]}


@endpoint("GET", "department/list")
def department_list(state: State, ask: Ask) -> Json:
    """Return the departments in sight, below one of them where `id` says so."""
    _details(ask)
    return {
        "department": [
            {
                "id": department.id,
                "name": department.name,
                "name_en": "",
                "department_leader": department.leaders,
                "parentid": department.parentid,
                "order": department.order,
            }
            for department in _departments(state, ask)
        ]
    }


@endpoint("GET", "department/simplelist")
def department_simplelist(state: State, ask: Ask) -> Json:
    """Return the ids of the departments in sight."""
    found = _departments(state, ask)
    return {"department_id": [{"id": d.id, "parentid": d.parentid, "order": d.order} for d in found]}


@endpoint("GET", "department/get")
def department_get(state: State, ask: Ask) -> Json:
    """Return one department."""
    _details(ask)
    wanted = _department(state, ask, ask.required("id", 60123))
    return {
        "department": {
            "id": wanted.id,
            "name": wanted.name,
            "name_en": "",
            "department_leader": wanted.leaders,
            "parentid": wanted.parentid,
            "order": wanted.order,
        }
    }


def _details(ask: Ask) -> None:
    if ask.agent.contacts and not ask.agent.sensitive:
        raise ApiError(48009, "no permission to read details of contacts with this secret")


def _asked(state: State, ask: Ask) -> list[Member]:
    department = _department(state, ask, ask.required("department_id", 41019))
    deep = ask.query.get("fetch_child") == "1"
    return [m for m in state.members_of(department.id, deep) if state.visible(ask.agent, m.userid)]


def _department(state: State, ask: Ask, given: str) -> Department:
    found = state.departments.get(int(given)) if given.isdigit() else None
    if found is None:
        raise ApiError(60123, "invalid department id")
    if not state.sees(ask.agent, found.id):
        raise ApiError(60011, "no privilege to access the department")
    return found


def _departments(state: State, ask: Ask) -> list[Department]:
    below = ask.query.get("id")
    wanted = set(state.below(_department(state, ask, below).id)) if below else set(state.departments)
    return [d for d in state.departments.values() if d.id in wanted and state.sees(ask.agent, d.id)]


def _member(state: State, ask: Ask, member: Member) -> Json:
    known: Json = {
        "userid": member.userid,
        "name": member.name,
        "department": member.departments,
        "order": [member.order for _ in member.departments],
        "position": member.position,
        "is_leader_in_dept": [int(department in member.leads) for department in member.departments],
        "direct_leader": member.superiors,
        "telephone": "",
        "alias": member.alias,
        "open_userid": f"open-{member.key}",
        "main_department": member.main_department,
        "extattr": {"attrs": []},
        "status": member.status,
    }
    if ask.agent.sensitive:
        known |= {
            "mobile": member.mobile,
            "email": member.email,
            "biz_mail": "",
            "gender": member.gender,
            "avatar": "",
            "thumb_avatar": "",
        }
    return known
