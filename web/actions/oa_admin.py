"""The legacy OAs (旧 OA): testing a connection, first loads, reconciliations, who is who there."""

from urllib.parse import urlencode

from fastapi import Response

from engine.connectors.oa import loading, oversight, people, reconciling
from engine.errors import EngineError, Invalid
from web.pages.detail import Typed
from web.pages.oa_admin import OA, accounts_page, connected, oa_page
from web.session import Again, Page, Post, Posted, Router

router = Router()


def _again(page: Page, error: EngineError) -> Response:
    return oa_page(page, Typed(error=error))


@router.post(OA + "/{code}/test")
def test(call: Posted, code: str) -> Response:
    """Ask the OA whether it lets us in (连接测试)."""
    call.or_else(_again)
    found = oversight.test(call.db, call.actor, connected(call, code))
    return oa_page(call, Typed(), {code: found})


@router.post(OA + "/{code}/load")
def load(call: Posted, code: str) -> Response:
    """Begin the first load (首次装载), or once more where it is done."""
    call.or_else(_again)
    loading.start(call.session, call.actor, connected(call, code), again=call.text("again") == "1")
    return call.go(f"{OA}?done=load")


@router.post(OA + "/{code}/load/pause")
def pause_load(call: Posted, code: str) -> Response:
    """Let the first load rest."""
    call.or_else(_again)
    loading.pause(call.session, call.actor, connected(call, code))
    return call.go(f"{OA}?done=load-pause")


@router.post(OA + "/{code}/load/resume")
def resume_load(call: Posted, code: str) -> Response:
    """Let the first load go on."""
    call.or_else(_again)
    loading.resume(call.session, call.actor, connected(call, code))
    return call.go(f"{OA}?done=load-resume")


@router.post(OA + "/{code}/check")
def check(call: Posted, code: str) -> Response:
    """Begin a reconciliation (对账), which also mends what it finds (并修复) where that was chosen."""
    call.or_else(_again)
    repair = call.text("repair") == "1"
    found = reconciling.start(call.session, call.actor, connected(call, code), repair=repair)
    return call.go(f"{OA}/{code}/checks/{found.id}")


@router.post(OA + "/{code}/accounts")
def set_account(call: Posted, code: str) -> Response:
    """Say who a person is in the OA."""
    call.or_else(_accounts(call, code, "set"))
    account = call.text("account").strip()
    if not account:
        raise Invalid("请填写这个人在 OA 里的账号", code="oa_account")
    people.set_account(call.session, call.actor, connected(call, code), call.text("number"), account)
    return call.go(f"{OA}/{code}/accounts?done=account")


@router.post(OA + "/{code}/accounts/remove")
def remove_account(call: Posted, code: str) -> Response:
    """Say no more who a person is in the OA: our own records tell."""
    call.or_else(_accounts(call, code, "remove"))
    people.set_account(call.session, call.actor, connected(call, code), call.text("number"), "")
    return call.go(f"{OA}/{code}/accounts?done=remove")


@router.post(OA + "/{code}/accounts/import")
def import_accounts(call: Posted, code: str) -> Response:
    """Take in a table of who is who in the OA, all of it or nothing."""
    call.or_else(_accounts(call, code, "import"))
    connection, files = connected(call, code), call.uploads()
    if not files:
        raise Invalid("请选择要导入的文件", code="oa_accounts_missing")
    file = files[0][1].file
    file.seek(0)  # the request may be tried again
    done = people.import_accounts(call.session, call.actor, connection, people.read(file.read()))
    return call.go(f"{OA}/{code}/accounts?{urlencode({'done': 'import', 'figures': str(done)})}")


def _accounts(call: Post, code: str, form: str) -> Again:
    fields = {name: call.text(name) for name in ("number", "account", "row")}
    return lambda page, error: accounts_page(page, code, Typed(dialog=form, fields=fields, error=error))
