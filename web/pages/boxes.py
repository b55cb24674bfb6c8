"""A person's boxes (待办、待阅、已办、我发起、抄送、草稿): the home page, and the list beside a detail at the desk."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Response
from starlette.responses import RedirectResponse

from api.boxes import OAView
from engine import clock
from engine.bpm import queries
from engine.bpm.queries import BoxRow, Filters
from engine.connectors.oa.inbound import queries as oa
from engine.connectors.oa.inbound.polling import poll_now, polled
from engine.connectors.oa.sites import connected
from engine.errors import EngineError, NotFound
from web.rendering import fragment, page
from web.session import Page, Router, Visitor

router = Router()

BOXES = {
    "todo": "待办",
    "read_todo": "待阅",
    "done": "已办",
    "started": "我发起",
    "copied": "抄送",
    "drafts": "草稿",
}
PERIODS = {"today": "今天", "week": "近 7 天", "month": "近 30 天", "year": "近一年"}
_DAYS = {"today": 0, "week": 6, "month": 29, "year": 364}
_KEPT = ("process", "text", "urgency", "period", "state", "overdue")
PAGE, MOST = 20, 100
_PATIENCE = 20  # seconds for which a page waits for the OAs
_MANY = 12  # processes of a filter that are still chosen from a list


@dataclass(frozen=True, slots=True)
class Listing:
    """A box as a page shows it: its rows, its filters, and its own address, to which everything comes back."""

    box: str
    rows: tuple[BoxRow, ...]
    next_cursor: str | None
    chosen: Mapping[str, str]
    processes: Mapping[str, str]
    outcomes: Mapping[uuid.UUID, str]

    @property
    def many(self) -> bool:
        """Whether the processes are so many that one types a name."""
        return len(self.processes) > _MANY

    @property
    def path(self) -> str:
        """The list's address with its filters."""
        return list_path(self.box, self.chosen)

    @property
    def filtered(self) -> int:
        """How many filters narrow the list."""
        return len(self.chosen)

    def link(self, row: BoxRow) -> str:
        """Return where a row leads; the way back to this list goes with it."""
        if self.box == "drafts" and row.item_id is None:
            return f"/start/{row.process_key}?draft={row.id}"
        target = f"/items/{row.item_id}" if row.item_id is not None else f"/instances/{row.instance_id}"
        return f"{target}?from={quote(self.path, safe='')}"


def list_path(box: str, chosen: Mapping[str, str]) -> str:
    """Return the address of a box with filters."""
    return f"/box/{box}" + (f"?{urlencode(chosen)}" if chosen else "")


def listing(call: Page, box: str, given: Mapping[str, str], *, cursor: str | None = None, show: int = PAGE) -> Listing:
    """Read a page of a box; `given` are filters as they stand in an address. Raises Invalid for bad ones."""
    chosen = {name: given[name].strip()[:200] for name in _KEPT if given.get(name, "").strip()}
    processes = None
    if chosen:
        processes = queries.box_processes(call.session, call.actor, box)
        _by_name(chosen, processes)
    found = queries.page(call.session, call.actor, box, filters=filters_of(chosen), cursor=cursor, limit=show)
    if processes is None:
        if cursor is None and found.next_cursor is None:  # this page is all there is
            processes = dict(sorted({r.process_key: r.process_name for r in found.rows}.items(), key=lambda p: p[1]))
        else:
            processes = queries.box_processes(call.session, call.actor, box)
    outcomes = (
        {row.id: queries.outcome_name(call.session, call.actor, row) for row in found.rows} if box == "done" else {}
    )
    return Listing(box, found.rows, found.next_cursor, chosen, processes, outcomes)


def _by_name(chosen: dict[str, str], processes: dict[str, str]) -> None:
    """Let a process be chosen by its name, as it is typed where there are many; keep one that is in the box no more."""
    if "process" not in chosen:
        return
    keys = [key for key, name in processes.items() if chosen["process"] in (key, name)]
    if keys:
        chosen["process"] = keys[0]
    else:
        processes[chosen["process"]] = chosen["process"]


def listing_of(call: Page, path: str) -> Listing | None:
    """Return the list whose address a detail carries, None where it isn't one (any more)."""
    box = urlsplit(path).path.removeprefix("/box/")
    if box not in BOXES:
        return None
    try:
        return listing(call, box, dict(parse_qsl(urlsplit(path).query)))
    except EngineError:
        return None


def filters_of(chosen: Mapping[str, str]) -> Filters:
    """Return what a list is narrowed to; what can't be understood leaves it as it is. Raises Invalid."""
    since = None
    if chosen.get("period") in _DAYS:
        first = clock.today() - timedelta(days=_DAYS[chosen["period"]])
        since = datetime.combine(first, time(), clock.LOCAL)
    urgency = chosen.get("urgency", "")
    return Filters(
        process=chosen.get("process"),
        text=chosen.get("text"),
        urgency=int(urgency) if urgency.isdecimal() and len(urgency) < 3 else None,
        since=since,
        state=chosen.get("state"),
        overdue=chosen.get("overdue") == "1",
    )


@router.get("/")
def home(call: Visitor) -> Response:
    """Send to the box where something waits."""
    counts = queries.counts(call.session, call.actor)
    return RedirectResponse("/box/read_todo" if counts.read_todo and not counts.todo else "/box/todo", 303)


@router.get("/box/oa")
def oa_box(call: Visitor, view: str = "", cursor: str | None = None, asked: int = 0) -> Response:
    """Show what waits in the OAs' own processes, or was handled there (`view`, see OAView), and have both asked for.

    A view that doesn't exist is an old or mistyped address, and shows what waits. `asked`: since when, for the script
    alone.
    """
    sites = connected(call.db)
    connections = polled(sites)
    if not connections:
        raise NotFound("没有这个列表", code="box_not_found")
    if not asked:
        call.later(lambda writing: poll_now(writing, sites, call.actor))
    now = int(clock.now().timestamp())
    lists = oa.freshness(call.session, call.actor, connections)
    handled = view == OAView.HANDLED
    found = (oa.handled if handled else oa.entries)(call.session, call.actor, cursor)
    values: dict[str, Any] = {
        "view": OAView.HANDLED if handled else "",
        "entries": found.rows,
        "cursor": found.next_cursor,
        "lists": lists,
        "names": {each.site.code: each.site.name for each in sites},
        "asked": asked or now,
        "asking": cursor is None and any(each.asked for each in lists) and now - (asked or now) < _PATIENCE,
        "phone": "mobile" in call.request.headers.get("user-agent", "").lower(),
    }
    if call.htmx and asked:
        return fragment(call, "part/oa_rows.html", **values)
    title = "OA 已办" if handled else "OA 待办"
    return page(call, "box_oa.html", boxes=BOXES, title=title, section="todo", **values)


@router.get("/box/{box}")
def box(call: Visitor, box: str, cursor: str | None = None, show: int = PAGE) -> Response:
    """Show a box; with `cursor` the rows after those of an earlier page, for the script alone."""
    if box not in BOXES:
        raise NotFound("没有这个列表", code="box_not_found")
    found = listing(call, box, call.request.query_params, cursor=cursor, show=max(1, min(show, MOST)))
    if call.htmx and cursor is not None:
        return fragment(call, "part/rows.html", listing=found, selected="")
    return page(
        call, "box.html", listing=found, boxes=BOXES, periods=PERIODS, selected="", title=BOXES[box], section="todo"
    )
