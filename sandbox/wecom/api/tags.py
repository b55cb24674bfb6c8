"""Tags (标签) on members and departments (D 90209–90216)."""

from sandbox.wecom.api.endpoints import Ask, endpoint
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Json, Tag
from sandbox.wecom.state import State

_LONGEST_NAME, _MOST = 32, 1000


@endpoint("POST", "tag/create")
def tag_create(state: State, ask: Ask) -> Json:
    """Make a tag, with the number that is given or the next one."""
    name = _name(state, ask)
    number = ask.body.get("tagid") or max(state.tags, default=0) + 1
    if not isinstance(number, int) or number in state.tags:
        raise ApiError(40068, "invalid tagid")
    state.tags[number] = Tag(number, name)
    return {"tagid": number}


@endpoint("POST", "tag/update")
def tag_update(state: State, ask: Ask) -> Json:
    """Rename a tag."""
    tag = _tag(state, ask.body.get("tagid"))
    tag.name = _name(state, ask)
    return {}


@endpoint("GET", "tag/delete")
def tag_delete(state: State, ask: Ask) -> Json:
    """Delete a tag."""
    del state.tags[_tag(state, ask.query.get("tagid")).tagid]
    return {}


@endpoint("GET", "tag/list")
def tag_list(state: State, ask: Ask) -> Json:
    """Return all tags."""
    return {"taglist": [{"tagid": tag.tagid, "tagname": tag.name} for tag in state.tags.values()]}


@endpoint("GET", "tag/get")
def tag_get(state: State, ask: Ask) -> Json:
    """Return whom a tag is on, as far as the app sees them."""
    tag = _tag(state, ask.query.get("tagid"))
    members = [m for key in sorted(tag.users) if (m := state.member(key)) and state.visible(ask.agent, m.userid)]
    return {
        "tagname": tag.name,
        "userlist": [{"userid": member.userid, "name": member.name} for member in members],
        "partylist": sorted(party for party in tag.parties if state.sees(ask.agent, party)),
    }


@endpoint("POST", "tag/addtagusers")
def add_tag_users(state: State, ask: Ask) -> Json:
    """Put a tag on members and departments; those that aren't there are named in the answer."""
    tag, users, parties, wrong = _given(state, ask)
    tag.users |= users
    tag.parties |= parties
    return wrong


@endpoint("POST", "tag/deltagusers")
def delete_tag_users(state: State, ask: Ask) -> Json:
    """Take a tag off members and departments."""
    tag, users, parties, wrong = _given(state, ask)
    tag.users -= users
    tag.parties -= parties
    return wrong


def _name(state: State, ask: Ask) -> str:
    name = ask.text("tagname")
    if not name or len(name) > _LONGEST_NAME:
        raise ApiError(40072, "invalid length of the name")
    if any(tag.name == name for tag in state.tags.values()):
        raise ApiError(40071, "the name exists")
    return name


def _tag(state: State, given: object) -> Tag:
    number = int(given) if isinstance(given, int | str) and str(given).isdigit() else 0
    if not number:
        raise ApiError(41017, "missing tagid")
    if number not in state.tags:
        raise ApiError(40068, "invalid tagid")
    return state.tags[number]


def _given(state: State, ask: Ask) -> tuple[Tag, set[str], set[int], Json]:
    tag = _tag(state, ask.body.get("tagid"))
    users, parties = ask.listed("userlist"), ask.listed("partylist", int)
    if not users and not parties:
        raise ApiError(40063, "nobody named")
    if len(users) > _MOST or len(parties) > 100:
        raise ApiError(81014, "too many at once")
    known = {u.lower() for u in users if state.member(u)}
    there = {p for p in parties if p in state.departments}
    if not known and not there:
        raise ApiError(40070, "all invalid")
    wrong: Json = {}
    if missing := [u for u in users if u.lower() not in known]:
        wrong["invalidlist"] = "|".join(missing)
    if lost := [p for p in parties if p not in there]:
        wrong["invalidparty"] = lost
    return tag, known, there, wrong
