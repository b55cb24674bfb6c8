"""Changes of WeCom's contacts as it tells them (change_contact): whom they are about is asked for anew.

Today's callbacks carry ids only, and what they say may be old when it is handled. Events come in order (one shard of
the outbox); what one of them missed the nightly synchronisation finds.
Sources: WeCom documents 90970 (成员变更), 90971 (部门变更), 90972 (标签变更).
"""

from collections.abc import Mapping
from typing import Any

from engine import outbox
from engine.connectors.wecom import inbox
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.errors import Unknown
from engine.connectors.wecom.contacts import syncing
from engine.connectors.wecom.contacts.difference import Snapshot
from engine.connectors.wecom.messages import parts
from engine.db import Database
from engine.errors import Conflict

_PARTIES = frozenset({"create_party", "update_party", "delete_party"})


@inbox.on(syncing.EVENT)
def changed(db: Database, body: Mapping[str, Any]) -> str:
    """Bring our rows to what WeCom says now of a member, or of the departments; returns what was done.

    Tags lead nothing of ours. Raises the outbox's errors: what WeCom refuses, Permanent where too many vanish.
    """
    wecom, _ = parts(db)
    if wecom.settings.contacts == "off":
        return inbox.IGNORED
    kind, userid = str(body.get("ChangeType", "")), str(body.get("UserID", ""))
    if kind in _PARTIES:
        snapshot = Snapshot(departments=tuple(wecom.departments()))
    elif kind in ("create_user", "update_user", "delete_user") and userid:
        snapshot = _member(wecom, userid, str(body.get("NewUserID") or ""))
    else:
        return inbox.IGNORED
    try:
        done = syncing.part(db, snapshot, "event")
    except Conflict as refusal:
        raise outbox.Permanent(refusal.message) from None
    return "nothing differs" if done is None else str(done)


def _member(wecom: WeCom, userid: str, new: str) -> Snapshot:
    """Ask for a member by the id that is theirs now; who isn't there is gone, whatever the event was."""
    renamed = {userid.lower(): new} if new else {}
    try:
        member = wecom.member(new or userid)
    except Unknown as unknown:
        if unknown.errcode != NO_MEMBER:  # there, but we may not see them
            return Snapshot()
        return Snapshot(gone=frozenset({userid.lower(), (new or userid).lower()}))
    return Snapshot(members=(member,), renamed=renamed)


NO_MEMBER = 60111
"""The errcode of a userid that is nobody's; others are refused for the visible scope."""
