"""What every worker does by the clock."""

from datetime import timedelta

from engine import attachments, clock, outbox, sealing
from engine.bpm.commands import purge_drafts
from engine.bpm.commands.timers import fire_due
from engine.connectors.oa import loading, pushing, reconciling
from engine.connectors.oa.entry import passing
from engine.connectors.oa.inbound import entries, polling, quick
from engine.connectors.wecom import inbox, planning
from engine.connectors.wecom.contacts import syncing
from engine.connectors.wecom.entry import arriving
from engine.db import Database
from engine.org import auth
from engine.settings import Settings
from workers.loop import Tick

KEEP_DONE = timedelta(days=30)  # how long rows that are done stay in the outbox
KEEP_CALLBACKS = timedelta(days=30)  # how long what WeCom has called us with stays
KEEP_DELIVERIES = timedelta(days=90)  # how long what was sent to WeCom stays after the end of its instance
KEEP_OA = timedelta(days=90)  # how long reports of reconciliations stay, and what OAs showed of instances that ended
_SEAL = 2.0  # seconds: the trail of the last ones can be changed unseen
_TEN_MINUTES, _HALF_HOUR, _HOUR, _DAY = 600.0, 1800.0, 3600.0, 86400.0
_AT_ONCE = 1000
_TIMERS_AT_ONCE = 100  # few enough that stopping doesn't wait for them


def standard(settings: Settings) -> list[Tick]:
    """Return due timers, which every worker fires, and the leader's: seals and purges.

    Workers that find the same timers don't wait for one another: each claims an instance with SKIP LOCKED.
    """

    def timers(db: Database) -> bool:
        return fire_due(db, _TIMERS_AT_ONCE) == _TIMERS_AT_ONCE

    def outbox_rows(db: Database) -> bool:
        return outbox.purge(db, clock.now() - KEEP_DONE, _AT_ONCE) == _AT_ONCE

    def wecom_callbacks(db: Database) -> bool:
        return inbox.purge(db, clock.now() - KEEP_CALLBACKS, _AT_ONCE) == _AT_ONCE

    def wecom_deliveries(db: Database) -> bool:
        return planning.purge(db, clock.now() - KEEP_DELIVERIES, _AT_ONCE) == _AT_ONCE

    def wecom_contacts(db: Database) -> bool:
        syncing.nightly(db)
        return False

    def oa_confirm(db: Database) -> bool:
        return pushing.confirm(db, _AT_ONCE)

    def oa_load(db: Database) -> bool:
        return loading.top_up(db)

    def oa_check(db: Database) -> bool:
        reconciling.nightly(db)
        return False

    def oa_past(db: Database) -> bool:
        return reconciling.purge(db, clock.now() - KEEP_OA, _AT_ONCE)

    def oa_poll(db: Database) -> bool:
        return polling.look(db, _AT_ONCE)

    def oa_quick(db: Database) -> bool:
        quick.look(db)
        return False

    def oa_entries(db: Database) -> bool:
        entries.purge(db)
        quick.purge(db)
        return False

    def oa_passes(db: Database) -> bool:
        passing.purge(db)
        return False

    def expired_attachments(db: Database) -> bool:
        return attachments.purge(db, settings, _AT_ONCE) == _AT_ONCE

    def orphan_files(db: Database) -> bool:
        attachments.purge_files(db, settings)
        return False

    def expired_sessions(db: Database) -> bool:
        with db.unit_of_work() as session:
            auth.purge_expired(session)
        return False

    def closed_drafts(db: Database) -> bool:
        with db.unit_of_work() as session:
            purge_drafts(session)
        return False

    def expired_entries(db: Database) -> bool:
        arriving.purge(db)
        return False

    return [
        Tick("timers", 1.0, timers),
        Tick("seal", _SEAL, sealing.seal, leader_only=True),
        Tick("purge.outbox", _HOUR, outbox_rows, leader_only=True),
        Tick("purge.callbacks", _HOUR, wecom_callbacks, leader_only=True),
        Tick("purge.deliveries", _DAY, wecom_deliveries, leader_only=True),
        Tick("wecom.contacts", _HALF_HOUR, wecom_contacts, leader_only=True),
        Tick("oa.confirm", 15.0, oa_confirm, leader_only=True),
        Tick("oa.load", 1.0, oa_load, leader_only=True),
        Tick("oa.check", _TEN_MINUTES, oa_check, leader_only=True),
        Tick("purge.oa", _DAY, oa_past, leader_only=True),
        Tick("oa.poll", 5.0, oa_poll, leader_only=True),
        Tick("oa.quick", 10.0, oa_quick, leader_only=True),
        Tick("purge.oa_entries", _DAY, oa_entries, leader_only=True),
        Tick("purge.passes", _HOUR, oa_passes, leader_only=True),
        Tick("purge.attachments", _HOUR, expired_attachments, leader_only=True),
        Tick("purge.sessions", _HOUR, expired_sessions, leader_only=True),
        Tick("purge.entries", _HOUR, expired_entries, leader_only=True),
        Tick("purge.drafts", _DAY, closed_drafts, leader_only=True),
        Tick("purge.files", _DAY, orphan_files, leader_only=True),
    ]
