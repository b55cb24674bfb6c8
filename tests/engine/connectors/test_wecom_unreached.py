"""Whom messages in WeCom don't reach: listed for who oversees, with the reason, until they are reached again."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from engine import clock
from engine.connectors.wecom import planning, unreached
from engine.connectors.wecom.models import WeComAccount
from engine.errors import Forbidden, Invalid
from engine.org.models import Person
from tests.dsl import task
from tests.engine.bpm.contracts.kit import MONDAY, line
from tests.engine.connectors.phones import Phones, _phones, number, start  # noqa: F401

pytestmark = pytest.mark.backend("sqlite", "postgresql")

READ = line(("r", task("r", "surgeon", "doctor", "head_nurse", kind="read")))


def shown(phones: Phones, **page: object) -> list[tuple[str, str, int]]:
    """Return number, reason and count of each who is listed."""
    with phones.bpm.db.reading() as session:
        found = unreached.people(session, phones.bpm.actor("auditor"), **page)  # type: ignore[arg-type]
    return [(row.number, row.reason, row.count) for row in found.rows]


def test_who_is_no_member_and_who_has_no_account_are_listed_with_what_helps(phones: Phones) -> None:
    phones.at(MONDAY)
    members = phones.state.members
    kept = members.pop(number("surgeon").lower())
    with phones.bpm.db.unit_of_work() as session:
        session.delete(session.get_one(WeComAccount, phones.bpm.person("doctor")))
    start(phones, READ)
    phones.at(MONDAY + timedelta(days=1))
    start(phones, READ)
    assert sorted(shown(phones)) == sorted(
        [(number("surgeon"), planning.ABSENT, 2), (number("doctor"), planning.NO_ACCOUNT, 2)]
    )
    with phones.bpm.db.reading() as session:
        rows = unreached.people(session, phones.bpm.actor("process_admin")).rows
    assert {(row.since, row.last) for row in rows} == {(MONDAY, MONDAY + timedelta(days=1))}
    assert "可见范围" in next(row.cure for row in rows if row.number == number("surgeon"))

    members[number("surgeon").lower()] = kept  # mended: the next message shows it
    phones.at(MONDAY + timedelta(days=2))
    start(phones, READ)
    assert shown(phones) == [(number("doctor"), planning.NO_ACCOUNT, 3)]
    with phones.bpm.db.unit_of_work() as session:  # nobody waits for messages of who has left
        session.execute(update(Person).where(Person.id == phones.bpm.person("doctor")).values(disabled_at=clock.now()))
    assert shown(phones) == []


def test_what_is_older_than_a_week_is_not_listed(phones: Phones) -> None:
    phones.at(MONDAY)
    del phones.state.members[number("surgeon").lower()]
    start(phones, READ)
    phones.at(MONDAY + unreached.PERIOD - timedelta(minutes=1))
    assert [count for *_, count in shown(phones)] == [1]
    phones.at(MONDAY + unreached.PERIOD)
    assert shown(phones) == []


def test_the_list_is_read_page_by_page_by_who_oversees(phones: Phones) -> None:
    for who in ("surgeon", "doctor", "head_nurse"):
        del phones.state.members[number(who).lower()]
    start(phones, READ)
    found: list[str] = []
    cursor = None
    while len(found) < 4:
        with phones.bpm.db.reading() as session:
            page = unreached.people(session, phones.bpm.actor("auditor"), cursor=cursor, limit=1)
        found += [row.number for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert sorted(found) == sorted(number(who) for who in ("surgeon", "doctor", "head_nurse"))
    with phones.bpm.db.reading() as session:
        with pytest.raises(Forbidden):
            unreached.people(session, phones.bpm.actor("surgeon"))
        with pytest.raises(Invalid):
            unreached.people(session, phones.bpm.actor("auditor"), cursor="bm9uc2Vuc2U")
