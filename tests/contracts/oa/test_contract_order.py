"""Names are frozen, stamps only rise, only the newest state is sent (design 05, "stays true" 2, 3)."""

from datetime import timedelta

import pytest
from sqlalchemy import update

from engine import clock, outbox
from engine.bpm.models import Instance
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import ALL, CHIEF, HEAD, TWO_PRODUCTS, Office, process
from tests.dsl import Story
from tests.engine.connectors.desks import number

pytestmark = pytest.mark.backend("postgresql")


def _stamp(desk: Office, story: Story, who: str, key: str) -> int:
    [row] = [r for r in desk.product.rows() if r.key == key and r.account == number(who)]
    return int(row.stamp)


@pytest.mark.parametrize("kind", ["weaver.rest", "template"])
def test_each_write_of_an_item_has_a_later_stamp_even_where_the_clock_goes_back(office: Opening, kind: str) -> None:
    desk = office(kind)
    clock.freeze(clock.now())
    story = desk.begin(HEAD, CHIEF)
    key, at = story.item(HEAD).id.hex, clock.now()
    stamps = [_stamp(desk, story, HEAD, key)]
    assert stamps[0] >= int(at.timestamp() * 1000)
    for turn in range(3):
        story.act("claim", CHIEF, story.item(CHIEF).id)
        story.act("unclaim", CHIEF, story.item(CHIEF).id)
        stamps.append(_stamp(desk, story, HEAD, key))
        clock.freeze(at - timedelta(milliseconds=turn * 300))
    story.approve(by=HEAD)
    stamps.append(_stamp(desk, story, HEAD, key))
    assert stamps == sorted(set(stamps)), stamps
    desk.exact()


@pytest.mark.parametrize("kind", ["weaver.soap", "weaver.rest", "landray.soap", "template"])
def test_names_stay_what_they_were_at_the_first_push(office: Opening, kind: str) -> None:
    desk = office(kind)
    story = desk.begin(HEAD)
    before = desk.row(HEAD)
    with desk.bpm.db.unit_of_work() as session:
        session.execute(update(Instance).where(Instance.id == story.id).values(title="改了的标题"))
    renamed = {
        n: t.replace('name="p"', 'name="新名"').replace('name="review"', 'name="复核"')
        for n, t in process(HEAD).items()
    }
    desk.bpm.deploy_files(renamed)
    story.approve(by=HEAD)
    [after] = [r for r in desk.product.rows() if r.key == before.key]
    assert (after.title, after.workflow, after.node) == (before.title, before.workflow, before.node)
    assert after.state in ("done", "finished")
    desk.exact()
    assert not desk.pending("dead")


@pytest.mark.parametrize("kind", ALL)
def test_what_opens_and_closes_unsent_sends_nothing(office: Opening, kind: str) -> None:
    desk = office(kind)
    desk.pause()
    story = desk.begin(HEAD)
    for _ in range(3):
        story.act("claim", HEAD, story.item(HEAD).id)
        story.act("unclaim", HEAD, story.item(HEAD).id)
    key = story.item(HEAD).id.hex
    story.reject(by=HEAD)
    assert desk.requests() == 0
    desk.resume()
    assert [seen for seen in desk.asked() if seen.key == key] == []
    assert key not in {row.key for row in desk.product.rows()}
    assert desk.seen("doctor") == ["then"]
    assert desk.pending() == 0


@pytest.mark.parametrize("kind", TWO_PRODUCTS)
def test_only_the_newest_state_is_sent(office: Opening, kind: str) -> None:
    desk = office(kind)
    story = desk.begin(HEAD, CHIEF)
    keys = {story.item(who).id.hex for who in (HEAD, CHIEF)}
    desk.pause()
    for _ in range(4):
        story.act("claim", HEAD, story.item(HEAD).id)
        story.act("unclaim", HEAD, story.item(HEAD).id)
    story.act("claim", CHIEF, story.item(CHIEF).id)
    desk.oa.state.forget_requests()
    desk.resume()
    writes = [seen for seen in desk.asked() if seen.key in keys and seen.operation not in ("getTodo", "token")]
    assert {seen.account or HEAD for seen in writes} <= {number(HEAD), HEAD, ""}, "nothing changed for who has it still"
    assert len(writes) <= 1, writes
    desk.exact()


def test_one_worker_at_a_time_has_an_item(office: Opening) -> None:
    desk = office("landray.soap")
    desk.pause()
    story = desk.begin(HEAD)
    story.act("claim", HEAD, story.item(HEAD).id)
    story.approve(by=HEAD)
    with desk.bpm.db.unit_of_work() as session:
        outbox.resume(session, desk.bpm.actor("process_admin"), desk.site.system)
    first = outbox.lease(desk.bpm.db, "one", 100, desk.site.system)
    second = outbox.lease(desk.bpm.db, "two", 100, desk.site.system)
    assert first
    assert not {row.key for row in first} & {row.key for row in second}
    assert len({row.key for row in first}) == len(first)
    outbox.release(desk.bpm.db, [*first, *second])
    desk.bpm.work()
    desk.exact()


@pytest.mark.parametrize("kind", ["landray.soap", "weaver.soap", "seeyon", "template"])
def test_an_old_todo_that_takes_effect_late_does_not_stay(office: Opening, kind: str) -> None:
    """The request hangs, the item is handled, then the OA does what hung."""
    desk = office(kind, timeout=2)
    desk.fault(
        "late",
        {"seeyon": "receive", "template": "put"}.get(kind, "*" if kind == "weaver.soap" else "sendTodo"),
        seconds=3.0,
        after=0,
    )
    story = desk.begin(HEAD)
    story.reject(by=HEAD)
    desk.settle()
    desk.exact()
    assert desk.seen(HEAD) == []
