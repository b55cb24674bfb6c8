"""What process admins watch (流程监控): all instances by state, incidents; and what auditors read beside them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from fastapi import Response

from engine import clock
from engine.bpm import queries
from engine.bpm.queries import Filters
from engine.org.actor import ADMIN
from engine.org.queries import people_named
from web.activities import NAMES, told
from web.pages.boxes import PERIODS
from web.phrases import INCIDENTS
from web.rendering import STATES, fragment, page
from web.session import Page, Router, Visitor

router = Router()

_KEPT = ("state", "process", "text", "urgency", "period", "stuck")
_ACTIVITIES_KEPT = ("who", "verb", "period")
_DAYS = {"today": 0, "week": 6, "month": 29, "year": 364}


@router.get("/admin")
@router.get("/admin/instances")
def instances(call: Visitor, cursor: str | None = None) -> Response:
    """Show all instances by state."""
    chosen = _chosen(call, _KEPT)
    found = queries.instances(
        call.session, call.actor, filters=_filters(chosen), stuck=chosen.get("stuck") == "1", cursor=cursor
    )
    values: dict[str, Any] = {"rows": found.rows, "next_cursor": found.next_cursor, "chosen": chosen}
    values["here_path"] = "/admin/instances" + (f"?{urlencode(chosen)}" if chosen else "")
    if call.htmx and cursor is not None:
        return fragment(call, "admin/rows.html", **values)
    open_incidents = queries.incidents(call.session, call.actor, limit=1).rows
    return page(
        call,
        "admin/instances.html",
        **values,
        processes={row.key: row.name for row in queries.processes(call.session, call.actor)},
        state_names=STATES,
        periods=PERIODS,
        troubled=bool(open_incidents),
        title="流程监控",
        section="admin",
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
        title="异常",
        section="admin",
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
        since=_since(chosen),
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
        troubled=bool(queries.incidents(call.session, call.actor, limit=1).rows),
        title="操作记录",
        section="admin",
    )


def _chosen(call: Page, names: Iterable[str]) -> dict[str, str]:
    given = call.request.query_params
    return {name: given[name].strip()[:200] for name in names if given.get(name, "").strip()}


def _since(chosen: Mapping[str, str]) -> datetime | None:
    if chosen.get("period") not in _DAYS:
        return None
    return datetime.combine(clock.today() - timedelta(days=_DAYS[chosen["period"]]), time(), clock.LOCAL)


def _filters(chosen: Mapping[str, str]) -> Filters:
    urgency = chosen.get("urgency", "")
    return Filters(
        process=chosen.get("process"),
        text=chosen.get("text"),
        urgency=int(urgency) if urgency.isdecimal() and len(urgency) < 3 else None,
        since=_since(chosen),
        state=chosen.get("state"),
    )
