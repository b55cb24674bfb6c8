"""What was done to no instance (操作记录): logins, roles, tokens, imports, deployments; for auditors alone.

三员分立: those whose doings these are, the system and the process admins, don't read them here.
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpm.models import ActionLog
from engine.bpm.queries.paging import Filters, Keyset, Page
from engine.errors import Forbidden, Invalid
from engine.org.actor import AUDITOR, Actor
from engine.org.models import Department, Person

VERBS = (
    "login", "logout", "login_locked", "password", "role_grant", "role_revoke", "account_create", "token_issue",
    "token_revoke", "staff_import", "deploy", "suspend", "resume", "requeue", "channel_pause",
    "channel_resume", "number_void", "wecom_join", "wecom_link", "wecom_unlink", "wecom_locked", "contacts_sync",
    "contacts_refused", "contacts_map", "oa_enter", "oa_account", "oa_accounts", "oa_load", "oa_check", "oa_test",
)  # fmt: skip
"""What the trail calls the activities."""


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity: without `actor_id` it was done at the command line, or by nobody known (login_locked).

    `about_id` is what it was done to, a person or a token; `detail` tells the rest in plain values, by verb.
    """

    id: int
    at: datetime
    verb: str
    actor_id: uuid.UUID | None
    actor: str | None
    department: str | None
    about_id: uuid.UUID | None
    detail: Mapping[str, Any]


_ACTIVITIES = Keyset("activities", ((ActionLog.at, datetime), (ActionLog.id, int)))
_COLUMNS: tuple[Any, ...] = (
    ActionLog.id, ActionLog.at, ActionLog.verb, ActionLog.actor_id, Person.name.label("actor"),
    Department.name.label("department"), ActionLog.item_id.label("about_id"), ActionLog.detail,
)  # fmt: skip


def activities(
    session: Session,
    viewer: Actor,
    *,
    verb: str | None = None,
    people: Sequence[uuid.UUID] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[Activity]:
    """Return activities, newest first; `people`: those that one of them has done, or that were done to them.

    `since` (inclusive) and `until` (exclusive) are aware moments. Raises Forbidden unless the viewer is an auditor,
    Invalid for an unknown verb, odd moments, and another list's cursor.
    """
    if not viewer.has(AUDITOR):
        raise Forbidden("只有审计员可以查看操作记录", code="not_auditor")
    if verb is not None and verb not in VERBS:
        raise Invalid(f"没有这种操作，可选：{'、'.join(VERBS)}", code="bad_verb")
    between = Filters(since=since, until=until)
    statement = (
        select(*_COLUMNS)
        .select_from(ActionLog)
        .outerjoin(Person, Person.id == ActionLog.actor_id)
        .outerjoin(Department, Department.id == Person.department_id)
        .where(ActionLog.instance_id.is_(None))
    )
    if verb is not None:
        statement = statement.where(ActionLog.verb == verb)
    if people is not None:
        statement = statement.where(ActionLog.actor_id.in_(people) | ActionLog.item_id.in_(people))
    if between.since is not None:
        statement = statement.where(ActionLog.at >= between.since)
    if between.until is not None:
        statement = statement.where(ActionLog.at < between.until)
    found = session.execute(_ACTIVITIES.narrowed(statement, cursor, limit))
    rows = [Activity(**row._asdict() | {"detail": orjson.loads(row.detail)}) for row in found]
    return _ACTIVITIES.page(rows, [(row.at, row.id) for row in rows], limit)
