"""Who is who: in an OA by its table and our records, and the other way round; whom an OA doesn't know."""

import uuid
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import String, case, cast, exists, func, or_, select
from sqlalchemy.orm import Session

from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.models import UNMAPPED, OAAccount, OAItem
from engine.connectors.oa.rights import require_reader
from engine.connectors.oa.sites import Connection
from engine.org.models import Department, Person
from engine.outbox import Outbox
from engine.viewer import Viewer

MOST_LISTED = 500


class Identity(NamedTuple):
    """What tells who a person is in an OA: `given` is their entry of the table, "" or None where there is none."""

    name: str
    staff_number: str
    mobile: str
    email: str
    given: str | None


@dataclass(frozen=True, slots=True)
class Unmapped:
    """Somebody whose items an OA can't show, because it doesn't know them by the account that we know."""

    person_id: uuid.UUID
    number: str
    name: str
    department: str
    items: int
    since: datetime
    reason: str
    account: str  # by which they are put there, or were; "" where none is known
    pushing: bool  # whether the OA is about to be told anew


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry of the table (账号对照); without `set_by` it was made at the command line."""

    person_id: uuid.UUID
    number: str
    name: str
    department: str
    account: str
    set_by: str | None
    set_at: datetime


def account(site: Site, person: Identity) -> str:
    """Return a person's account in an OA, empty where there is none: the table comes before our own records."""
    return person.given or own(site, person)


def own(site: Site, person: Any) -> str:
    """Return a person's account in an OA by our own records alone, empty where the table alone says who is who."""
    return "" if site.people == "table" else str(getattr(person, site.people))


def persons_of(session: Session, connection: Connection, accounts: Collection[str]) -> dict[str, uuid.UUID]:
    """Return who of our active people is behind accounts of an OA; an account of several, or of nobody, is left out.

    Cases aren't told apart.
    """
    site, asked = connection.site, {name.lower(): name for name in accounts if name}
    if not asked:
        return {}
    active = select(Person.id).where(Person.disabled_at.is_(None), Person.system.is_(False))
    found: defaultdict[str, set[uuid.UUID]] = defaultdict(set)
    entries = select(OAAccount.account_key, OAAccount.person_id).where(
        OAAccount.site == site.code, OAAccount.account_key.in_(asked), OAAccount.person_id.in_(active)
    )
    for key, person_id in session.execute(entries):
        found[key].add(person_id)
    if site.people != "table":
        column = func.lower(getattr(Person, site.people))
        others = select(column, Person.id).where(
            column.in_(asked), Person.id.in_(active), Person.id.not_in(_mapped(site))
        )
        for key, person_id in session.execute(others):
            found[key].add(person_id)
    return {asked[key]: next(iter(people)) for key, people in found.items() if len(people) == 1}


def unmapped(session: Session, viewer: Viewer | None, code: str) -> list[Unmapped]:
    """Return whose items an OA can't show, those who wait longest first. Raises Forbidden."""
    require_reader(viewer)
    pending = exists().where(
        Outbox.system == f"oa.{code}",
        Outbox.state == "pending",
        Outbox.key == func.replace(cast(OAItem.item_id, String), "-", ""),
    )
    rows = session.execute(
        select(
            Person.id, Person.staff_number, Person.name, Department.name, func.count(), func.min(OAItem.changed_at),
            func.max(OAItem.reason), func.coalesce(OAAccount.account, func.max(OAItem.account)),
            func.max(case((pending, 1), else_=0)) > 0,
        )
        .join(Person, Person.id == OAItem.person_id)
        .join(Department, Department.id == Person.department_id)
        .outerjoin(OAAccount, (OAAccount.site == OAItem.site) & (OAAccount.person_id == Person.id))
        .where(OAItem.site == code, OAItem.problem == UNMAPPED)
        .group_by(Person.id, Person.staff_number, Person.name, Department.name, OAAccount.account)
        .order_by(func.min(OAItem.changed_at), Person.staff_number)
    )  # fmt: skip
    return [Unmapped(*row) for row in rows]


def accounts(session: Session, viewer: Viewer | None, code: str, query: str = "") -> list[Listed]:
    """Return entries of an OA's table by staff number, 500 at most; `query`: part of number, name, reading or account.

    Raises Forbidden.
    """
    return entries(session, viewer, code, query, limit=MOST_LISTED)


def entries(
    session: Session, viewer: Viewer | None, code: str, query: str = "", *, limit: int | None = None
) -> list[Listed]:
    """Return as many entries as there are; otherwise as `accounts`."""
    require_reader(viewer)
    setter = select(Person.name).where(Person.id == OAAccount.set_by).correlate(OAAccount).scalar_subquery()
    rows = (
        select(
            Person.id, Person.staff_number, Person.name, Department.name, OAAccount.account, setter, OAAccount.set_at
        )
        .join(Person, Person.id == OAAccount.person_id)
        .join(Department, Department.id == Person.department_id)
        .where(OAAccount.site == code)
        .order_by(Person.staff_number)
        .limit(limit)
    )
    if text := query.strip().lower():
        columns = (func.lower(Person.staff_number), Person.name, Person.pinyin, OAAccount.account_key)
        rows = rows.where(or_(*(column.contains(text, autoescape=True) for column in columns)))
    return [Listed(*row) for row in session.execute(rows)]


def _mapped(site: Site) -> Any:
    return select(OAAccount.person_id).where(OAAccount.site == site.code)
