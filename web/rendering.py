"""Templates: one Jinja2 environment per process, its filters for Chinese readers, and what every page knows."""

import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from engine import clock, notices
from engine.bpm import queries
from engine.bpm.runtime import Awaited
from engine.connectors.oa.inbound import queries as oa
from engine.connectors.oa.inbound.polling import polled
from engine.connectors.oa.sites import connected
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, SYSTEM_ADMIN
from engine.org.pinyin import is_compound
from web.entrance import through_wecom
from web.session import Page

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
URGENCIES = ("普通", "平急", "加急", "特急")
STATES = {"running": "办理中", "completed": "已办结", "withdrawn": "已撤销", "terminated": "已终止"}
AWAITED = {"timer": "等待时间", "message": "等待消息", "signal": "等待信号", "job": "系统处理中"}
CARE, WIDE = "piyue_care", "piyue_wide"  # cookies: senior mode (关怀模式), and whether two panes fit


def environment(cache_folder: Path) -> Environment:
    """Return the environment; compiled templates are kept in `cache_folder`."""
    cache_folder.mkdir(parents=True, exist_ok=True)
    env = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=FileSystemBytecodeCache(str(cache_folder)),
    )
    env.filters |= {"age": age, "moment": moment, "span": span, "initial": initial, "tint": tint}
    env.filters |= {"size": size}
    env.filters |= {"waited": waited, "awaited": awaited, "due": due, "retried": retried}
    env.globals |= {"asset": asset, "new_key": lambda: secrets.token_urlsafe(12), "urgencies": URGENCIES}
    env.globals |= {"states": STATES, "awaiting": AWAITED}
    env.globals |= {"query": lambda **values: urlencode({k: v for k, v in values.items() if v})}
    return env


def asset(name: str) -> str:
    """Return the address of a built file: its name carries a hash of its content, so it is kept for ever."""
    return f"/static/{_manifest((STATIC / 'manifest.json').stat().st_mtime_ns)[name]}"


@cache
def _manifest(_changed: int) -> Mapping[str, str]:
    found: Mapping[str, str] = json.loads((STATIC / "manifest.json").read_text("utf-8"))
    return found


def page(call: Page, template: str, status: int = 200, seen: int = 0, **values: Any) -> HTMLResponse:
    """Return a page for somebody who is logged in; `seen` of the unread notices are read by opening it."""
    actor = call.actor
    shared = {
        "me": actor,
        "csrf": call.csrf,
        "counts": queries.counts(call.session, actor).shown(),
        "oa_waiting": queries.shown(oa.count(call.session, actor)) if polled(connected(call.db)) else None,
        "unread": notices.unread(call.session, actor) - seen,
        "oversees": actor.has(ADMIN, AUDITOR),
        "audits": actor.has(AUDITOR),
        "manages": actor.has(SYSTEM_ADMIN),
        "designs": actor.has(ADMIN, AUDITOR, DESIGNER),
        "done": call.request.query_params.get("done", ""),
    }
    return plain(call.request, template, status, **shared, **values)


def fragment(call: Page, template: str, **values: Any) -> HTMLResponse:
    """Return a part of a page that our script puts in its place."""
    return plain(call.request, template, me=call.actor, csrf=call.csrf, **values)


def plain(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page that needs no login."""
    env: Environment = request.app.state.templates
    shared = {
        "nonce": request.state.nonce,
        "care": request.cookies.get(CARE) == "1",
        "wide": request.cookies.get(WIDE) == "1",
        "path": request.url.path,
        "in_wecom": through_wecom(request),
    }
    return HTMLResponse(env.get_template(template).render(shared | values), status)


def age(then: datetime) -> str:
    """Return how long ago something was, in the one unit that matters."""
    seconds = (clock.now() - then).total_seconds()
    if seconds < 60:
        return "刚刚"
    for limit, unit, name in ((3600, 60, "分钟"), (86400, 3600, "小时"), (86400 * 30, 86400, "天")):
        if seconds < limit:
            return f"{int(seconds // unit)} {name}前"
    return day(then)


def moment(then: datetime) -> str:
    """Return day and time in the hospital's zone; the year where it is another one."""
    local = then.astimezone(clock.LOCAL)
    return local.strftime("%m-%d %H:%M" if local.year == clock.today().year else "%Y-%m-%d %H:%M")


def day(then: datetime) -> str:
    """Return the day in the hospital's zone."""
    return then.astimezone(clock.LOCAL).strftime("%Y-%m-%d")


def span(length: timedelta) -> str:
    """Return a duration in words, to two units at most."""
    seconds = int(length.total_seconds())
    if seconds < 60:
        return "不到 1 分钟"
    minutes, hours, days = seconds // 60 % 60, seconds // 3600 % 24, seconds // 86400
    if days:
        return f"{days} 天 {hours} 小时" if hours else f"{days} 天"
    if hours:
        return f"{hours} 小时 {minutes} 分" if minutes else f"{hours} 小时"
    return f"{minutes} 分钟"


def waited(since: datetime) -> str:
    """Return for how long something has been waiting."""
    length = elapsed(since)
    return f"已等 {span(length)}" if length >= timedelta(minutes=1) else "刚到"


def retried(at: datetime) -> str:
    """Return when a channel that is down is tried again."""
    left = at - clock.now()
    return f"{span(left + timedelta(seconds=59))}内再试" if left > timedelta() else "马上再试"


def due(at: datetime) -> str:
    """Return until when something waits; what is due has its moment behind it and waits for the worker only."""
    return "时间已到" if at <= clock.now() else moment(at)


def awaited(what: Awaited) -> str:
    """Return what an instance waits for beside its people, and until when."""
    if what.due_at is not None:
        return f"等待{what.name}（{due(what.due_at)}）"
    return f"{AWAITED[what.kind]}（{what.name}）"


def size(count: int) -> str:
    """Return a number of bytes in words."""
    if count < 1 << 10:
        return f"{count} B"
    return f"{count / (1 << 10):.0f} KB" if count < 1 << 20 else f"{count / (1 << 20):.1f} MB"


def initial(name: str) -> str:
    """Return the end of a name, as an avatar shows it; a compound surname (复姓) is never cut in two."""
    if len(name) == 3 and is_compound(name[:2]):
        return name[:2]
    return name[-2:] if len(name) > 2 else name


def tint(name: str) -> int:
    """Return one of six colours of an avatar, always the same for a name."""
    return sum(name.encode()) % 6


def elapsed(since: datetime) -> timedelta:
    """Return how long something has been waiting."""
    return clock.now() - since
