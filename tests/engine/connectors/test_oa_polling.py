"""The OA's own lists, taken in person by person: who is looked at when, what is written, and what failing costs."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from engine import clock
from engine.connectors.oa import people
from engine.connectors.oa.adapters.protocol import Foreign, State
from engine.connectors.oa.inbound import entries, polling, queries
from engine.connectors.oa.models import OAEntry, OAPoll
from engine.connectors.oa.sites import Connection, Sites, connected
from engine.org import auth
from engine.org.models import Person
from sandbox.oa.server import Running
from tests.dsl import Bpm, dates
from tests.engine.connectors.desks import Desk, number
from tests.factories.outbox import NOON


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


@pytest.fixture
def desk(bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside Landray's OA, whose own lists are taken in every ten minutes."""
    return Desk(bpm, oa_sandbox, "landray.rest", poll=True, timeout=1)


def log_in(bpm: Bpm, who: str) -> None:
    with bpm.db.unit_of_work() as session:
        auth.login_as(session, number(who), demo=True)


def open_box(desk: Desk, who: str) -> None:
    with desk.bpm.db.unit_of_work() as session:
        polling.poll_now(session, connected(desk.bpm.db), desk.bpm.actor(who))


def look(desk: Desk, minutes: float = 0) -> None:
    """Let time pass, then look as the leader's tick does, and do what it has queued."""
    clock.freeze(clock.now() + timedelta(minutes=minutes))
    polling.look(desk.bpm.db, 1000)
    desk.bpm.work()


def box(desk: Desk, who: str) -> list[tuple[str, str]]:
    with desk.bpm.db.reading() as session:
        return [(row.title, row.state) for row in queries.entries(session, desk.bpm.actor(who)).rows]


def rows(desk: Desk, who: str) -> dict[str, OAEntry]:
    with desk.bpm.db.reading() as session:
        mine = select(OAEntry).where(OAEntry.person_id == desk.bpm.person(who))
        return {f"{row.title} {row.state}": row for row in session.scalars(mine)}


def poll_of(desk: Desk, who: str) -> OAPoll:
    with desk.bpm.db.reading() as session:
        return session.get_one(OAPoll, ("ekp", desk.bpm.person(who)))


def test_whoever_opens_the_box_sees_what_waits_in_the_oa_and_sees_it_go(desk: Desk) -> None:
    own = desk.product.start_own(number("nurse"), "关于秋季体检的通知", workflow="发文", node="阅办", sender="王敏")
    desk.product.start_own(number("doctor"), "别人的")
    open_box(desk, "nurse")
    desk.bpm.work()
    assert box(desk, "nurse") == [("关于秋季体检的通知", "todo")]
    assert box(desk, "doctor") == []  # nobody sees what waits for others
    with desk.bpm.db.reading() as session:
        assert queries.count(session, desk.bpm.actor("nurse")) == 1
        [entry] = queries.entries(session, desk.bpm.actor("nurse")).rows
    assert entry.link.startswith("http")
    desk.product.finish_own(own.key)
    clock.freeze(clock.now() + timedelta(minutes=1))
    open_box(desk, "nurse")
    desk.bpm.work()
    assert box(desk, "nurse") == []
    states = {row.state for row in rows(desk, "nurse").values() if row.gone_at is None}
    assert states <= {"done", "finished"}


def test_our_own_items_are_not_taken_in_again(desk: Desk) -> None:
    desk.bpm.deploy("leave_request")
    desk.bpm.start("leave_request", by="nurse", leave_type="事假", reason="家事", **dates(3, 4))
    assert desk.seen("head_nurse")
    open_box(desk, "head_nurse")
    desk.bpm.work()
    assert poll_of(desk, "head_nurse").polled_at == clock.now()
    assert box(desk, "head_nurse") == []


def test_the_box_asks_once_however_often_it_is_opened(desk: Desk) -> None:
    open_box(desk, "nurse")
    desk.bpm.work()
    before = desk.requests()
    for _ in range(5):
        open_box(desk, "nurse")
        desk.bpm.work()
    assert desk.requests() == before
    clock.freeze(clock.now() + polling.DEBOUNCED)
    open_box(desk, "nurse")
    desk.bpm.work()
    assert desk.requests() > before


def test_who_is_here_today_is_looked_at_every_few_minutes_and_others_within_hours(desk: Desk) -> None:
    log_in(desk.bpm, "nurse")
    look(desk)
    first = poll_of(desk, "nurse")
    assert first.polled_at == clock.now()
    assert first.due_at == clock.now() + timedelta(minutes=10)
    assert poll_of(desk, "doctor").polled_at is None
    assert clock.now() <= poll_of(desk, "doctor").due_at <= clock.now() + polling.REST
    look(desk, minutes=9)
    assert poll_of(desk, "nurse").polled_at == first.polled_at
    look(desk, minutes=1)
    assert poll_of(desk, "nurse").polled_at == clock.now()
    log_in(desk.bpm, "doctor")  # comes on duty
    look(desk, minutes=1)
    assert poll_of(desk, "doctor").polled_at == clock.now()


def test_a_minute_s_looks_stay_within_a_third_of_the_rate(desk: Desk) -> None:
    slow = desk.site.model_copy(update={"per_minute": 90})
    reconnect(desk, Connection(slow, desk.connection.adapter))
    for who in ("nurse", "doctor", "surgeon", "head_nurse", "archivist", "designer"):
        log_in(desk.bpm, who)
    polling.look(desk.bpm.db, 1000)
    with desk.bpm.db.unit_of_work() as session:
        session.execute(update(OAPoll).values(due_at=clock.now()))
    for _ in range(12):  # a minute of ticks
        look(desk, minutes=5 / 60)
    with desk.bpm.db.reading() as session:
        polled = len(session.scalars(select(OAPoll).where(OAPoll.polled_at.is_not(None))).all())
    assert polled <= 90 // 3 // 3 + 1
    assert poll_of(desk, "nurse").polled_at is not None  # who is here comes before who isn't


def reconnect(desk: Desk, connection: Connection) -> None:
    desk.bpm.db.provide(Sites({"ekp": connection}, "https://x.test"))


@pytest.mark.parametrize("fault", ["timeout", "html502", "refuse", "fault"])
def test_a_list_that_cannot_be_had_is_no_dead_letter_and_comes_back(desk: Desk, fault: str) -> None:
    desk.product.start_own(number("nurse"), "关于秋季体检的通知")
    desk.fault(fault, times=50)
    open_box(desk, "nurse")
    for _ in range(8):
        desk.bpm.work()
        clock.freeze(clock.now() + timedelta(minutes=3))
    found = poll_of(desk, "nurse")
    assert (found.failures, found.handled_to) == (1, None)
    assert found.error
    assert found.due_at > clock.now() - timedelta(minutes=15)
    assert desk.pending("dead") == 0
    assert desk.pending() == 0
    desk.oa.state.faults.clear()
    clock.freeze(clock.now() + timedelta(hours=1))
    open_box(desk, "nurse")
    desk.bpm.work()
    clock.freeze(clock.now() + timedelta(minutes=3))
    desk.bpm.work()
    assert box(desk, "nurse") == [("关于秋季体检的通知", "todo")]
    assert (poll_of(desk, "nurse").failures, poll_of(desk, "nurse").error) == (0, "")


def test_an_oa_that_does_not_let_us_in_is_asked_again_later_and_goes_on_being_pushed_to(desk: Desk) -> None:
    log_in(desk.bpm, "doctor")
    desk.fault("not_allowed", times=50)
    open_box(desk, "nurse")
    desk.bpm.work()
    assert poll_of(desk, "nurse").error
    assert poll_of(desk, "nurse").due_at >= clock.now() + timedelta(minutes=30)
    look(desk, minutes=1)
    assert desk.state().paused_at is None
    assert (desk.pending(), desk.pending("dead")) == (0, 0)


class Fake:
    """An OA that lists whatever a test says."""

    states = frozenset(State)
    reads_back = quick = False
    polls = True

    def __init__(self) -> None:
        self.open: list[Foreign] = []
        self.done: list[Foreign] = []
        self.since: list[datetime] = []
        self.accounts: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def waiting(self, account: str) -> list[Foreign]:
        self.accounts.append(account)
        self.meanwhile()
        return self.open

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        self.since.append(since)
        return self.done

    def close(self) -> None:
        pass


def foreign(id_: str = "1", state: State = State.TODO, **more: Any) -> Foreign:
    given: dict[str, Any] = {
        "title": "通知",
        "workflow": "发文",
        "node": "阅办",
        "sender": "王敏",
        "link": "http://oa/1",
    }
    return Foreign(**{"request_id": id_, "state": state, "received_at": NOON, **given, **more})


@pytest.fixture
def fake(desk: Desk) -> Fake:
    oa = Fake()
    desk.connection.adapter.close()
    reconnect(desk, Connection(desk.site, oa))  # type: ignore[arg-type]
    return oa


def again(desk: Desk, minutes: float = 1) -> None:
    clock.freeze(clock.now() + timedelta(minutes=minutes))
    open_box(desk, "nurse")
    desk.bpm.work()


def test_windows_overlap_and_change_nothing(desk: Desk, fake: Fake) -> None:
    fake.open, fake.done = [foreign("1"), foreign("1"), foreign("2", State.READ)], [foreign("3", State.DONE)]
    again(desk)
    first = {id_: row.id for id_, row in rows(desk, "nurse").items()}
    began = clock.now()
    again(desk, 5)
    assert {id_: row.id for id_, row in rows(desk, "nurse").items()} == first
    assert fake.since == [NOON + timedelta(minutes=1) - timedelta(days=1) - polling.OVERLAP, began - polling.OVERLAP]
    fake.open = []
    again(desk)
    assert box(desk, "nurse") == []
    fake.open = [foreign("1", title="又来了")]  # given back to them
    again(desk)
    assert box(desk, "nurse") == [("又来了", "todo")]


def call_her(desk: Desk, account: str) -> None:
    with desk.bpm.db.unit_of_work() as session:
        people.set_account(session, None, desk.connection, number("nurse"), account)


def shown(desk: Desk) -> list[str]:
    """Return what the nurse sees in both views."""
    nurse = desk.bpm.actor("nurse")
    with desk.bpm.db.reading() as session:
        return [row.title for of in (queries.entries, queries.handled) for row in of(session, nurse).rows]


def test_whoever_was_taken_for_somebody_else_sees_nothing_of_theirs_any_more(desk: Desk, fake: Fake) -> None:
    call_her(desk, "wang.min")
    fake.open, fake.done = [foreign("1", title="王敏的事")], [foreign("2", State.DONE, title="关于王敏的意见")]
    again(desk)
    assert shown(desk) == ["王敏的事", "关于王敏的意见"]
    call_her(desk, "")
    assert shown(desk) == [], "at once"
    fake.open, fake.done = [foreign("3", title="她的事")], []
    look(desk, minutes=1)
    assert shown(desk) == ["她的事"], "and asked for without waiting"
    assert fake.accounts == ["wang.min", number("nurse")]
    assert fake.since[-1] == clock.now() - timedelta(days=1) - polling.OVERLAP, "from the first day on"


def test_a_look_that_ends_after_the_account_was_corrected_writes_nothing(desk: Desk, fake: Fake) -> None:
    call_her(desk, "wang.min")
    fake.open = [foreign("1", title="王敏的事")]
    fake.meanwhile = lambda: call_her(desk, "")
    again(desk)
    assert fake.accounts == ["wang.min"]
    assert rows(desk, "nurse") == {}
    fake.meanwhile, fake.open = lambda: None, []
    again(desk)
    assert rows(desk, "nurse") == {}
    assert fake.accounts[-1] == poll_of(desk, "nurse").account == number("nurse")


def test_another_staff_number_is_another_account(desk: Desk, fake: Fake) -> None:
    fake.open = [foreign("1", title="旧工号的事")]
    again(desk)
    with desk.bpm.db.unit_of_work() as session:
        session.execute(update(Person).where(Person.id == desk.bpm.person("nurse")).values(staff_number="N10027"))
    fake.open = []
    again(desk)
    assert rows(desk, "nurse") == {}
    assert poll_of(desk, "nurse").account == "N10027"


def test_what_the_oa_dates_in_the_future_is_of_now(desk: Desk, fake: Fake) -> None:
    far = NOON + timedelta(days=3650)
    fake.open = [foreign("1", received_at=far)]
    fake.done = [foreign("2", State.DONE, received_at=far, handled_at=far), foreign("3", State.DONE, handled_at=NOON)]
    again(desk)
    seen = clock.now()
    assert {row.received_at for row in rows(desk, "nurse").values()} == {seen, NOON}
    fake.open = fake.done = []
    clock.freeze(seen + entries.HANDLED_KEPT + timedelta(minutes=1))
    assert shown(desk) == ["通知"], "of what waits"
    entries.purge(desk.bpm.db)
    assert [row.state for row in rows(desk, "nurse").values()] == ["todo"]


def test_what_the_oa_does_not_date_stays_where_it_was_first_seen(desk: Desk, fake: Fake) -> None:
    fake.done = [foreign("1", State.DONE, title="没有时刻", received_at=None)]
    again(desk)
    first = clock.now()
    fake.done.append(foreign("2", State.DONE, title="有时刻", received_at=first + timedelta(minutes=1)))
    again(desk, 5)
    assert shown(desk) == ["有时刻", "没有时刻"]
    assert {row.received_at for row in rows(desk, "nurse").values()} == {first, first + timedelta(minutes=1)}


def test_what_is_no_address_of_a_page_is_no_link(desk: Desk, fake: Fake) -> None:
    odd = ("javascript:alert(1)", "data:text/html,x", "//evil", "http://", "http://a b", "http://[", "/relative", "")
    fake.open = [foreign(str(n), link=link, mobile_link=link) for n, link in enumerate(odd)]
    again(desk)
    with desk.bpm.db.reading() as session:
        found = session.scalars(select(OAEntry)).all()
    assert [(row.link, row.mobile_link) for row in found] == [("", "")] * len(odd)


def test_whatever_the_oa_sends_fits(desk: Desk, fake: Fake) -> None:
    odd = "题\x00\n<b>\ud800😀" + "长" * 500
    fake.done = [foreign("号\ud800\x00", State.DONE)]
    fake.open = [foreign("x" * 200, title=odd, workflow=odd, node=odd, sender=odd, link="http://oa/" + "x" * 2000)]
    again(desk)
    row, done = sorted(rows(desk, "nurse").values(), key=lambda row: row.state, reverse=True)
    assert (len(done.request_id), done.state) == (64, "done")
    assert row.title.startswith("题 <b> 😀长")
    assert (len(row.title), row.link, len(row.request_id)) == (300, "", 64)
    again(desk)
    assert len(rows(desk, "nurse")) == 2


def test_what_is_long_gone_is_deleted_and_what_nobody_asks_for_any_more_goes(desk: Desk, fake: Fake) -> None:
    fake.open, fake.done = [foreign("1"), foreign("2")], [foreign("3", State.DONE)]
    again(desk)
    fake.open = [foreign("2")]
    again(desk)
    clock.freeze(clock.now() + entries.STALE + timedelta(minutes=1))
    entries.purge(desk.bpm.db)
    assert box(desk, "nurse") == []
    clock.freeze(clock.now() + entries.KEPT + timedelta(minutes=1))
    entries.purge(desk.bpm.db)
    assert {row.state for row in rows(desk, "nurse").values()} == {"done"}
    clock.freeze(clock.now() + entries.HANDLED_KEPT + timedelta(minutes=1))
    entries.purge(desk.bpm.db)
    assert rows(desk, "nurse") == {}


def test_who_has_no_account_is_not_asked_for(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "landray.rest", poll=True, people="table")
    open_box(desk, "nurse")
    desk.bpm.work()
    assert desk.requests() == 0
    assert poll_of(desk, "nurse").error == polling.NOBODY
    assert poll_of(desk, "nurse").due_at == clock.now() + polling.RARELY
    log_in(bpm, "nurse")
    look(desk, minutes=1)
    assert poll_of(desk, "nurse").due_at > clock.now()  # being here doesn't make them known there


def test_nobody_is_asked_for_where_the_site_does_not_take_in(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "landray.rest")
    open_box(desk, "nurse")
    look(desk)
    with bpm.db.reading() as session:
        assert session.scalars(select(OAPoll)).all() == []
