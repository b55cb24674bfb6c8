"""From an OA's list to the item (单点登录), with a session where the OA stands for who comes."""

import uuid
from collections.abc import Mapping
from urllib.parse import parse_qs

from fastapi import Request, Response
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse

from api.deps import Visit, keep_login
from api.errors import status_of
from engine.connectors.oa.entry import passing
from engine.connectors.oa.entry.passing import Passed
from engine.connectors.oa.sites import Connection, connected
from engine.crypto import Keys
from engine.errors import EngineError, Forbidden, Unauthenticated
from engine.org import auth
from engine.org.actor import Actor
from web.entrance import way_in
from web.rendering import plain
from web.session import Anybody, Router

router = Router()

_HEADINGS = {
    "oa_link_wrong": "链接没有通过核对",
    "oa_link_late": "链接已过期",
    "oa_link_used": "链接已用过",
    "oa_link_unknown": "账号没有对应的职工",
    "oa_link_locked": "没有通过的次数太多",
    "oa_link_guarded": "请用密码登录",
    "oa_away": "OA 暂时连不上",
}
_MOST_FIELDS = 20


@router.get("/oa/{code}/{item_id}")
def enter(call: Anybody, code: str, item_id: uuid.UUID) -> Response:
    """Lead on to an item of ours from the list of an OA: with its proof, with one's session, or by the login."""
    connection, now = connected(call.db).get(code), _current(call)
    call.request.state.refused = lambda error: refused_page(call.request, error, code, item_id, now)
    query = _query(call.request)
    if connection is None or not passing.brought(connection, query):
        return _on(call, code, item_id, now)
    current = None if now is None else now[0].person_id
    address = str(call.browser()["address"])
    call.session.close()  # nobody's connection is held while the OA is asked
    passed = passing.arrive(call.db, connection, item_id, query, address=address, current=current)
    if now is None:
        with call.db.unit_of_work() as session:
            return let_in(call, session, connection, passed, item_id)
    if passed.person_id == current:
        return _on(call, code, item_id, now)
    return _confirm(call, connection, passed, item_id, now)


def let_in(call: Visit, session: Session, connection: Connection, passed: Passed, item_id: uuid.UUID) -> Response:
    """Return the way on to the item, with the new session."""
    opened, actor = passing.enter(session, connection, passed, item_id, call.browser())
    answer = RedirectResponse(_place(passing.closed(session, actor, item_id), item_id), 303)
    keep_login(answer, call.settings, opened)
    return answer


def refused_page(
    request: Request, error: EngineError, code: str, item_id: uuid.UUID, now: tuple[Actor, str] | None
) -> Response:
    """Return the page that says why one isn't let in, and what helps; the session that there is stays."""
    return plain(
        request,
        "oa/refused.html",
        status_of(error),
        heading=_HEADINGS.get(error.code, "没有进入"),
        message=error.message,
        on=f"/oa/{code}/{item_id.hex}",
        current="" if now is None else now[0].name,
        title="从 OA 进入",
    )


def key_of(call: Visit) -> bytes:
    """Return the key that offers are made with."""
    return Keys.load(call.settings).key(passing.PURPOSE)


def _confirm(
    call: Visit, connection: Connection, passed: Passed, item_id: uuid.UUID, now: tuple[Actor, str]
) -> Response:
    """Ask whether another person is to be logged in here: a link alone must not change who one is."""
    actor, csrf = now
    return plain(
        call.request,
        "oa/confirm.html",
        site=connection.site,
        current=actor.name,
        passed=passed,
        offer=passing.offer(key_of(call), csrf, passed, connection.site.code, item_id),
        csrf=csrf,
        action=f"/oa/{connection.site.code}/{item_id.hex}",
        title="换人登录",
    )


def _on(call: Visit, code: str, item_id: uuid.UUID, now: tuple[Actor, str] | None) -> Response:
    """Return the way on with the session that there is, or by the login and then here again."""
    if now is None:
        return RedirectResponse(way_in(call.request, f"/oa/{code}/{item_id.hex}"), 303)
    with call.db.reading() as session:
        return RedirectResponse(_place(passing.closed(session, now[0], item_id), item_id), 303)


def _place(instance_id: uuid.UUID | None, item_id: uuid.UUID) -> str:
    return f"/items/{item_id}" if instance_id is None else f"/instances/{instance_id}"


def _current(call: Visit) -> tuple[Actor, str] | None:
    """Return who is logged in in this browser, and the guard of their forms."""
    try:
        actor, login = auth.authenticate(call.session, call.cookie or "")
    except Unauthenticated:
        return None
    return actor, login.csrf


def _query(request: Request) -> Mapping[str, list[str]]:
    """Return the query as it was sent; nothing of one that is no UTF-8 or has more in it than any OA adds."""
    try:
        return parse_qs(request.url.query, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Forbidden("这个链接不完整，请回到 OA 的列表里再点一次", code="oa_link_wrong") from None
