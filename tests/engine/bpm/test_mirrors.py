"""Who shows people's items elsewhere is told of each change, at the cost of one row at most."""

from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.bpm import commands, figures
from engine.outbox import Outbox
from tests.dsl import Bpm, Story, task
from tests.engine.bpm.contracts.kit import line

pytestmark = pytest.mark.backend("sqlite", "postgresql")

ALL = line(
    ("a", task("a", "head_nurse", "surgeon", inner='<piyue:round policy="all"/>')), ("b", task("b", "archivist"))
)
READ = line(("r", task("r", "doctor", "surgeon", kind="read")))


def written(story: Story, verb: str, who: str, *args: object, **options: object) -> Counter[tuple[str, str]]:
    """Run a command and return the outbox rows that it wrote itself."""
    newest = select(Outbox.id).order_by(Outbox.id.desc()).limit(1)
    with story.bpm.db.reading() as session:
        before = session.scalar(newest) or 0
    with story.bpm.db.unit_of_work() as session:
        getattr(commands, verb)(session, story.bpm.actor(who), *args, **options)
    with story.bpm.db.reading() as session:
        rows = session.execute(select(Outbox.system, Outbox.topic).where(Outbox.id > before))
        return Counter((system, topic) for system, topic in rows)


@pytest.fixture
def mirrored(bpm: Bpm) -> Bpm:
    """A hospital with a mirror."""
    for topic in ("tell", "board"):
        if ("test", topic) not in outbox.handlers.handlers:
            outbox.handler("test", topic, in_transaction=True)(lambda session, row: None)
    bpm.db.mirrors = ("test",)
    return bpm


def test_without_a_mirror_nothing_more_is_written(bpm: Bpm) -> None:
    story = bpm.deploy_files(ALL).start("p", "nurse")
    assert written(story, "complete", "surgeon", story.item("surgeon").id, "approve") == {}


def test_a_decision_that_nobody_is_told_of_writes_one_row(mirrored: Bpm) -> None:
    story = mirrored.deploy_files(ALL).start("p", "nurse")
    rows = written(story, "complete", "surgeon", story.item("surgeon").id, "approve")
    assert rows == {("notice", "changed"): 1}


def test_a_decision_that_somebody_is_told_of_writes_no_more_than_before(mirrored: Bpm) -> None:
    story = mirrored.deploy_files(ALL).start("p", "nurse").approve("surgeon")
    rows = written(story, "complete", "head_nurse", story.item("head_nurse").id, "approve")
    assert rows == {("notice", "items"): 1}


def test_a_claim_and_what_leaves_the_items_alone(mirrored: Bpm) -> None:
    files = line(("a", task("a", "head_nurse", "surgeon")))
    story = mirrored.deploy_files(files).start("p", "nurse")
    assert written(story, "claim", "surgeon", story.item("surgeon").id) == {("notice", "changed"): 1}
    assert written(story, "comment", "surgeon", story.id, text="好") == {}


def test_who_reads_changes_no_card(mirrored: Bpm) -> None:
    story = mirrored.deploy_files(READ).start("p", "nurse")
    assert written(story, "acknowledge", "doctor", story.item("doctor").id) == {}  # their figures are on the way


def test_each_change_reaches_the_mirror_in_the_instances_own_shard(mirrored: Bpm) -> None:
    story = mirrored.deploy_files(ALL).start("p", "nurse").approve("surgeon").approve("head_nurse")
    with mirrored.db.reading() as session:
        keys = session.scalars(select(Outbox.key).where(Outbox.system == "test", Outbox.topic == "tell")).all()
    assert keys == [str(story.id)] * 3


def test_a_count_that_begins_before_the_change_is_committed_is_followed_by_another(mirrored: Bpm) -> None:
    story = mirrored.deploy_files(line(("a", task("a", "head_nurse", "surgeon")))).start("p", "nurse")
    key = f"board:{mirrored.person('surgeon').hex}"
    counts = select(Outbox.due_at).where(Outbox.topic == "board", Outbox.key == key)
    with mirrored.db.reading() as session:
        [due] = session.scalars(counts).all()
    clock.freeze(due - timedelta(seconds=2))
    story.act("claim", "surgeon", story.item("surgeon").id)  # the count to come sees it
    with mirrored.db.reading() as session:
        assert session.scalars(counts).all() == [due]
    clock.freeze(due - timedelta(milliseconds=50))
    story.act("unclaim", "surgeon", story.item("surgeon").id)  # perhaps it doesn't see this
    with mirrored.db.reading() as session:
        assert session.scalars(counts.order_by(Outbox.id)).all() == [due, clock.now() + figures.DELAY]
