"""The OAs as admins see and mend them (旧 OA): who is who there, first loads, reconciliations with their reports."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Depends, File, Path, Query, UploadFile
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Text
from engine.connectors.oa import loading, oversight, people, reconciling
from engine.connectors.oa.oversight import SiteState
from engine.connectors.oa.rights import require_admin, require_reader
from engine.connectors.oa.sites import Connection, connected
from engine.errors import NotFound
from engine.org.spreadsheet import MAX_FILE

router = Router("旧 OA")

Reads = Annotated[Call, Depends(allowed("admin:read"))]
Admin = Annotated[Call, Depends(allowed(None))]
SiteCode = Annotated[str, Path(pattern="^[a-z][a-z0-9]{0,10}$", description="站点代码", examples=["ekp"])]
Number = Annotated[Text, Path(max_length=20, description="工号", examples=["10027"])]


class SiteOut(Answer):
    """How one OA is."""

    code: str = Field(examples=["ekp"])
    name: str = Field(examples=["集团 OA"])
    kind: str = Field(examples=["landray.soap"])
    state: Literal["open", "paused", "down"] = Field(description="通道：open 正常，paused 已暂停，down 中断")
    reason: str = Field(description="为什么暂停或中断", examples=[""])
    todo: int = Field(description="OA 里显示的待办", examples=[4711])
    read: int = Field(description="OA 里显示的待阅", examples=[320])
    behind: int = Field(description="还没有推送过去的变化", examples=[2])
    behind_since: datetime | None = Field(description="其中最早的从什么时候起")
    pushed_at: datetime | None = Field(description="最近一次得到确认的推送")
    dead: int = Field(description="投递失败的", examples=[0])
    unmapped: int = Field(description="OA 里没有的人", examples=[0])
    unmapped_items: int = Field(description="他们的待办", examples=[0])


class SitesOut(Answer):
    """All OAs, by code."""

    sites: list[SiteOut]


class UnmappedOut(Answer):
    """Somebody whose items an OA can't show."""

    number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    department: str = Field(examples=["心血管内科"])
    items: int = Field(description="多少条待办送不到", examples=[3])
    since: datetime = Field(description="其中最早的从什么时候起")
    reason: str = Field(examples=["单晓燕（10027）在“集团 OA”没有对应账号，请在“账号对照”里补上"])
    account: str = Field(description="推送用的账号，空是没有", examples=["shanxy"])
    pushing: bool = Field(description="正在重新推送，还没有结果")


class AccountOut(Answer):
    """An entry of the table of accounts (账号对照)."""

    number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    department: str = Field(examples=["心血管内科"])
    account: str = Field(description="在 OA 里的账号", examples=["shanxy"])
    set_by: str | None = Field(description="谁写的；空是命令行", examples=["纪云帆"])
    set_at: datetime


class PeopleOut(Answer):
    """Who is who in an OA."""

    accounts: list[AccountOut] = Field(description="账号对照，最多 500 条")
    unmapped: list[UnmappedOut] = Field(description="OA 里没有的人，等得最久的在前")


class AccountBody(Body):
    """Who a person is in an OA."""

    account: Text = Field(max_length=80, description="空表示解除", examples=["shanxy"])


class ImportedOut(Answer):
    """What an import has done to the table."""

    set: int = Field(description="写入", examples=[12])
    removed: int = Field(description="删去", examples=[1])
    unchanged: int = Field(description="不变", examples=[1580])


class LoadOut(Answer):
    """How far the first load of an OA is."""

    state: Literal["running", "paused", "done"] = Field(description="running 进行中，paused 已暂停，done 已完成")
    total: int = Field(description="开始时还没有显示的待办", examples=[50_000])
    queued: int = Field(description="已经排队推送的", examples=[12_400])
    shown: int = Field(description="OA 已确认的", examples=[12_380])
    failed: int = Field(description="没有成功的", examples=[3])
    rate: float = Field(description="最近一分钟推送的条数", examples=[580.0])
    eta: datetime | None = Field(description="预计什么时候做完")
    started_at: datetime
    started_by: str | None = Field(description="谁开始的；空是命令行，needless 时是没有人", examples=["纪云帆"])
    ended_at: datetime | None
    needless: bool = Field(description="不需要：第一次对账时 OA 里已经有全部待办，没有人开始过")


class LoadBody(Body):
    """What becomes of a first load."""

    action: Literal["start", "again", "pause", "resume"] = Field(
        description="start 开始，again 做完以后再来一遍，pause 暂停，resume 继续", examples=["start"]
    )


class CheckBody(Body):
    """Whether a reconciliation mends what it finds."""

    repair: bool = Field(False, description="修复差异，一次最多到站点的上限", examples=[False])


class CheckOut(Answer):
    """A reconciliation (对账) in figures."""

    id: uuid.UUID
    site: str = Field(examples=["ekp"])
    state: Literal["running", "done", "failed"] = Field(description="running 进行中，done 已完成，failed 失败")
    by: Literal["nightly", "person", "command"] = Field(description="nightly 每夜，person 管理员，command 命令行")
    repair: bool = Field(description="是否修复")
    started_at: datetime
    ended_at: datetime | None
    people: int = Field(description="核对了多少人", examples=[1580])
    unread: int = Field(description="多少人的列表没有读到", examples=[0])
    items: int = Field(description="我们这边的待办", examples=[4711])
    missing: int = Field(description="漏：OA 里没有的", examples=[2])
    ghost: int = Field(description="幽灵：OA 里多的", examples=[1])
    stale: int = Field(description="陈旧：OA 里与我们不符的", examples=[0])
    repaired: int = Field(description="已修复的：重新推送，或从不该有的列表里移除", examples=[3])
    capped: int = Field(description="超过上限没有修复的", examples=[0])
    reason: str = Field(description="为什么失败，或只核对了一侧", examples=[""])


class DifferenceOut(Answer):
    """A difference that a reconciliation found."""

    kind: Literal["missing", "ghost", "stale"] = Field(description="missing 漏，ghost 幽灵，stale 陈旧")
    side: Literal["ours", "theirs"] = Field(description="ours 我们的记录落后，theirs OA 的列表不对")
    item_id: uuid.UUID | None
    number: str | None = Field(description="工号", examples=["10027"])
    person: str | None = Field(examples=["单晓燕"])
    account: str = Field(examples=["shanxy"])
    title: str = Field(examples=["单晓燕的请假申请"])
    detail: str = Field(examples=["科室负责人审批：OA 的列表里没有"])
    result: Literal["", "repaired", "capped", "unable"] = Field(
        description="repaired 已修复，capped 超过上限，unable 无法自动修复，空是没有要求修复"
    )


class ReportOut(CheckOut):
    """A reconciliation with its differences; `left` is how many nothing was done about."""

    started_by: str | None = Field(description="谁要的；空是每夜或命令行", examples=["纪云帆"])
    unable: int = Field(description="无法自动修复的", examples=[0])
    behind: int = Field(description="已修复、OA 还没有确认的", examples=[0])
    left: int = Field(description="没有处理的差异", examples=[0])
    differences: list[DifferenceOut]


class ChecksOut(Answer):
    """The newest reconciliations of a site, 100 at most."""

    checks: list[CheckOut]


@router.get("/admin/oa", summary="旧 OA 各站点的状况")
def overview(call: Reads) -> SitesOut:
    """Show how the OAs are."""
    found = oversight.overview(call.session, call.actor, connected(call.db))
    return SitesOut(sites=[_site(state) for state in found])


@router.get("/admin/oa/{site}/accounts", summary="旧 OA 的账号对照，和 OA 里没有的人")
def accounts(
    call: Reads, site: SiteCode, q: Annotated[Text, Query(max_length=40, description="工号、姓名或账号的一部分")] = ""
) -> PeopleOut:
    """List who is who in an OA, and whom it doesn't know."""
    _connection(call, site)
    return PeopleOut(
        accounts=[AccountOut.model_validate(row) for row in people.accounts(call.session, call.actor, site, q)],
        unmapped=[UnmappedOut.model_validate(row) for row in people.unmapped(call.session, call.actor, site)],
    )


@router.put("/admin/oa/{site}/accounts/{staff_number}", summary="设置或解除一位职工的账号", status_code=204)
def set_account(call: Admin, site: SiteCode, staff_number: Number, body: AccountBody) -> None:
    """Say who a person is in an OA; their items are put there anew."""
    people.set_account(call.session, call.actor, _mending(call, site), staff_number, body.account)


@router.post("/admin/oa/{site}/accounts/import", summary="导入账号对照；全部成功或全部不导入，422 逐行列出错误")
def import_accounts(
    call: Admin, site: SiteCode, file: Annotated[UploadFile, File(description="xlsx 或 CSV，列名 工号、账号")]
) -> ImportedOut:
    """Import who is who in an OA."""
    connection = _mending(call, site)
    file.file.seek(0)  # the request may be tried again
    entries = people.read(file.file.read(MAX_FILE + 1))
    done = people.import_accounts(call.session, call.actor, connection, entries)
    return ImportedOut.model_validate(done)


@router.get("/admin/oa/{site}/load", summary="首次装载的进度；404 表示还没有做过")
def load(call: Reads, site: SiteCode) -> LoadOut:
    """Show how far the first load of an OA is."""
    _connection(call, site)
    return LoadOut.model_validate(_progress(call, site))


@router.post("/admin/oa/{site}/load", summary="开始、暂停或继续首次装载")
def change_load(call: Admin, site: SiteCode, body: LoadBody) -> LoadOut:
    """Begin the first load of an OA, let it rest or go on."""
    connection = _mending(call, site)
    match body.action:
        case "pause":
            loading.pause(call.session, call.actor, connection)
        case "resume":
            loading.resume(call.session, call.actor, connection)
        case _:
            loading.start(call.session, call.actor, connection, again=body.action == "again")
    return LoadOut.model_validate(_progress(call, site))


@router.get("/admin/oa/{site}/checks", summary="最近的对账，最新的在前")
def checks(call: Reads, site: SiteCode) -> ChecksOut:
    """List the reconciliations of an OA."""
    _connection(call, site)
    found = reconciling.checks(call.session, call.actor, site)
    return ChecksOut(checks=[CheckOut.model_validate(check) for check in found])


@router.post("/admin/oa/{site}/checks", summary="开始对账", status_code=202)
def start_check(call: Admin, site: SiteCode, body: CheckBody) -> CheckOut:
    """Begin to reconcile an OA with what is open here."""
    found = reconciling.start(call.session, call.actor, _mending(call, site), repair=body.repair)
    return CheckOut.model_validate(found)


@router.get("/admin/oa/checks/{check_id}", summary="对账报告，含每一条差异")
def report(call: Reads, check_id: uuid.UUID) -> ReportOut:
    """Show a reconciliation with its differences."""
    return ReportOut.model_validate(reconciling.report(call.session, call.actor, check_id))


def _site(state: SiteState) -> SiteOut:
    site, channel = state.site, state.channel
    return SiteOut(
        code=site.code, name=site.name, kind=site.kind, state=channel.state, reason=channel.reason, todo=state.todo,
        read=state.read, behind=state.behind, behind_since=state.behind_since, pushed_at=state.pushed_at,
        dead=state.dead, unmapped=state.unmapped, unmapped_items=state.unmapped_items,
    )  # fmt: skip


def _connection(call: Call, code: str) -> Connection:
    """Return a site to who may look at it."""
    require_reader(call.actor)
    return connected(call.db).named(code)


def _mending(call: Call, code: str) -> Connection:
    """Return a site to who may change what becomes of it."""
    require_admin(call.actor)
    return connected(call.db).named(code)


def _progress(call: Call, code: str) -> loading.Progress:
    found = loading.progress(call.session, call.actor, code)
    if found is None:
        raise NotFound("还没有做过首次装载", code="oa_load_not_found")
    return found
