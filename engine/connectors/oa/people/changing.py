"""Saying who a person is in an OA, one by one or by a table: their items are put anew under the new account."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from engine import clock, notices, outbox
from engine.audit import record
from engine.batch import AMONG, Batch, Statement, listed
from engine.connectors.oa import mirroring, removing
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.inbound import entries
from engine.connectors.oa.models import OAAccount
from engine.connectors.oa.people.lookups import own
from engine.connectors.oa.rights import require_admin
from engine.connectors.oa.sites import Connection
from engine.errors import Invalid
from engine.org.models import OrgRevision, Person
from engine.viewer import Doer

SHEET = "账号对照"
_VERB, _IMPORTED = "oa_account", "oa_accounts"
_MOST_NUMBER, _MOST_TEXT, _MOST_TOLD = 20, 80, 200

_SET = Statement(
    "INSERT INTO oa_account (site, person_id, account, account_key, set_by, set_at) "
    "VALUES (:site, :person_id, :account, :account_key, :set_by, :set_at)"
)
# what is there under another account is taken away there first
_TOUCHED = Statement(
    "SELECT m.item_id, m.person_id, m.account, m.shown, m.sending FROM oa_item m WHERE m.site = :site "
    f"AND m.person_id IN {AMONG} AND (m.wanted IN ('todo', 'read') OR m.shown IN ('todo', 'read') "
    f"OR {mirroring.BEHIND} OR m.problem <> '') ORDER BY m.item_id",
    item_id=uuid.UUID,
    person_id=uuid.UUID,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to import: its number in the file, the person's staff number and account; "" removes."""

    row: int
    number: str
    account: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has done to the table."""

    set: int
    removed: int
    unchanged: int

    def __str__(self) -> str:
        """Return a line for people."""
        return f"写入 {self.set}、删去 {self.removed}、不变 {self.unchanged}"


def set_account(session: Session, actor: Doer | None, connection: Connection, number: str, account: str) -> None:
    """Say who a person is in an OA, in place of what our records say; "" removes it. Their items are put anew.

    Raises Forbidden but for a system admin or the command line, and Invalid with `errors` (place, message): nobody by
    this number, an account that can't be one, or that is somebody else's.
    """
    require_admin(actor)
    try:
        _write(session, actor, connection, [Entry(0, number.strip(), account.strip())], _VERB)
    except Invalid as error:
        message = str(error.errors[0]["message"])
        place = str(error.errors[0]["column"])
        raise Invalid(message, code="oa_account", errors=[{"place": place, "message": message}]) from None


def import_accounts(session: Session, actor: Doer | None, connection: Connection, rows: Sequence[Entry]) -> Imported:
    """Write many entries, all or nothing; people whom the rows don't name stay as they are.

    Raises Forbidden but for a system admin or the command line, and Invalid with `errors` (place, sheet, row, column,
    message) where anything is wrong.
    """
    require_admin(actor)
    return _write(session, actor, connection, rows, _IMPORTED)


def _write(session: Session, actor: Doer | None, connection: Connection, rows: Sequence[Entry], verb: str) -> Imported:
    """Write entries whose people and accounts are checked here, and have the items of who changed put anew."""
    site, now = connection.site, clock.now()
    session.execute(select(OrgRevision.id).with_for_update())  # one after another
    table = select(OAAccount.person_id, OAAccount.account).where(OAAccount.site == site.code)
    stored: dict[uuid.UUID, str] = dict(session.execute(table).all())
    malformed = list(_malformed(rows))
    sound = [row for row in rows if row.row not in {problem["row"] for problem in malformed}]
    people = {
        person.staff_number: person
        for person in session.scalars(select(Person).where(Person.staff_number.in_({row.number for row in sound})))
    }
    _refuse([*malformed, *_problems(session, site, sound, people, stored)], verb)
    wanted = {people[row.number].id: row.account for row in rows}
    changed = {id_: text for id_, text in wanted.items() if stored.get(id_, "") != text}
    by_id = {person.id: person for person in people.values()}
    if changed:
        entries.forget(session, site.code, changed)
        mine = delete(OAAccount).where(OAAccount.site == site.code, OAAccount.person_id.in_(changed))
        session.execute(mine.execution_options(synchronize_session=False))
        new = [
            {
                "site": site.code, "person_id": id_, "account": text, "account_key": text.lower(),
                "set_by": None if actor is None else actor.person_id, "set_at": now,
            }
            for id_, text in changed.items() if text
        ]  # fmt: skip
        batch = Batch()
        if new:
            batch.add(_SET, new)
        if site.sign_on is not None:
            notices.add_many(batch, [_told(site, id_, text) for id_, text in changed.items()])
        batch.run(session)
    anew = wanted if verb == _VERB else changed  # who is set once more is not reached yet
    if anew:
        _put_anew(session, site, {id_: text or own(site, by_id[id_]) for id_, text in anew.items()})
    done = Imported(
        set=sum(bool(text) for text in changed.values()),
        removed=sum(not text for text in changed.values()),
        unchanged=len(wanted) - len(changed),
    )
    _record(
        session, actor, site, verb, done, [(by_id[id_], stored.get(id_, ""), text) for id_, text in changed.items()]
    )
    return done


def _malformed(rows: Sequence[Entry]) -> Iterable[dict[str, Any]]:
    """Say which rows are wrong in themselves, or name somebody once more."""
    seen: dict[str, int] = {}
    for row in rows:
        if not (0 < len(row.number) <= _MOST_NUMBER and row.number.isprintable()):
            yield _problem(row, "工号", f"请填工号，最多 {_MOST_NUMBER} 个字")
        elif len(row.account) > _MOST_TEXT or not row.account.isprintable():
            yield _problem(row, "账号", f"账号最多 {_MOST_TEXT} 个字，不含换行和不可见字符")
        elif row.number in seen:
            yield _problem(row, "工号", f"“{row.number}”与第 {seen[row.number]} 行重复")
        seen.setdefault(row.number, row.row)


def _problems(
    session: Session, site: Site, rows: Sequence[Entry], people: dict[str, Person], stored: dict[uuid.UUID, str]
) -> Iterable[dict[str, Any]]:
    """Say of each row what is wrong with it: as it would be once all rows are written."""
    final = dict(stored)
    final |= {people[row.number].id: row.account for row in rows if row.number in people}
    final = {id_: text for id_, text in final.items() if text}
    owners: defaultdict[str, set[uuid.UUID]] = defaultdict(set)
    for id_, text in final.items():
        owners[text.lower()].add(id_)
    keys = [(row.account or (own(site, people[row.number]) if row.number in people else "")).lower() for row in rows]
    if site.people != "table":
        column, wanted = func.lower(getattr(Person, site.people)), set(filter(None, keys))
        others = select(column, Person.id).where(
            column.in_(wanted), Person.disabled_at.is_(None), Person.system.is_(False)
        )
        for key, id_ in session.execute(others):
            if id_ not in final:
                owners[key].add(id_)
    names = _names(session, {id_ for key in keys for id_ in owners.get(key, ())})
    for row, key in zip(rows, keys, strict=True):
        person = people.get(row.number)
        if person is None:
            yield _problem(row, "工号", f"没有工号为“{row.number}”的职工，请核对")
        elif person.system:
            yield _problem(row, "工号", f"“{row.number}”是系统账号，不是职工")
        elif key and (others_of := owners.get(key, set()) - {person.id}):
            who = names[min(others_of)]
            yield _problem(row, "账号", f"账号“{row.account or key}”已经是{who}的，请先改正那一个")


def _names(session: Session, ids: set[uuid.UUID]) -> dict[uuid.UUID, str]:
    found = session.execute(select(Person.id, Person.name, Person.staff_number).where(Person.id.in_(ids)))
    return {id_: f"{name}（{number}）" for id_, name, number in found}


def _problem(row: Entry, column: str, message: str) -> dict[str, Any]:
    return {"place": f"{SHEET} 第 {row.row} 行 {column}", "sheet": SHEET, "row": row.row, "column": column,
            "message": message}  # fmt: skip


def _refuse(problems: list[dict[str, Any]], verb: str) -> None:
    if not problems:
        return
    problems.sort(key=lambda each: int(each["row"]))
    raise Invalid(
        f"文件有 {len(problems)} 处错误，没有导入任何内容",
        code=f"{verb}_invalid",
        errors=problems[:_MOST_TOLD],
    )


def _put_anew(session: Session, site: Site, accounts: dict[uuid.UUID, str]) -> None:
    """Have an OA show the items of people under their new accounts, and no more under those they had."""
    batch = Batch()
    batch.query(_TOUCHED, {"site": site.code, "ids": listed(accounts)})
    [touched] = batch.run(session)
    rows, now = [], clock.now()
    for item in touched:
        if (item.shown or item.sending) and item.account != accounts[item.person_id]:
            rows.append(removing.moved(site, item.item_id, item.account, now))
        rows.append(mirroring.pushing_row(site.system, item.item_id))
    put = Batch()
    outbox.put(session, put, rows)
    put.run(session)


def _told(site: Site, person_id: uuid.UUID, text: str) -> notices.NewNotice:
    what = f"信息科把“{site.name}”的账号 {text} 对应到您" if text else f"信息科解除了您与“{site.name}”账号的对应"
    return notices.NewNotice(person_id, "account", "旧 OA 账号有变更", f"{what}；有疑问请联系信息科")


def _record(
    session: Session,
    actor: Doer | None,
    site: Site,
    verb: str,
    done: Imported,
    changed: list[tuple[Person, str, str]],
) -> None:
    now, of_site = clock.now(), {"site": site.code, "site_name": site.name}
    if verb == _IMPORTED:
        figures = {"set": done.set, "removed": done.removed, "unchanged": done.unchanged}
        record(session, actor, verb, of_site | figures, at=now)
        return
    for person, before, after in changed:
        detail = {"number": person.staff_number, "name": person.name, "account": after, "before": before}
        record(session, actor, verb, of_site | detail, at=now, about=person.id)
