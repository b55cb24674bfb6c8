"""What people have handled in the OAs (已办): whose, in which order, for how long; an item stands there once."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from engine import clock
from engine.batch import Batch
from engine.connectors.oa.adapters.protocol import Foreign, State
from engine.connectors.oa.inbound import entries, queries
from engine.connectors.oa.models import OAEntry
from engine.errors import Invalid
from tests.dsl import Bpm
from tests.factories import plans
from tests.factories.outbox import NOON
from tests.factories.statements import sent

DONE, FINISHED = State.DONE, State.FINISHED
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


def row(id_: str, state: State = DONE, *, received: timedelta = DAY, handled: timedelta | None = None) -> Foreign:
    """An item of the OA's own; moments as how long before now."""
    at = None if handled is None else clock.now() - handled
    return Foreign(id_, state, f"事项{id_}", "发文", "阅办", "王敏", clock.now() - received, "https://oa/1", "", at)


def look(bpm: Bpm, who: str, *done: Foreign, waiting: tuple[Foreign, ...] = (), site: str = "ekp") -> None:
    """Take in what somebody's lists hold a minute later."""
    clock.freeze(clock.now() + timedelta(minutes=1))
    batch = Batch()
    entries.write(batch, {"site": site, "person": bpm.person(who)}, waiting, done, clock.now())
    with bpm.db.unit_of_work() as session:
        batch.run(session)


def handled(bpm: Bpm, who: str) -> list[str]:
    """Return their list, ids with an * where it is finished."""
    with bpm.db.reading() as session:
        found = queries.handled(session, bpm.actor(who)).rows
    return [each.title.removeprefix("事项") + "*" * (each.state == "finished") for each in found]


def test_the_last_handled_stands_first_and_one_without_a_moment_where_it_was_received(bpm: Bpm) -> None:
    look(
        bpm, "nurse",
        row("old", received=60 * DAY, handled=HOUR),
        row("earlier", received=2 * HOUR, handled=2 * HOUR),
        row("untold", received=90 * timedelta(minutes=1)),
        waiting=(row("open", State.TODO),),
    )  # fmt: skip
    assert handled(bpm, "nurse") == ["old", "untold", "earlier"]
    with bpm.db.reading() as session:
        first, untold, _ = queries.handled(session, bpm.actor("nurse")).rows
        [waiting] = queries.entries(session, bpm.actor("nurse")).rows
    assert first.handled_at == NOON - HOUR
    assert first.received_at == NOON - 60 * DAY
    assert untold.handled_at is waiting.handled_at is None, "nothing is said that the OA hasn't"


def test_everybody_sees_their_own_alone(bpm: Bpm) -> None:
    look(bpm, "nurse", *(row(str(n), handled=n * HOUR) for n in range(5)))
    look(bpm, "doctor", row("mine", handled=HOUR))
    assert handled(bpm, "doctor") == ["mine"]
    assert handled(bpm, "surgeon") == []
    with bpm.db.reading() as session:
        cursor = queries.handled(session, bpm.actor("nurse"), limit=1).next_cursor
        [found] = queries.handled(session, bpm.actor("doctor"), cursor).rows
    assert found.title == "事项mine", "another's cursor opens nothing"


def test_pages_hold_each_row_once_also_where_moments_are_equal_and_new_ones_come(bpm: Bpm) -> None:
    look(bpm, "nurse", *(row(str(n), handled=n // 3 * HOUR) for n in range(8)))
    whole, seen, cursor = handled(bpm, "nurse"), list[str](), None
    for size in (3, 3, 2):
        with bpm.db.reading() as session:
            page = queries.handled(session, bpm.actor("nurse"), cursor, limit=3)
        assert len(page.rows) == size
        seen += [each.title.removeprefix("事项") for each in page.rows]
        cursor = page.next_cursor
        look(bpm, "nurse", row(f"new{len(seen)}", handled=timedelta()))
    assert cursor is None
    assert seen == whole


@pytest.mark.parametrize("limit", [0, 101])
def test_bad_limits_and_cursors_of_the_other_view_are_refused(bpm: Bpm, limit: int) -> None:
    look(bpm, "nurse", row("1"), row("2"), waiting=(row("3", State.TODO), row("4", State.TODO)))
    viewer = bpm.actor("nurse")
    with bpm.db.reading() as session:
        other = queries.entries(session, viewer, limit=1).next_cursor
        for wrong in (other, "x", ""):
            with pytest.raises(Invalid) as refused:
                queries.handled(session, viewer, wrong)
            assert refused.value.code == "bad_cursor"
        with pytest.raises(Invalid):
            queries.handled(session, viewer, limit=limit)


def test_what_is_finished_later_stands_there_once_and_as_finished(bpm: Bpm) -> None:
    look(bpm, "nurse", row("1", handled=HOUR), row("2", handled=HOUR))
    look(bpm, "doctor", row("1", handled=HOUR))
    look(bpm, "nurse", row("1", handled=HOUR), site="b2")  # another OA's, by chance with the same number
    look(bpm, "nurse", row("1", FINISHED, handled=HOUR), row("1", handled=HOUR))  # both of its lists hold it
    assert sorted(handled(bpm, "nurse")) == ["1", "1*", "2"]
    assert handled(bpm, "doctor") == ["1"]
    look(bpm, "nurse", row("1", handled=timedelta()))  # begun again, and handled again
    assert sorted(handled(bpm, "nurse")) == ["1", "1", "2"]


def test_what_comes_back_waits_and_stays_handled(bpm: Bpm) -> None:
    look(bpm, "nurse", row("1", handled=HOUR), waiting=(row("1", State.TODO),))
    with bpm.db.reading() as session:
        assert len(queries.entries(session, bpm.actor("nurse")).rows) == 1
    assert handled(bpm, "nurse") == ["1"]


def test_ninety_days_are_kept_whatever_the_oa_goes_on_to_list(bpm: Bpm) -> None:
    old, young = row("old", handled=91 * DAY), row("young", handled=89 * DAY)
    look(bpm, "nurse", old, young, row("untold", received=500 * DAY))
    assert handled(bpm, "nurse") == ["young", "untold"]
    clock.freeze(clock.now() + 2 * DAY)
    assert handled(bpm, "nurse") == ["untold"], "shown no longer, whenever it is deleted"
    entries.purge(bpm.db)
    look(bpm, "nurse", old, young)
    with bpm.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(OAEntry)) == 1
    clock.freeze(clock.now() + 91 * DAY)
    assert handled(bpm, "nurse") == []


@pytest.mark.backend("postgresql")
def test_a_page_walks_its_index_backwards(bpm: Bpm) -> None:
    look(bpm, "nurse", *(row(str(n), handled=n * HOUR) for n in range(3)))
    viewer = bpm.actor("nurse")
    with bpm.db.unit_of_work() as session:
        cursor = queries.handled(session, viewer, limit=1).next_cursor
        with sent(bpm.db.engine) as statements:
            queries.handled(session, viewer, cursor)
        [statement] = statements
        plan = plans.nodes(session, statement)
        session.rollback()
    assert ("ix_oa_entry_handled", "Backward") in plans.walks(plan), json.dumps(plan, indent=1)
    assert not [node for node in plan if "Sort" in node["Node Type"]]
