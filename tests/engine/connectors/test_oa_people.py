"""Who is who in an OA: where that doesn't follow from our records, one entry brings the person's items there."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from engine import clock
from engine.bpm.models import ActionLog
from engine.connectors.oa import people
from engine.connectors.oa.adapters.site import SignOn
from engine.connectors.oa.models import OAAccount, OAItem
from engine.connectors.oa.people import Entry, Identity
from engine.connectors.oa.sites import Connection
from engine.errors import Forbidden, Invalid
from engine.notices import Notice
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox import Outbox
from tests.dsl import Bpm, task
from tests.engine.bpm.contracts.kit import line
from tests.factories.oa import Shelf, connected, site

pytestmark = pytest.mark.backend("sqlite", "postgresql")

HEAD, SURGEON = CAST["head_nurse"].staff_number, CAST["surgeon"].staff_number
LINE = line(("a", task("a", "head_nurse")), ("b", task("b", "archivist")))


class Map:
    """The hospital beside one OA, and its people map."""

    def __init__(self, bpm: Bpm, **settings: Any) -> None:
        self.bpm, self.db, self.shelf = bpm, bpm.db, Shelf()
        self.connection = Connection(site(**settings), self.shelf)
        bpm.deploy_files(LINE)

    def set(self, number: str, account: str, by: str | None = None) -> None:
        with self.db.unit_of_work() as session:
            people.set_account(session, self.bpm.actor(by) if by else None, self.connection, number, account)
        self.bpm.work()

    def load(self, *rows: Sequence[str]) -> people.Imported:
        with self.db.unit_of_work() as session:
            entries = [Entry(n, *row) for n, row in enumerate(rows, start=2)]
            done = people.import_accounts(session, None, self.connection, entries)
        self.bpm.work()
        return done

    def unmapped(self) -> list[people.Unmapped]:
        with self.db.reading() as session:
            return people.unmapped(session, None, "ekp")

    def table(self, query: str = "") -> dict[str, str]:
        with self.db.reading() as session:
            return {row.number: row.account for row in people.accounts(session, None, "ekp", query)}

    def dead(self) -> int:
        with self.db.reading() as session:
            return len(list(session.scalars(select(Outbox.id).where(Outbox.state == "dead"))))

    def trail(self) -> list[tuple[str, Any]]:
        with self.db.reading() as session:
            rows = session.execute(
                select(ActionLog.verb, ActionLog.detail).where(ActionLog.verb.like("oa%")).order_by(ActionLog.id)
            )
            return [(verb, detail) for verb, detail in rows]


@pytest.fixture
def map_(bpm: Bpm) -> Iterator[Map]:
    found = Map(bpm)
    with connected(bpm.db, found.connection):
        yield found


@pytest.fixture
def by_table(bpm: Bpm) -> Iterator[Map]:
    found = Map(bpm, people="table")
    with connected(bpm.db, found.connection):
        yield found


def test_the_table_comes_before_our_own_records() -> None:
    person = Identity("张一", "1001", "13800000001", "z@hospital.example", None)
    assert people.account(site(), person) == "1001"
    assert people.account(site(people="mobile"), person) == "13800000001"
    assert people.account(site(people="email"), person) == "z@hospital.example"
    assert people.account(site(people="table"), person) == ""
    assert people.account(site(people="table"), person._replace(given="zhang1")) == "zhang1"
    assert people.account(site(), person._replace(given="zhang1")) == "zhang1"


def test_whoever_the_oa_does_not_know_is_listed_with_their_items(map_: Map) -> None:
    map_.shelf.unknown.add(HEAD)
    for _ in range(2):
        map_.bpm.start("p", "nurse")
    [row] = map_.unmapped()
    assert (row.number, row.items, row.reason) == (HEAD, 2, f"没有 {HEAD} 这个人")
    assert map_.dead() == 2


def test_setting_the_account_brings_the_items_and_ends_the_dead_letters(map_: Map) -> None:
    map_.shelf.unknown.add(HEAD)
    map_.bpm.start("p", "nurse")
    map_.set(HEAD, "hunurse", by="system_admin")
    assert map_.shelf.open("hunurse") == ["a"]
    assert (map_.unmapped(), map_.dead()) == ([], 0)
    [(verb, detail)] = map_.trail()
    assert verb == "oa_account"
    assert '"account":"hunurse","before":""' in detail


def test_where_the_table_alone_says_nobody_is_mapped_until_it_does(by_table: Map) -> None:
    by_table.bpm.start("p", "nurse")
    [row] = by_table.unmapped()
    assert "账号对照" in row.reason
    by_table.set(HEAD, "hunurse")
    assert by_table.shelf.open("hunurse") == ["a"]


def test_a_corrected_account_takes_the_items_out_of_the_wrong_list(map_: Map) -> None:
    map_.set(HEAD, "wrong")
    story = map_.bpm.start("p", "nurse")
    assert map_.shelf.open("wrong") == ["a"]
    map_.set(HEAD, "right")
    assert (map_.shelf.open("wrong"), map_.shelf.open("right")) == ([], ["a"])
    story.approve("head_nurse")
    assert map_.shelf.open("right") == []
    assert not [line for line in map_.shelf.lines if line.account == "wrong"]


def test_an_account_that_is_taken_away_gives_way_to_our_own_record(map_: Map) -> None:
    map_.set(HEAD, "hunurse")
    map_.bpm.start("p", "nurse")
    map_.set(HEAD, "")
    assert (map_.shelf.open("hunurse"), map_.shelf.open(HEAD)) == ([], ["a"])
    assert map_.table() == {}


def test_who_left_the_oa_is_taken_for_gone_there(map_: Map) -> None:
    map_.bpm.start("p", "nurse")
    map_.shelf.forget(account=HEAD)
    map_.shelf.unknown.add(HEAD)
    map_.set(HEAD, "hunurse")
    assert map_.shelf.open("hunurse") == ["a"]
    assert map_.dead() == 0


def test_a_changed_staff_number_is_found_by_the_next_push(map_: Map) -> None:
    map_.shelf.unknown.add(HEAD)
    map_.bpm.start("p", "nurse")
    with map_.db.unit_of_work() as session:
        session.execute(update(Person).where(Person.staff_number == HEAD).values(staff_number="H-77"))
    with map_.db.unit_of_work() as session:  # requeued on the page 投递
        session.execute(update(Outbox).where(Outbox.state == "dead").values(state="pending", attempts=0))
    map_.bpm.work()
    assert map_.shelf.open("H-77") == ["a"]


def test_a_new_account_overtakes_nothing_that_is_on_its_way(map_: Map) -> None:
    """The list of the old account shows the item once more before the worker comes to the change: it ends empty."""
    map_.set(HEAD, "wrong")
    map_.bpm.start("p", "nurse")
    with map_.db.unit_of_work() as session:
        people.set_account(session, None, map_.connection, HEAD, "right")
    with map_.db.unit_of_work() as session:
        people.set_account(session, None, map_.connection, HEAD, "wrong")
    map_.bpm.work()
    assert (map_.shelf.open("wrong"), map_.shelf.open("right")) == (["a"], [])


@pytest.mark.parametrize(
    ("number", "account", "message"),
    [
        ("0000", "x", "没有工号为“0000”的职工"),
        (HEAD, SURGEON, "已经是"),
        (HEAD, "TAKEN", "已经是"),
        (HEAD, "x" * 81, "最多 80 个字"),
        (HEAD, "a\u0000b", "不可见字符"),
    ],
)
def test_what_cannot_be_an_account_is_refused(map_: Map, number: str, account: str, message: str) -> None:
    map_.set(SURGEON, "taken")
    map_.set(SURGEON, "")
    map_.set(CAST["archivist"].staff_number, "taken")
    with pytest.raises(Invalid) as refused:
        map_.set(number, account)
    assert message in refused.value.message
    assert refused.value.errors[0]["place"] in ("工号", "账号")
    assert HEAD not in map_.table()


def test_only_system_admins_say_who_is_who_and_auditors_look_on(map_: Map) -> None:
    for who in ("nurse", "process_admin", "auditor"):
        with pytest.raises(Forbidden):
            map_.set(HEAD, "x", by=who)
    with map_.db.reading() as session:
        assert people.accounts(session, map_.bpm.actor("auditor"), "ekp") == []
        assert people.unmapped(session, map_.bpm.actor("process_admin"), "ekp") == []
        for ask in (people.accounts, people.unmapped):
            with pytest.raises(Forbidden):
                ask(session, map_.bpm.actor("nurse"), "ekp")


def test_an_import_is_all_or_nothing_with_its_errors_by_row(map_: Map) -> None:
    with pytest.raises(Invalid) as refused:
        map_.load((HEAD, "a"), ("0000", "b"), (SURGEON, "A"), (HEAD, "c"))
    told = [(error["row"], error["column"]) for error in refused.value.errors]
    assert told == [(2, "账号"), (3, "工号"), (4, "账号"), (5, "工号")]
    assert "没有导入任何内容" in refused.value.message
    assert map_.table() == {}


def test_an_import_exchanges_two_accounts_at_once_and_again_changes_nothing(map_: Map) -> None:
    assert str(map_.load((HEAD, "a"), (SURGEON, "b"))) == "写入 2、删去 0、不变 0"
    map_.bpm.start("p", "nurse")
    assert map_.load((HEAD, "b"), (SURGEON, "a")).set == 2
    assert (map_.shelf.open("a"), map_.shelf.open("b")) == ([], ["a"])
    assert map_.load((HEAD, "b"), (SURGEON, "")) == people.Imported(set=0, removed=1, unchanged=1)
    assert map_.table() == {HEAD: "b"}
    assert [verb for verb, _ in map_.trail()] == ["oa_accounts"] * 3


def test_what_is_exported_comes_back_as_it_was_and_csv_does_too(map_: Map) -> None:
    map_.load((HEAD, "=1+1"), (SURGEON, "0042"))
    with map_.db.reading() as session:
        file = people.workbook(people.entries(session, None, "ekp"))
    assert {(e.number, e.account) for e in people.read(file)} == {(HEAD, "=1+1"), (SURGEON, "0042")}
    for encoding in ("utf-8-sig", "gb18030"):
        text = f"姓名,工号,账号\r\n护士长,{HEAD},hu\r\n,,\r\n"
        assert people.read(text.encode(encoding)) == [Entry(2, HEAD, "hu")]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\xff\xff\xff", "工号,帐号\r\n1,2".encode(), b'"a\n1,"b"c'])
def test_a_file_that_is_no_table_is_refused_with_the_cure(content: bytes) -> None:
    with pytest.raises(Invalid, match="请"):
        people.read(content)


def test_who_is_behind_an_account(map_: Map) -> None:
    map_.set(SURGEON, "Chirurg")
    with map_.db.unit_of_work() as session:
        gone = update(Person).where(Person.staff_number == CAST["archivist"].staff_number)
        session.execute(gone.values(disabled_at=clock.now()))
    with map_.db.reading() as session:
        asked = ["CHIRURG", HEAD, SURGEON, CAST["archivist"].staff_number, "nobody", ""]
        found = people.persons_of(session, map_.connection, asked)
    assert found == {"CHIRURG": map_.bpm.person("surgeon"), HEAD: map_.bpm.person("head_nurse")}


def test_a_number_of_two_people_is_nobodys(bpm: Bpm) -> None:
    found = Map(bpm, people="mobile")
    with connected(bpm.db, found.connection):
        with bpm.db.unit_of_work() as session:
            shared = update(Person).where(Person.staff_number.in_([HEAD, SURGEON]))
            session.execute(shared.values(mobile="13900000000"))
        with bpm.db.reading() as session:
            assert people.persons_of(session, found.connection, ["13900000000"]) == {}


def test_whoever_may_come_in_by_the_account_is_told_of_it(bpm: Bpm) -> None:
    found = Map(bpm, sign_on=SignOn(kind="signed", secret=SecretStr("x" * 32)))
    with connected(bpm.db, found.connection):
        found.set(HEAD, "hunurse", by="system_admin")
        with bpm.db.reading() as session:
            mine = select(Notice.text).where(Notice.person_id == bpm.person("head_nurse"), Notice.kind == "account")
            assert "hunurse" in session.scalars(mine).one()


def test_the_table_is_searched_by_number_name_reading_and_account(map_: Map) -> None:
    map_.load((HEAD, "hunurse"), (SURGEON, "chi_rurg"))
    name = map_.bpm.actor("surgeon").name
    assert map_.table(name) == map_.table("CHI_") == map_.table(SURGEON) == {SURGEON: "chi_rurg"}
    assert map_.table("%") == {}
    with map_.db.reading() as session:
        assert {row.set_by for row in people.accounts(session, None, "ekp")} == {None}
        assert len(list(session.scalars(select(OAAccount)))) == 2
        assert list(session.scalars(select(OAItem))) == []
