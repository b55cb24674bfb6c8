"""One contract for every kind of OA: what `adapters.protocol` promises, against the stand-ins of `sandbox.oa`."""

import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine import outbox
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.protocol import Adapter, State, Todo, Unknown, UnknownPerson
from sandbox.oa.server import Running, running
from sandbox.oa.state import State as Sandbox
from tests.engine.connectors.oas import OPENED, PEOPLE, Desk, pulling, todo

ANY_KIND = pytest.mark.parametrize("kind", sorted(KINDS))


@pytest.fixture(scope="module")
def oas() -> Iterator[Running]:
    with running(Sandbox(PEOPLE)) as oas:
        yield oas


@pytest.fixture
def desk_of(oas: Running, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """A desk of any kind; what is given changes its site's file."""
    oas.state.reset()
    adapters = list[Adapter]()

    def desk_of(kind: str, **changed: Any) -> Desk:
        taken = list[int]()
        given = oas.site(kind) | {"code": "oa", "folder": tmp_path, "timeout": 2.0, "threads": 8} | changed
        settings, made = KINDS[kind]
        site = settings.model_validate(given)
        adapter = made(site, lambda: taken.append(1))
        adapters.append(adapter)
        return Desk(kind, oas, site, adapter, taken)

    yield desk_of
    oas.state.faults.release()
    for adapter in adapters:
        adapter.close()


@pytest.fixture
def desk(desk_of: Callable[..., Desk], kind: str) -> Desk:
    return desk_of(kind)


# Each state from each


@ANY_KIND
@pytest.mark.parametrize("after", State)
def test_an_item_comes_into_each_state_from_each_other(desk: Desk, after: State) -> None:
    for number, before in enumerate(State, 1):
        item = todo(number)
        desk.put(item, State.READ if before is State.READ else State.TODO)
        if not before.open:
            desk.put(item, before)
        if before is not State.DELETED or after.open:  # what isn't there can't be done
            desk.put(item, after, doubtful=before.open and after.open)
            assert desk.states(item) == desk.shows(after), before


@ANY_KIND
@pytest.mark.parametrize("state", [State.DONE, State.FINISHED, State.DELETED])
def test_closing_what_never_arrived_is_no_error(desk: Desk, state: State) -> None:
    """An attempt of unknown end is followed by what is true now, and that may be: closed."""
    item = todo()
    desk.put(item, state, doubtful=True)
    assert not [row for row in desk.rows(item) if row.open]


@ANY_KIND
@pytest.mark.parametrize("state", State)
def test_putting_an_item_again_in_doubt_changes_nothing(desk: Desk, state: State) -> None:
    item = todo()
    desk.put(item, State.READ if state is State.READ else State.TODO)
    desk.put(item, state)
    for _ in range(2):
        desk.put(item, state, doubtful=True)
        assert desk.states(item) == desk.shows(state)


@ANY_KIND
def test_an_item_that_was_done_can_wait_again(desk: Desk) -> None:
    item = todo()
    for state in (State.TODO, State.DONE, State.TODO, State.DELETED, State.TODO, State.FINISHED, State.TODO):
        desk.put(item, state)
        assert desk.states(item) == desk.shows(state)


@ANY_KIND
def test_two_people_s_items_of_one_step_do_not_touch_each_other(desk: Desk) -> None:
    first, second = todo(1), todo(2, account="2003", person="赵主任")
    desk.put(first, State.TODO)
    desk.put(second, State.TODO)
    desk.put(first, State.DELETED)
    assert [row.key for row in desk.lists.open("2003")] == [second.key]
    assert desk.lists.open("2001") == []


@ANY_KIND
def test_the_list_says_what_it_is_about_and_leads_to_it(desk: Desk) -> None:
    item = todo()
    desk.put(item, State.TODO)
    [row] = desk.lists.open("2001")
    assert (row.title, row.link) == (item.title, item.link)
    assert row.mobile_link in (item.mobile_link, "")
    if desk.oa in ("weaver", "plain"):
        assert (row.workflow, row.node) == (item.workflow, item.node)
        assert row.received_at == OPENED


@ANY_KIND
def test_a_repair_notifies_nobody_again(desk: Desk) -> None:
    item = todo()
    desk.put(item, State.TODO)
    [before] = desk.rows(item)
    desk.put(replace(item, quiet=True), State.TODO, doubtful=True)
    [after] = desk.rows(item)
    assert (before.notified, after.notified) == (1, 1)


# What titles can be


@ANY_KIND
@pytest.mark.parametrize(
    "title",
    [
        "长" * 200,
        "急诊😀<b>&amp;\"'申请</b>]]>",
        "第一行\x00\x08\x0b\x1f第二行",
        "半个\ud83d字",
        "{{ 7 * 7 }} ${x} %s \\",
        " ",
    ],
    ids=["long", "markup", "control", "surrogate", "template", "blank"],
)
def test_any_title_can_be_shown_and_done(desk: Desk, title: str) -> None:
    item = todo(title=title)
    desk.put(item, State.TODO)
    [row] = desk.lists.open("2001")
    kept = "".join(character for character in title if character.isprintable()).strip() or "（无标题）"
    shown = "".join(character for character in row.title if character.isprintable())
    assert shown == kept
    desk.put(item, State.DONE)
    assert desk.states(item) == ["done"]


# Who isn't there, and who isn't let in


@ANY_KIND
def test_nobody_by_that_account(desk: Desk) -> None:
    with pytest.raises(UnknownPerson, match="账号对照"):
        desk.put(todo(account="9999"), State.TODO)
    assert desk.lists.rows() == []


def refuse_password(desk: Desk) -> None:
    settings = desk.lists.settings
    if desk.oa == "plain":
        settings.token = "another"
    elif desk.oa == "weaver":
        settings.enabled = False
    else:
        settings.password = "another"


def refuse_address(desk: Desk) -> None:
    desk.lists.settings.addresses = {"10.9.8.7"}


def refuse_registration(desk: Desk) -> None:
    settings = desk.lists.settings
    if desk.oa == "plain":
        settings.registered = False
    elif desk.oa == "weaver":
        settings.systems = {}
    elif desk.oa == "seeyon":
        settings.register_codes = set()
    else:
        settings.user = "another"


@ANY_KIND
@pytest.mark.parametrize("refuse", [refuse_password, refuse_address, refuse_registration])
def test_who_is_not_let_in_is_told_so_for_all_items_at_once(desk: Desk, refuse: Callable[[Desk], None]) -> None:
    desk.put(todo(), State.TODO)
    desk.running.state.restart(desk.oa)
    refuse(desk)
    for act in (
        lambda: desk.put(todo(2), State.TODO),
        lambda: desk.put(todo(), State.DONE),
        lambda: desk.put(todo(), State.DELETED, doubtful=True),
        desk.adapter.check,
    ):
        with pytest.raises(outbox.Configuration) as raised:
            act()
        assert not any(text in str(raised.value) for text in desk.private)
    assert [row.state for row in desk.lists.rows()] == ["todo"]


@ANY_KIND
def test_a_check_lets_the_admin_know_and_changes_nothing(desk: Desk) -> None:
    desk.put(todo(), State.TODO)
    before = desk.lists.rows()
    assert desk.adapter.check()
    assert desk.lists.rows() == before


# What goes wrong on the way

LOST = ("refuse", "timeout", "restart", "html502", "garbage")  # without effect, which nobody can tell
DONE_UNHEARD = ("reset_after", "timeout_after")
STEPS = [(State.TODO, State.TODO), (State.TODO, State.DONE), (State.TODO, State.DELETED)]
STEP = pytest.mark.parametrize(("before", "after"), STEPS, ids=["open", "done", "deleted"])


def opened(desk: Desk, before: State, after: State) -> Todo:
    """An item that is where it was before what goes wrong: nowhere, if that is its opening."""
    item = todo()
    if before is not after:
        desk.put(item, before)
    elif desk.oa == "seeyon":
        desk.adapter.check()  # has its token, so that the fault meets the item
    return item


@ANY_KIND
@STEP
@pytest.mark.parametrize("fault", [*LOST, *DONE_UNHEARD])
def test_without_an_answer_nobody_knows_and_asking_again_mends_it(
    desk: Desk, fault: str, before: State, after: State
) -> None:
    item = opened(desk, before, after)
    desk.fault(fault, after)
    with pytest.raises(Unknown) as raised:
        desk.put(item, after)
    assert not any(text in "".join(traceback.format_exception(raised.value)) for text in desk.private)
    if fault in DONE_UNHEARD:
        assert desk.states(item) == desk.shows(after)
    desk.put(item, after, doubtful=True)
    assert desk.states(item) == desk.shows(after)


@ANY_KIND
@STEP
def test_an_oa_that_breaks_in_its_own_way_is_tried_again(desk: Desk, before: State, after: State) -> None:
    item = opened(desk, before, after)
    desk.fault("fault", after)
    with pytest.raises(outbox.Transient) as raised:
        desk.put(item, after)
    assert not any(text in str(raised.value) for text in desk.private)
    desk.put(item, after, doubtful=True)
    assert desk.states(item) == desk.shows(after)


@ANY_KIND
def test_a_request_that_takes_effect_late_does_not_have_the_last_word(desk: Desk) -> None:
    """It is put once more when such a request can't come any more (`pushing.confirm`)."""
    item = opened(desk, State.TODO, State.TODO)
    desk.fault("late", State.TODO, after=0)
    with pytest.raises(Unknown):
        desk.put(item, State.TODO)
    desk.put(item, State.DONE, doubtful=True)
    desk.running.state.faults.release(desk.oa)
    desk.put(item, State.DONE, doubtful=True)
    assert not [row for row in desk.rows(item) if row.open]


@ANY_KIND
@STEP
def test_a_request_that_a_proxy_repeats_leaves_one_item(desk: Desk, before: State, after: State) -> None:
    item = opened(desk, before, after)
    desk.fault("duplicate", after)
    try:
        desk.put(item, after)
    except outbox.Permanent:
        assert after is State.DELETED, "only what is gone can't be deleted again"
    desk.put(item, after, doubtful=True)
    assert desk.states(item) == desk.shows(after)


@ANY_KIND
@STEP
def test_a_slow_oa_is_waited_for(desk: Desk, before: State, after: State) -> None:
    item = opened(desk, before, after)
    desk.fault("slow", after)
    desk.put(item, after)
    assert desk.states(item) == desk.shows(after)


@ANY_KIND
@STEP
@pytest.mark.parametrize(
    ("fault", "kind_of_error"),
    [
        ("not_registered", outbox.Configuration),
        ("not_allowed", outbox.Configuration),
        ("unknown_person", UnknownPerson),
    ],
)
def test_a_refusal_in_the_oa_s_own_words_is_sorted(
    desk: Desk, fault: str, kind_of_error: type[Exception], before: State, after: State
) -> None:
    item = opened(desk, before, after)
    rows = desk.lists.rows()
    desk.fault(fault, after)
    with pytest.raises(kind_of_error) as raised:
        desk.put(item, after)
    assert not any(text in str(raised.value) for text in desk.private)
    assert desk.lists.rows() == rows


@ANY_KIND
@pytest.mark.parametrize("fault", ["html502", "reset_after", "fault", "garbage", "not_allowed"])
def test_a_list_that_cannot_be_read_is_not_taken_for_an_empty_one(
    desk_of: Callable[..., Desk], kind: str, fault: Any
) -> None:
    desk = desk_of(kind, **pulling(kind))
    desk.put(todo(), State.TODO)
    for asked in (
        lambda: desk.adapter.shown("2001"),
        lambda: desk.adapter.waiting("2001"),
        lambda: desk.adapter.done_since("2001", OPENED),
        lambda: desk.adapter.handled(["2001"], OPENED),
    ):
        desk.taken.clear()
        asked()
        if desk.taken:  # it asks the OA at all
            desk.running.state.faults.add(desk.oa, "*", fault, times=4, seconds=0.1)
            with pytest.raises((outbox.Transient, outbox.Configuration)) as raised:
                asked()
            assert not any(text in str(raised.value) for text in desk.private)
            desk.running.state.faults.clear()


@ANY_KIND
def test_an_oa_that_is_not_there_was_never_told(desk_of: Callable[..., Desk], kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    desk = desk_of(kind, address=f"http://127.0.0.1:{port}/x", sign_on=None)
    with pytest.raises(outbox.Transient) as raised:
        desk.put(todo(), State.TODO)
    assert not isinstance(raised.value, Unknown)


# Rate, threads, secrets


@ANY_KIND
def test_a_place_under_the_rate_is_taken_before_each_request(desk: Desk) -> None:
    item = todo()
    for state in (State.TODO, State.DONE, State.TODO, State.DELETED):
        desk.put(item, state, doubtful=True)
    desk.adapter.check()
    assert len(desk.taken) == len(desk.running.state.requests(desk.oa))


@ANY_KIND
def test_where_no_place_is_free_nothing_is_asked(desk_of: Callable[..., Desk], kind: str) -> None:
    class Full(Exception):
        pass

    def take() -> None:
        raise Full

    desk = desk_of(kind)
    adapter = KINDS[kind][1](desk.site, take)
    for state in (State.TODO, State.DELETED):
        with pytest.raises(Full):
            adapter.put(todo(), state, doubtful=True)
    adapter.close()
    assert desk.running.state.requests(desk.oa) == []


@ANY_KIND
def test_several_threads_share_an_adapter(desk: Desk) -> None:
    items = [todo(number) for number in range(1, 41)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda item: desk.put(item, State.TODO), items))
        list(threads.map(lambda item: desk.put(item, State.DONE), items[::2]))
    assert sorted(row.key for row in desk.lists.open("2001")) == [item.key for item in items[1::2]]


@ANY_KIND
def test_nothing_private_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    desk.put(todo(), State.TODO)
    desk.put(todo(), State.DONE, doubtful=True)
    desk.adapter.check()
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("uvicorn", "asyncio"))]
    tokens = list(desk.lists.tokens)
    assert not [line for line in ours if any(text in line for text in [*desk.private, *tokens])]


# Reading back, polling, quick approval


@ANY_KIND
def test_what_the_oa_shows_of_ours_can_be_read_back(desk_of: Callable[..., Desk], kind: str) -> None:
    desk = desk_of(kind, **pulling(kind))
    if not desk.adapter.reads_back:
        assert desk.adapter.shown("2001") == []
        return
    read = State.READ if State.READ in desk.adapter.states else State.TODO
    for number, state in ((1, State.TODO), (2, read), (3, State.TODO), (4, State.TODO)):
        desk.put(todo(number, title=f"第 {number} 项", node=f"第 {number} 步"), state)
    desk.put(todo(3), State.DONE)
    desk.put(todo(5, account="2003"), State.TODO)
    desk.lists.start_own("2001", "OA 自己的收文")

    shown = sorted(desk.adapter.shown("2001"), key=lambda row: row.title)

    assert [(row.title, row.state) for row in shown] == [
        ("第 1 项", State.TODO),
        ("第 2 项", read),
        ("第 4 项", State.TODO),
    ]
    assert {row.account for row in shown} == {"2001"}
    if desk.oa == "weaver":
        assert [row.node for row in shown] == ["第 1 步", "第 2 步", "第 4 步"]
        assert [row.key for row in shown] == ["", "", ""]
        assert {row.received_at for row in shown} == {OPENED}
    else:
        assert [row.key for row in shown] == [todo(number).key for number in (1, 2, 4)]


@ANY_KIND
def test_long_lists_are_read_to_their_end(desk_of: Callable[..., Desk], kind: str) -> None:
    desk = desk_of(kind, **pulling(kind))
    if not desk.adapter.reads_back:
        pytest.skip("can't be read back")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: desk.put(todo(number), State.TODO), range(1, 232)))
    assert len(desk.adapter.shown("2001")) == 231


@ANY_KIND
def test_the_oa_s_own_items_are_taken_in_and_none_of_ours(desk_of: Callable[..., Desk], kind: str) -> None:
    desk = desk_of(kind, **pulling(kind))
    if not desk.adapter.polls:
        assert desk.adapter.waiting("2001") == desk.adapter.done_since("2001", OPENED) == []
        return
    before = datetime.fromtimestamp(desk.running.state.now(), UTC) - timedelta(minutes=1)
    desk.put(todo(), State.TODO)
    own = desk.lists.start_own("2001", "放射防护检查通知", workflow="收文", node="传阅", sender="院办")
    desk.lists.start_own("2003", "别人的")
    handled = desk.lists.start_own("2001", "已经办过的")
    desk.lists.finish_own(handled.key)

    [waiting] = desk.adapter.waiting("2001")
    assert (waiting.title, waiting.state) == ("放射防护检查通知", State.TODO)
    assert waiting.request_id
    assert waiting.link.startswith("http")
    assert waiting.received_at is not None
    assert abs(waiting.received_at - own.received_at) < timedelta(seconds=2)
    [done] = desk.adapter.done_since("2001", before)
    assert (done.title, done.state) == ("已经办过的", State.DONE)
    assert waiting.handled_at is None
    if desk.oa == "landray":  # which doesn't tell when
        assert done.handled_at is None
    else:
        assert done.handled_at is not None
        assert done.handled_at >= before
        assert desk.adapter.done_since("2001", before + timedelta(days=1)) == []


@ANY_KIND
def test_what_was_decided_in_the_oa_is_told(desk: Desk) -> None:
    before = datetime.fromtimestamp(desk.running.state.now(), UTC) - timedelta(minutes=1)
    if not desk.adapter.quick:
        assert desk.adapter.handled(["2001"], before) == []
        return
    for number in (1, 2):
        desk.put(todo(number), State.TODO)
    desk.lists.handle(todo(1).key, "2001", "approve", "同意，请安排")

    handled = desk.adapter.handled(["2001"], before)

    assert [(one.key, one.account) for one in handled] == [(todo(1).key, "2001")]
    assert handled[0].at >= before
    if desk.oa == "plain":
        assert (handled[0].outcome, handled[0].opinion) == ("approve", "同意，请安排")
