"""The legacy OAs (旧 OA) for those who look after them: how each is, who has no account there, what was compared."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import Response

from api.errors import status_of
from engine.connectors.oa import oversight, people, sites
from engine.connectors.oa.oversight import Tested
from engine.connectors.oa.sites import Connection
from engine.org.actor import ADMIN, SYSTEM_ADMIN
from web.pages.admin import tabs
from web.pages.detail import Typed
from web.phrases import OA_KINDS
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()

OA = "/admin/oa"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_TOLD = {
    "pause": "通道已暂停",
    "resume": "已恢复，马上继续投递",
    "load": "首次装载已开始：不通知，也不会挡住新的待办",
    "load-pause": "装载已暂停，排好的几件还会推完",
    "load-resume": "装载继续",
    "account": "已保存，这位职工的待办正在重新推送",
    "remove": "已移除，这位职工的待办改按默认的账号推送",
    "import": "已导入",
}


@router.get(OA)
def overview(call: Visitor, do: str = "") -> Response:
    """Show how each OA is."""
    return oa_page(call, Typed(dialog=do))


def oa_page(call: Page, typed: Typed, tested: Mapping[str, Tested] | None = None) -> Response:
    """Return the overview, with what was typed in a dialog and refused, and what tests of connections have found.

    Raises Forbidden.
    """
    found = oversight.overview(call.session, call.actor, sites.connected(call.db))
    checks = [check for state in found for check in (state.check, state.checking) if check is not None]
    return page(
        call,
        "admin/oa.html",
        200 if typed.error is None else status_of(typed.error),
        sites=found,
        starters=oversight.starters(call.session, call.actor, checks),
        tested=tested or {},
        typed=typed,
        kinds=OA_KINDS,
        told=_TOLD,
        may_mend=call.actor.has(ADMIN, SYSTEM_ADMIN),
        title="旧 OA",
        **frame(call),
    )


@router.get(OA + "/{code}/accounts.xlsx")
def table(call: Visitor, code: str) -> Response:
    """Send the table of who is who, as it may be imported again."""
    site = connected(call, code).site
    content = people.workbook(people.entries(call.session, call.actor, code))
    return download(content, f"{site.name}账号对照.xlsx", XLSX)


@router.get(OA + "/{code}/accounts")
def accounts(call: Visitor, code: str, q: str = "", figures: str = "") -> Response:
    """Show whom an OA doesn't know, and the table of who is who there."""
    return accounts_page(call, code, Typed(), q[:50], figures[:50])


def accounts_page(call: Page, code: str, typed: Typed, q: str = "", figures: str = "") -> Response:
    """Return the page of accounts, with what was typed and refused. Raises Forbidden, NotFound."""
    return page(
        call,
        "admin/oa_accounts.html",
        200 if typed.error is None else status_of(typed.error),
        site=connected(call, code).site,
        unmapped=people.unmapped(call.session, call.actor, code),
        rows=people.accounts(call.session, call.actor, code, q),
        most=people.MOST_LISTED,
        typed=typed,
        told=_TOLD,
        q=q,
        figures=figures,
        title="账号对照",
        **frame(call),
    )


def download(content: bytes, name: str, kind: str) -> Response:
    """Return a file that the browser keeps."""
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return Response(content, media_type=kind, headers=headers)


def frame(call: Page) -> dict[str, Any]:
    """Return what stands around these pages: the tabs of those who oversee, and who may act."""
    around = tabs(call, "oa") if call.actor.sees_all else {"section": "account"}
    return {**around, "may_act": call.actor.has(SYSTEM_ADMIN)}


def connected(call: Page, code: str) -> Connection:
    """Return a site. Raises NotFound."""
    return sites.connected(call.db).named(code)
