"""What each failure does to the channel, the dead letters and the unmapped people (design 05, "stays true" 4, 5)."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from engine import clock
from engine.connectors.oa import people
from engine.errors import Conflict, Forbidden
from engine.outbox import Outbox
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import ALL, CHIEF, EACH_PRODUCT, HEAD, TWO_PRODUCTS
from tests.engine.connectors.desks import number

pytestmark = pytest.mark.backend("sqlite")

Setting = Callable[[Any], None]


def _set(**values: Any) -> Setting:
    def change(settings: Any) -> None:
        for name, value in values.items():
            setattr(settings, name, value)

    return change


CONFIGURATION: dict[str, tuple[str, Setting]] = {
    "统一待办中心未启用": ("weaver.soap", _set(enabled=False)),
    "异构系统标识未注册": ("weaver.rest", _set(systems={})),
    "异构系统标识未注册, SOAP": ("weaver.soap", _set(systems={})),
    "当前IP未授权": ("weaver.rest", _set(addresses={"10.9.9.9"})),
    "不允许接收流程数据": ("weaver.rest", _set(receives=False)),
    "Landray's password, SOAP": ("landray.soap", _set(password="other")),
    "Landray's password, REST": ("landray.rest", _set(password="other")),
    "Landray's addresses": ("landray.soap", _set(addresses={"10.9.9.9"})),
    "Seeyon's password": ("seeyon", _set(password="other")),
    "系统注册编码未注册": ("seeyon", _set(register_codes={"1"})),
    "Seeyon's addresses": ("seeyon", _set(addresses={"10.9.9.9"})),
    "a plain token": ("template", _set(token="other")),
    "a plain system": ("template", _set(registered=False)),
}


@pytest.mark.parametrize("case", CONFIGURATION)
def test_refused_as_a_system_the_channel_rests_and_nothing_is_given_up(office: Opening, case: str) -> None:
    kind, break_ = CONFIGURATION[case]
    desk = office(kind)
    break_(desk.product.settings)
    stories = [desk.begin(HEAD), *(desk.start() for _ in range(3))]
    channel = desk.state()
    assert channel.paused_at is not None
    assert channel.reason
    assert desk.pending("dead") == 0
    assert desk.pending() >= 4
    assert desk.requests() <= 4, "not each item is refused one by one"
    before = desk.requests()
    desk.later(hours=2)
    assert desk.requests() == before, "a person must act"
    stories[0].reject(by=HEAD)
    desk.product.settings = type(desk.product.settings)()
    desk.resume()
    desk.exact()
    assert len(desk.seen(HEAD)) == 3
    assert desk.pending() == 0
    assert desk.state().paused_at is None


@pytest.mark.parametrize("kind", ALL)
def test_somebody_whom_the_oa_does_not_know_is_listed_and_others_are_served(office: Opening, kind: str) -> None:
    desk = office(kind)
    gone = desk.oa.state.people.pop(number(HEAD))
    story = desk.begin(HEAD, CHIEF)
    assert desk.unmapped() == [number(HEAD)]
    assert desk.seen(CHIEF) == ["review"]
    assert desk.state() is None or (desk.state().paused_at is None and desk.state().open_until is None)
    before = desk.requests()
    desk.later(hours=1)
    assert desk.requests() == before, "what is refused for good isn't sent again and again"
    desk.oa.state.people["zengsz"] = type(gone)("zengsz", gone.name, gone.mobile, gone.department, "z" * 32)
    with desk.bpm.db.unit_of_work() as session:
        people.set_account(session, desk.bpm.actor("system_admin"), desk.connection, number(HEAD), "zengsz")
    desk.bpm.work()
    assert desk.unmapped() == []
    assert [r.state for r in desk.product.rows() if r.account == "zengsz"] == ["todo"]
    assert desk.pending("dead") == 0
    story.approve(by=HEAD)
    assert [r.account for r in desk.product.rows() if r.open] == [number("doctor")]


def test_who_is_not_known_and_has_nothing_any_more_is_off_the_list(office: Opening) -> None:
    desk = office("landray.rest")
    desk.oa.state.people.pop(number(HEAD))
    story = desk.begin(HEAD)
    assert desk.unmapped() == [number(HEAD)]
    story.approve(by=HEAD)
    assert desk.unmapped() == []
    assert desk.pending("dead") == 0
    desk.exact()


def test_a_sender_whom_the_oa_does_not_know_hides_nothing(office: Opening) -> None:
    """检测创建人不存在: the receiver is known and is to have the item."""
    desk = office("weaver.rest")
    desk.oa.state.people.pop(number("nurse"))
    desk.begin(HEAD)
    assert desk.seen(HEAD) == ["review"]
    assert number(HEAD) not in desk.unmapped()
    assert number("nurse") not in desk.unmapped()


def test_a_type_of_process_that_is_not_taken_stops_no_other(office: Opening) -> None:
    """流程类型【x】不允许接收流程数据 is about one type: the others go on, and who acts finds the words."""
    desk = office("weaver.soap")
    desk.product.settings.auto_workflow = False
    desk.product.settings.workflows = {"q": True}
    desk.begin(HEAD)
    desk.begin(CHIEF, key="q")
    assert desk.seen(CHIEF) == ["review"]
    assert desk.seen(HEAD) == []
    assert desk.state() is None or desk.state().paused_at is None
    [reason] = desk.reasons()
    assert "流程类型" in reason
    desk.product.settings.workflows["p"] = True
    desk.requeue()
    desk.exact()


@pytest.mark.parametrize(
    ("kind", "fault"),
    [(kind, fault) for kind in EACH_PRODUCT for fault in ("html502", "fault")]
    + [("landray.rest", "garbage"), ("weaver.soap", "garbage"), ("seeyon", "refuse"), ("template", "restart")],
)
def test_what_passes_is_tried_again_by_itself(office: Opening, kind: str, fault: str) -> None:
    desk = office(kind)
    desk.fault(fault, times=2)
    desk.begin(HEAD)
    assert desk.pending() == 1
    assert desk.pending("dead") == 0
    assert desk.state() is None or desk.state().paused_at is None
    for _ in range(4):
        desk.later(minutes=10)
    desk.exact()
    assert desk.pending() == 0
    assert desk.unmapped() == []


def test_a_dead_oa_is_asked_seldom_and_gets_everything_when_it_is_back(office: Opening) -> None:
    desk = office("landray.rest")
    clock.freeze(clock.now())
    desk.fault("html502", times=100_000)
    desk.begin(HEAD)
    for _ in range(20):
        desk.start()
    assert desk.requests() <= 8, "the breaker opens before each item is tried"
    before = desk.requests()
    for _ in range(24):
        desk.later(minutes=5)
    assert desk.state().open_until is not None
    assert desk.requests() - before <= 26, "one row asks whether it is back, the others wait"
    assert desk.pending("dead") == 0
    desk.oa.state.faults.clear()
    for _ in range(6):
        desk.later(minutes=10)
    desk.exact()
    assert len(desk.seen(HEAD)) == 21


def test_the_rate_is_kept(office: Opening) -> None:
    desk = office("landray.rest", per_minute=6)
    clock.freeze(clock.now())
    desk.begin(HEAD)
    for _ in range(9):
        desk.start()
    sent = [desk.requests()]
    for _ in range(12):
        desk.later(seconds=30)
        sent.append(desk.requests())
    assert max(b - a for a, b in zip(sent, sent[2:], strict=False)) <= 6 + 6
    assert sent[0] <= 6
    desk.exact()


@pytest.mark.parametrize("kind", TWO_PRODUCTS)
def test_paused_by_hand_nothing_is_sent_and_resumed_all_is_as_it_should(office: Opening, kind: str) -> None:
    desk = office(kind)
    kept = desk.begin(HEAD)
    desk.pause()
    before = desk.requests()
    kept.approve(by=HEAD)
    desk.start()
    desk.later(hours=5)
    assert desk.requests() == before
    with pytest.raises(Conflict):
        desk.pause()
    desk.resume()
    desk.exact()
    assert desk.seen(HEAD) == ["review"]
    assert desk.seen("doctor") == ["then"]


def test_a_dead_letter_is_brought_back_and_brings_the_newest_state(office: Opening) -> None:
    desk = office("template")
    person = desk.oa.state.people.pop(number(HEAD))
    story = desk.begin(HEAD)
    assert desk.pending("dead") == 1
    assert "没有" in desk.reasons()[0] or "不存在" in desk.reasons()[0], desk.reasons()
    desk.oa.state.people[number(HEAD)] = person
    desk.requeue()
    assert desk.seen(HEAD) == ["review"]
    assert desk.pending("dead") == 0
    assert desk.unmapped() == []
    story.approve(by=HEAD)
    desk.exact()


def test_only_who_looks_after_it_may(office: Opening) -> None:
    desk = office("template")
    with desk.bpm.db.unit_of_work() as session:
        for who in ("nurse", "process_admin", "auditor"):
            with pytest.raises(Forbidden):
                people.set_account(session, desk.bpm.actor(who), desk.connection, number(HEAD), "x")
        with pytest.raises(Forbidden):
            people.unmapped(session, desk.bpm.actor("nurse"), desk.site.code)
        assert people.unmapped(session, desk.bpm.actor("auditor"), desk.site.code) == []


def test_no_error_tells_a_secret_or_a_title(office: Opening) -> None:
    desk = office("landray.soap", timeout=1)
    title = ""
    for fault in ("fault", "garbage", "html502", "not_registered"):
        desk.oa.state.faults.clear()
        desk.fault(fault, times=100)
        story = desk.begin(HEAD)
        title = story.instance.title
        desk.later(minutes=2)
    with desk.bpm.db.reading() as session:
        told = " ".join(filter(None, session.scalars(select(Outbox.last_error)))) + (desk.state().reason or "")
    assert told
    assert desk.site.password.get_secret_value() not in told
    assert not title or title not in told


@pytest.mark.parametrize("kind", ["seeyon", "landray.soap"])
def test_already_there_after_a_lost_answer_is_as_wanted(office: Opening, kind: str) -> None:
    """待办已存在: an OA that refuses repeats, and one that makes a second item of them."""
    desk = office(kind)
    if kind == "seeyon":
        desk.product.settings.refuse_repeated = True
    desk.fault("reset_after", "receive" if kind == "seeyon" else "sendTodo")
    story = desk.begin(HEAD)
    desk.settle()
    desk.exact()
    assert desk.pending("dead") == 0
    story.approve(by=HEAD)
    desk.exact()


def test_an_older_server_knows_nothing_of_what_is_to_be_read(office: Opening) -> None:
    """检测isremark不合法: refused for good, one by one, until the site's file says what the server is."""
    desk = office("weaver.rest")
    desk.product.settings.older = True
    desk.begin(HEAD, kind="read")
    desk.begin(CHIEF, key="q")
    assert desk.seen(CHIEF) == ["review"]
    assert len(desk.reasons()) == 1
    assert "isremark" in desk.reasons()[0]
    assert desk.unmapped() == [], "it isn't about a person"
    older = office("weaver.rest", older_server=True)
    older.requeue()
    assert older.seen(HEAD, "todo") == ["review"]
    older.exact()
