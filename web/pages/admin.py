"""What process admins watch (流程监控): instances by state, incidents, the outbox (投递); and what auditors read."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from api.errors import status_of
from engine.bpm import queries
from engine.connectors.oa import oversight
from engine.connectors.oa.sites import connected
from engine.connectors.wecom import unreached
from engine.org.actor import ADMIN
from engine.org.queries import people_named
from web.activities import NAMES, told
from web.pages.boxes import PERIODS, filters_of
from web.pages.detail import Typed
from web.phrases import INCIDENTS, letters, systems
from web.rendering import STATES, fragment, page
from web.session import Page, Router, Visitor

router = Router()

_KEPT = ("state", "process", "text", "urgency", "period", "stuck")
_ACTIVITIES_KEPT = ("who", "verb", "period")


@router.get("/admin")
@router.get("/admin/instances")
def instances(call: Visitor, cursor: str | None = None) -> Response:
    """Show all instances by state."""
    chosen = _chosen(call, _KEPT)
    found = queries.instances(
        call.session, call.actor, filters=filters_of(chosen), stuck=chosen.get("stuck") == "1", cursor=cursor
    )
    values: dict[str, Any] = {"rows": found.rows, "next_cursor": found.next_cursor, "chosen": chosen}
    values["here_path"] = "/admin/instances" + (f"?{urlencode(chosen)}" if chosen else "")
    if call.htmx and cursor is not None:
        return fragment(call, "admin/rows.html", **values)
    return page(
        call,
        "admin/instances.html",
        **values,
        processes={row.key: row.name for row in queries.processes(call.session, call.actor)},
        state_names=STATES,
        periods=PERIODS,
        **tabs(call, "instances"),
        title="流程监控",
    )


@router.get("/admin/incidents")
def incidents(call: Visitor, resolved: bool = False, cursor: str | None = None) -> Response:
    """Show what is stuck, or what has been mended."""
    found = queries.incidents(call.session, call.actor, resolved=resolved, cursor=cursor)
    return page(
        call,
        "admin/incidents.html",
        rows=found.rows,
        next_cursor=found.next_cursor,
        resolved=resolved,
        kinds=INCIDENTS,
        may_mend=call.actor.has(ADMIN),
        **tabs(call, "incidents"),
        title="异常",
    )


@router.get("/admin/outbox")
def outbox(
    call: Visitor,
    system: str | None = None,
    topic: str | None = None,
    reason: str | None = None,
    cursor: str | None = None,
    count: int = 0,
    do: str = "",
    people: str | None = None,
) -> Response:
    """Show the channels, what waits and what was given up; with a system, topic and reason one by one.

    `people` is where the page of those begins whom messages don't reach.
    """
    alike = {name: text for name, text in (("system", system), ("topic", topic), ("reason", reason)) if text}
    found = None
    if alike:
        found = queries.letters(call.session, call.actor, system=system, topic=topic, reason=reason, cursor=cursor)
    return outbox_page(call, Typed(dialog=do), people, alike=alike, letters=found, count=count)


def outbox_page(call: Page, typed: Typed, people: str | None = None, **values: Any) -> Response:
    """Return the page of the outbox, with what was typed in a dialog and refused. Raises Forbidden."""
    channels = queries.channels(call.session, call.actor)
    outside = {row.system: row.pending for row in channels}
    values = {"alike": {}, "letters": None, "count": 0} | values
    return page(
        call,
        "admin/outbox.html",
        200 if typed.error is None else status_of(typed.error),
        channels=channels,
        stops=queries.channel_incidents(call.session, call.actor, limit=10),
        # a channel has its backlog beside it
        waiting=[row for row in queries.backlog(call.session, call.actor) if row.pending > outside.get(row.system, 0)],
        reasons=queries.reasons(call.session, call.actor),
        unreached=unreached.people(call.session, call.actor, cursor=people),
        cures=unreached.CURES,
        systems=systems(connected(call.db)),
        names=letters(connected(call.db)),
        typed=typed,
        may_mend=call.actor.has(ADMIN),
        **tabs(call, "outbox"),
        title="投递",
        **values,
    )


@router.get("/admin/activities")
def activities(call: Visitor, cursor: str | None = None) -> Response:
    """Show what was done beside the instances (操作记录): logins, roles, tokens, imports, deployments."""
    chosen = _chosen(call, _ACTIVITIES_KEPT)
    people = people_named(call.session, call.actor, chosen["who"]) if "who" in chosen else None
    found = queries.activities(
        call.session,
        call.actor,
        verb=chosen.get("verb"),
        people=people,
        since=filters_of(chosen).since,
        cursor=cursor,
    )
    values: dict[str, Any] = {"rows": found.rows, "next_cursor": found.next_cursor, "chosen": chosen}
    values |= {"names": NAMES, "told": told}
    if call.htmx and cursor is not None:
        return fragment(call, "admin/activity_rows.html", **values)
    return page(
        call,
        "admin/activities.html",
        **values,
        unknown=people == [],
        periods=PERIODS,
        **tabs(call, "activities"),
        title="操作记录",
    )


def _chosen(call: Page, names: Iterable[str]) -> dict[str, str]:
    given = call.request.query_params
    return {name: given[name].strip()[:200] for name in names if given.get(name, "").strip()}


def tabs(call: Page, here: str) -> dict[str, Any]:
    """Return what the tabs show: where one is, and where something is to be mended."""
    sites = connected(call.db)
    return {
        "section": "admin",
        "here": here,
        "left": bool(queries.leavers(call.session, call.actor, limit=1)),
        "troubled": bool(queries.incidents(call.session, call.actor, limit=1).rows),
        "undelivered": queries.channel_stopped(call.session, call.actor)
        or bool(queries.letters(call.session, call.actor, limit=1).rows),
        "mirrored": bool(sites),
        "differing": oversight.troubled(call.session, call.actor, sites),
    }
