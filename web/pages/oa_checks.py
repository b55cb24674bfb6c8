"""Reconciliations (对账) of the legacy OAs: the newest ones, and the report of each, as a page and as a file."""

import csv
import io
import uuid
from collections.abc import Mapping, Sequence

import orjson
from fastapi import Response

from engine import clock
from engine.connectors.oa import oversight, reconciling
from engine.connectors.oa.reconciling import KINDS, RESULTS, SIDES, Difference, Report
from engine.errors import NotFound
from web.pages.oa_admin import OA, connected, download, frame
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()

_RESULTS = {result or "none": said for result, said in RESULTS.items()}  # as the filter names them
_CHECKS = OA + "/{code}/checks"
_MOST = 200  # differences of a kind that the page lists
_COLUMNS = ("种类", "哪一侧", "工号", "姓名", "账号", "标题", "情况", "处理", "事项编号")


@router.get(_CHECKS)
def checks(call: Visitor, code: str) -> Response:
    """Show the newest reconciliations of an OA."""
    rows = reconciling.checks(call.session, call.actor, code)
    return page(
        call,
        "admin/oa_checks.html",
        site=connected(call, code).site,
        rows=rows,
        names=oversight.starters(call.session, call.actor, rows),
        title="对账记录",
        **frame(call),
    )


@router.get(_CHECKS + "/{check_id}.csv")
def table(call: Visitor, code: str, check_id: uuid.UUID) -> Response:
    """Send the differences as a table that spreadsheets open."""
    report = _report(call, code, check_id)
    file = io.StringIO()
    rows = csv.writer(file)
    rows.writerow(_COLUMNS)
    for each in report.differences:
        item = each.item_id.hex if each.item_id else ""
        told = (KINDS[each.kind], SIDES[each.side], each.number or "", each.person or "", each.account, each.title)
        rows.writerow([_cell(text) for text in (*told, each.detail, _result(each), item)])
    return download(file.getvalue().encode("utf-8-sig"), f"{_name(call, code, report)}.csv", "text/csv")


@router.get(_CHECKS + "/{check_id}.json")
def plain(call: Visitor, code: str, check_id: uuid.UUID) -> Response:
    """Send the report in plain values, as the API tells it."""
    report = _report(call, code, check_id)
    content = orjson.dumps(report.json(), option=orjson.OPT_INDENT_2)
    return download(content, f"{_name(call, code, report)}.json", "application/json")


@router.get(_CHECKS + "/{check_id}")
def report(call: Visitor, code: str, check_id: uuid.UUID) -> Response:
    """Show the report of a reconciliation, narrowed to what was chosen."""
    found = _report(call, code, check_id)
    given = call.request.query_params
    chosen = {name: given[name].strip()[:50] for name in ("q", "kind", "side", "result") if given.get(name)}
    rows = [each for each in found.differences if _wanted(each, chosen)]
    return page(
        call,
        "admin/oa_report.html",
        site=connected(call, code).site,
        report=found,
        share=round(100 * oversight.compared(call.session, call.actor, check_id)) if found.state == "running" else 100,
        groups=[(kind, of_kind) for kind in KINDS if (of_kind := [each for each in rows if each.kind == kind])],
        kinds=KINDS,
        sides=SIDES,
        results=_RESULTS,
        chosen=chosen,
        most=_MOST,
        title="对账报告",
        **frame(call),
    )


def _report(call: Page, code: str, check_id: uuid.UUID) -> Report:
    found = reconciling.report(call.session, call.actor, check_id)
    if found.site != connected(call, code).site.code:
        raise NotFound("这次对账不是这个 OA 的", code="oa_check_not_found")
    return found


def _wanted(each: Difference, chosen: Mapping[str, str]) -> bool:
    texts: Sequence[str | None] = (each.person, each.number, each.account, each.title)
    return (
        chosen.get("kind", each.kind) == each.kind
        and chosen.get("side", each.side) == each.side
        and chosen.get("result", each.result or "none") == (each.result or "none")
        and any(chosen.get("q", "").lower() in (text or "").lower() for text in texts)
    )


def _cell(text: str) -> str:
    """Return a text so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _result(each: Difference) -> str:
    return RESULTS[each.result]


def _name(call: Page, code: str, report: Report) -> str:
    return f"{connected(call, code).site.name}对账{report.started_at.astimezone(clock.LOCAL):%Y%m%d-%H%M}"
