"""WeCom's contacts (企业微信通讯录) for system admins: the last synchronisations, and what differs now."""

from dataclasses import dataclass

from fastapi import Response

from api.errors import status_of
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.contacts import admin
from engine.connectors.wecom.contacts.difference import LINKS, VERBS, Plan
from engine.errors import EngineError
from web.rendering import page
from web.session import Page, Router, Visitor

router = Router()

WAYS = {"page": "页面", "command": "命令行", "nightly": "夜间", "event": "通讯录变更", "demo": "演示"}
SHOWN = 200
"""Changes and links that a page lists; the command line prints all."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows beside the last runs: a difference, a refusal."""

    plan: Plan | None = None
    error: EngineError | None = None


@router.get("/admin/contacts")
def contacts(call: Visitor) -> Response:
    """Show the last synchronisations."""
    return contacts_page(call, Shown())


def contacts_page(call: Page, shown: Shown) -> Response:
    """Return the page. Raises Forbidden unless the viewer is a system admin."""
    wecom = call.db.part(WeCom)
    return page(
        call,
        "admin/contacts.html",
        200 if shown.error is None else status_of(shown.error),
        runs=admin.runs(call.session, call.actor),
        mode="off" if wecom is None else wecom.settings.contacts,
        connected=wecom is not None,
        plan=shown.plan,
        error=shown.error,
        verbs=VERBS,
        link_verbs=LINKS,
        ways=WAYS,
        most=SHOWN,
        title="企业微信通讯录",
        section="account",
    )
