"""The OA's own items in the box OA 待办, and quick approval: the same command, the first wins (issue 5, "Inbound")."""

from typing import Any

import pytest
from sqlalchemy import func, select

from engine.connectors.oa.inbound import polling, queries, quick
from engine.connectors.oa.models import OAEntry
from engine.connectors.oa.sites import connected
from engine.errors import Conflict
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import CHIEF, HEAD, Office
from tests.engine.connectors.desks import connect, number

pytestmark = pytest.mark.backend("postgresql")


def _box(desk: Office, who: str) -> list[queries.Entry]:
    with desk.bpm.db.reading() as session:
        return list(queries.entries(session, desk.bpm.actor(who)).rows)


def _ask(desk: Office, *people: str) -> None:
    desk.later(minutes=15)
    for who in people:
        with desk.bpm.db.unit_of_work() as session:
            polling.poll_now(session, connected(desk.bpm.db), desk.bpm.actor(who))
        desk.bpm.work()


@pytest.mark.parametrize("kind", ["landray.soap", "weaver.rest", "template"])
def test_what_waits_in_the_oa_is_in_the_box_of_who_it_waits_for_until_it_is_handled(office: Opening, kind: str) -> None:
    desk = office(kind, poll=True)
    desk.begin(HEAD)
    own = desk.product.start_own(number(HEAD), "会议室借用", node="经办", sender="院办")
    desk.product.start_own(number(CHIEF), "别人的")
    _ask(desk, HEAD, CHIEF)
    [entry] = _box(desk, HEAD)
    assert (entry.title, entry.site) == ("会议室借用", "ekp"), "and none of ours among them"
    assert entry.link.startswith("http")
    assert [e.title for e in _box(desk, CHIEF)] == ["别人的"]
    assert _box(desk, "nurse") == []
    _ask(desk, HEAD)
    _ask(desk, HEAD)
    assert len(_box(desk, HEAD)) == 1, "windows overlap"
    desk.product.finish_own(own.key)
    _ask(desk, HEAD)
    assert _box(desk, HEAD) == []
    with desk.bpm.db.reading() as session:
        [done] = queries.handled(session, desk.bpm.actor(HEAD)).rows
        assert (done.title, done.state, done.site) == ("会议室借用", "done", "ekp")
        assert queries.handled(session, desk.bpm.actor(CHIEF)).rows == ()
        states = session.execute(select(OAEntry.state, func.count()).group_by(OAEntry.request_id, OAEntry.state)).all()
    assert all(count == 1 for _, count in states)


def test_two_oas_with_the_same_numbers_are_two(office: Opening) -> None:
    first, second = office("template", "a1", poll=True), office("landray.rest", "b2", poll=True)
    connect(first.bpm, first.site, second.site)
    for desk in (first, second):
        desk.product.start_own(number(HEAD), f"来自 {desk.site.code}", key="7")
    _ask(first, HEAD)
    assert {(e.site, e.title) for e in _box(first, HEAD)} == {("a1", "来自 a1"), ("b2", "来自 b2")}
    first.oa.state.faults.add("plain", "*", "html502", 100)
    first.product.finish_own("7")
    second.product.finish_own("7")
    _ask(first, HEAD)
    assert {e.site for e in _box(first, HEAD)} == {"a1"}, "what can't be asked keeps what is known"
    assert first.pending("dead") == 0


def test_a_list_that_cannot_be_had_says_why(office: Opening) -> None:
    desk = office("template", poll=True)
    desk.product.start_own(number(HEAD), "会议室借用")
    _ask(desk, HEAD)
    desk.fault("html502", times=1000)
    for _ in range(12):
        _ask(desk, HEAD)
    with desk.bpm.db.reading() as session:
        sites = polling.polled(connected(desk.bpm.db))
        [fresh] = queries.freshness(session, desk.bpm.actor(HEAD), sites)
    assert fresh.error


# -- quick approval -------------------------------------------------------------------------------------------------


def _quick(desk: Office) -> None:
    desk.later(seconds=11)
    quick.look(desk.bpm.db)
    desk.bpm.work()


def _key(story: Any, who: str) -> str:
    return str(story.item(who).id.hex)


def test_handled_in_the_oa_it_is_handled_here_by_the_same_command(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD, CHIEF)
    desk.product.handle(_key(story, HEAD), number(HEAD), "approve", "同意，注意交接")
    _quick(desk)
    story.expect_open(("then", "doctor"))
    assert story.trail[-1] == ("complete", "review", "approve")
    desk.exact()
    assert desk.seen(CHIEF) == []
    trail = story.trail
    _quick(desk)
    _quick(desk)
    assert story.trail == trail, "each once, whatever windows overlap"


def test_a_read_in_the_oa_is_a_read_here(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD, CHIEF, kind="read")
    desk.product.handle(_key(story, HEAD), number(HEAD), "")
    _quick(desk)
    assert not [i for i in story.items() if i.person == HEAD]
    desk.exact()


def test_who_was_first_wins_and_the_other_is_told(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD, CHIEF)
    item = story.item(CHIEF).id
    desk.product.handle(_key(story, HEAD), number(HEAD), "approve")
    _quick(desk)
    with pytest.raises(Conflict) as late:
        story.act("complete", CHIEF, item, "reject", opinion="不行")
    assert late.value.message
    mine = story.items("done")[-1]
    with pytest.raises(Conflict) as own:
        story.act("complete", HEAD, mine.id, "reject", opinion="又不行")
    assert "OA" in own.value.message, own.value.message

    other = desk.start()
    key = _key(other, HEAD)
    other.approve(by=CHIEF)
    with desk.oa.state.lock:  # the OA's page was open still
        row = desk.product.having(key)
        if row and not row[0].open:
            row[0].state = "todo"
    if row:
        desk.product.handle(key, number(HEAD), "reject", "不行")
    _quick(desk)
    other.expect_open(("then", "doctor"))
    assert ("complete", "review", "reject") not in other.trail
    desk.exact()


def test_what_cannot_be_decided_so_comes_back(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD)
    desk.product.handle(_key(story, HEAD), number(HEAD), "nonsense")
    _quick(desk)
    desk.later(minutes=5)
    story.expect_open(("review", HEAD))
    assert desk.seen(HEAD) == ["review"], "it waits there again"
    desk.exact()
    story.approve(by=HEAD)
    desk.exact()


def test_nobody_decides_for_another_through_the_oa(office: Opening) -> None:
    """The OA names an account that the item isn't of: nothing is done."""
    desk = office("template")
    story = desk.begin(HEAD)
    desk.begin(CHIEF, key="q")
    twin = desk.row(HEAD)
    twin.id, twin.account = desk.product.number(), number(CHIEF)
    with desk.oa.state.lock:
        desk.product.add(twin)
    desk.product.handle(twin.key, number(CHIEF), "approve")
    _quick(desk)
    story.expect_open(("review", HEAD))


def test_landray_says_that_it_was_handled_but_not_how(office: Opening) -> None:
    desk = office("landray.rest")
    story = desk.begin(HEAD)
    desk.product.handle(_key(story, HEAD), number(HEAD))
    _quick(desk)
    desk.later(minutes=5)
    story.expect_open(("review", HEAD))
    desk.exact()
