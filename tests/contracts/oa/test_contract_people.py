"""Who is who in an OA: by staff number, mobile, e-mail or a table (issue 5, "people map")."""

from typing import Any

import pytest

from engine import clock
from engine.connectors.oa import people
from engine.errors import Invalid
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import CHIEF, EACH_PRODUCT, HEAD, Office
from tests.engine.connectors.desks import number

pytestmark = pytest.mark.backend("sqlite")


def _known_as(desk: Office, who: str, account: str) -> None:
    """Let the OA know somebody by another account than the staff number."""
    known = desk.oa.state.people.pop(number(who))
    desk.oa.state.people[account] = type(known)(account, known.name, known.mobile, known.department, account.ljust(32))


def _lists(desk: Office, account: str) -> list[str]:
    return [row.state for row in desk.product.of(account) if row.open]


def _set(desk: Office, who: str, account: str) -> None:
    with desk.bpm.db.unit_of_work() as session:
        people.set_account(session, desk.bpm.actor("system_admin"), desk.connection, number(who), account)
    desk.bpm.work()


@pytest.mark.parametrize(
    ("by", "record", "account"), [("mobile", "mobile", "13911112222"), ("email", "email", "zeng@h.example")]
)
def test_by_mobile_or_email(office: Opening, by: str, record: str, account: str) -> None:
    desk = office("landray.rest", people=by)
    desk.person(HEAD, **{record: account})
    desk.person(CHIEF, **{record: ""})
    _known_as(desk, HEAD, account)
    story = desk.begin(HEAD, CHIEF)
    assert _lists(desk, account) == ["todo"]
    assert number(CHIEF) in desk.unmapped(), "without one, somebody must act"
    story.approve(by=HEAD)
    assert _lists(desk, account) == []


def test_by_a_table_alone(office: Opening) -> None:
    desk = office("weaver.rest", people="table")
    _known_as(desk, HEAD, "zengsz")
    desk.begin(HEAD, CHIEF)
    assert sorted(desk.unmapped()) == [number(CHIEF), number(HEAD)]
    assert desk.requests() == 0, "nothing is sent for whom the table doesn't name"
    with desk.bpm.db.unit_of_work() as session:
        rows = people.read(f"工号,账号\n{number(HEAD)},zengsz\n{number(CHIEF)},{number(CHIEF)}\n".encode())
        people.import_accounts(session, desk.bpm.actor("system_admin"), desk.connection, rows)
    desk.bpm.work()
    assert _lists(desk, "zengsz") == ["todo"]
    assert desk.seen(CHIEF) == ["review"]
    assert desk.unmapped() == []


def test_one_wrong_row_and_nothing_is_imported(office: Opening) -> None:
    desk = office("landray.rest", people="table")
    for text, place in (("工号,账号\n10026,a\n99999,b\n", 3), ("工号,账号\n10026,a\n10025,a\n", 3)):
        with desk.bpm.db.unit_of_work() as session, pytest.raises(Invalid) as wrong:
            people.import_accounts(
                session, desk.bpm.actor("system_admin"), desk.connection, people.read(text.encode("gb18030"))
            )
        assert any(str(place) in str(error) for error in wrong.value.errors), wrong.value.errors
    with desk.bpm.db.reading() as session:
        assert people.accounts(session, desk.bpm.actor("system_admin"), "ekp") == []


@pytest.mark.parametrize("kind", EACH_PRODUCT)
def test_another_account_and_what_waits_moves_there(office: Opening, kind: str) -> None:
    desk = office(kind)
    known = desk.oa.state.people[number(HEAD)]
    desk.oa.state.people["zengsz"] = type(known)("zengsz", known.name, known.mobile, known.department, "z" * 32)
    story = desk.begin(HEAD)
    assert desk.seen(HEAD) == ["review"]
    _set(desk, HEAD, "zengsz")
    assert desk.seen(HEAD) == [], "no ghost under the old account"
    assert _lists(desk, "zengsz") == ["todo"]
    _set(desk, HEAD, "")
    assert desk.seen(HEAD) == ["review"]
    assert _lists(desk, "zengsz") == []
    story.approve(by=HEAD)
    desk.exact()


def test_no_two_people_have_one_account(office: Opening) -> None:
    desk = office("landray.rest")
    _set(desk, HEAD, "zengsz")
    with pytest.raises(Invalid):
        _set(desk, CHIEF, "ZengSZ")


def test_an_oa_of_some_staff_only(office: Opening) -> None:
    desk = office("template", unmapped="ignore")
    desk.oa.state.people.pop(number(HEAD))
    desk.begin(HEAD, CHIEF)
    assert desk.unmapped() == []
    assert desk.pending("dead") == 0
    assert desk.pending() == 0
    assert desk.seen(CHIEF) == ["review"]
    assert desk.compare().missing == 0


def test_the_list_of_who_is_missing_says_how_much_waits_and_why(office: Opening) -> None:
    desk = office("landray.soap")
    desk.oa.state.people.pop(number(HEAD))
    desk.begin(HEAD)
    desk.start()
    with desk.bpm.db.reading() as session:
        found: Any = people.unmapped(session, desk.bpm.actor("system_admin"), "ekp")
    [listed] = found
    assert (listed.number, listed.items) == (number(HEAD), 2)
    assert listed.reason
    assert listed.since <= clock.now()
