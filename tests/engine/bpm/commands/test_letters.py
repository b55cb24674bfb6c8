"""Dead letters: what no instance waits for and the outbox gave up; admins see it by reason and deliver it again."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from engine import clock, outbox
from engine.bpm import commands, queries
from engine.bpm.commands import jobs
from engine.bpm.models import ActionLog
from engine.errors import Conflict, EngineError, Forbidden, NotFound
from engine.org.actor import Actor
from tests.dsl import Bpm, Story, task
from tests.engine.bpm.commands.test_due import incident
from tests.engine.bpm.contracts.kit import MONDAY, line

FAILING: list[str] = []  # why what is delivered fails, for ever
DELIVERED: list[Any] = []


@outbox.handler("tests", "letter", in_transaction=True)
def _deliver(_session: Session, row: outbox.Leased) -> None:
    if FAILING:
        raise outbox.Permanent(FAILING[0])
    DELIVERED.append(row.payload.get("n"))


@outbox.handler("job", "tests.letters", in_transaction=True, on_dead=jobs.dead)
def _stop(_session: Session, _row: outbox.Leased) -> None:
    raise outbox.Permanent("没有这台打印机")


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    clock.freeze(MONDAY)
    FAILING.clear()
    DELIVERED.clear()
    yield
    clock.freeze(None)


@pytest.fixture
def story(bpm: Bpm) -> Story:
    return bpm.deploy_files(line(("first", task("first", "head_nurse")))).start("p", by="nurse")


def fail(bpm: Bpm, reason: str, *payloads: dict[str, Any]) -> None:
    """Let deliveries fail."""
    FAILING[:] = [reason]
    with bpm.db.unit_of_work() as session:
        for payload in payloads:
            outbox.enqueue(session, "tests", str(payload["n"]), "letter", payload)
    bpm.work()
    FAILING.clear()


def seen(bpm: Bpm, who: str, query: Callable[..., Any], **options: Any) -> Any:
    with bpm.db.reading() as session:
        return query(session, bpm.actor(who), **options)


def do(bpm: Bpm, who: str, command: Callable[..., Any], *args: Any, **options: Any) -> Any:
    actor: Actor = bpm.actor(who)
    with bpm.db.unit_of_work() as session:
        found = command(session, actor, *args, **options)
    bpm.work()
    return found


def trail(story: Story) -> list[tuple[str, str]]:
    with story.bpm.db.reading() as session:
        rows = session.execute(
            select(ActionLog.verb, ActionLog.detail).where(
                ActionLog.instance_id == story.id, ActionLog.verb == "requeue"
            )
        )
        return [(verb, json.loads(detail)["reason"]) for verb, detail in rows]


def test_letters_are_told_by_reason_with_their_instance(bpm: Bpm, story: Story) -> None:
    fail(bpm, "网关不通", {"n": 1, "instance": str(story.id)}, {"n": 2})
    clock.freeze(MONDAY + timedelta(hours=1))
    fail(bpm, "号码不对", {"n": 3})
    assert [(r.system, r.topic, r.reason, r.count, r.first, r.last) for r in seen(bpm, "auditor", queries.reasons)] == [
        ("tests", "letter", "网关不通", 2, MONDAY, MONDAY),
        ("tests", "letter", "号码不对", 1, clock.now(), clock.now()),
    ]
    page = seen(bpm, "process_admin", queries.letters, limit=2)
    assert [(row.reason, row.instance_id) for row in page.rows] == [("号码不对", None), ("网关不通", None)]
    rest = seen(bpm, "process_admin", queries.letters, limit=2, cursor=page.next_cursor)
    assert [(row.instance_id, row.title) for row in rest.rows] == [(story.id, story.instance.title)]
    alike = seen(bpm, "process_admin", queries.letters, system="tests", topic="letter", reason="号码不对")
    assert [row.attempts for row in alike.rows] == [1]


def test_one_and_all_alike_are_delivered_again_and_the_trail_says_so(bpm: Bpm, story: Story) -> None:
    fail(bpm, "网关不通", *({"n": n, "instance": str(story.id)} for n in range(3)))
    fail(bpm, "号码不对", {"n": 9})
    oldest = seen(bpm, "process_admin", queries.letters, reason="网关不通").rows[-1]
    do(bpm, "process_admin", commands.requeue, oldest.id)
    assert DELIVERED == [0]
    alike = {"system": "tests", "topic": "letter", "reason": "网关不通"}
    assert do(bpm, "process_admin", commands.requeue_all, **alike) == 2
    assert do(bpm, "process_admin", commands.requeue_all, **alike) == 0
    assert DELIVERED == [0, 1, 2]
    assert [r.reason for r in seen(bpm, "process_admin", queries.reasons)] == ["号码不对"]
    assert trail(story) == [("requeue", "网关不通")] * 3
    with bpm.db.reading() as session:
        assert all(entry.verb != "requeue" for entry in queries.timeline(session, bpm.actor("nurse"), story.id).entries)


def test_all_alike_are_asked_once_what_they_are_about(bpm: Bpm, story: Story) -> None:
    fail(bpm, "网关不通", *({"n": n, "item": str(story.item("head_nurse").id)} for n in range(3)), {"n": 3})
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(bpm.db.engine, "before_cursor_execute", note)
    assert do(bpm, "process_admin", commands.requeue_all, system="tests", topic="letter", reason="网关不通") == 4
    event.remove(bpm.db.engine, "before_cursor_execute", note)
    assert len([statement for statement in asked if statement.startswith("SELECT work_item.id")]) == 1
    assert len([statement for statement in asked if statement.startswith("SELECT instance.id")]) == 1
    assert trail(story) == [("requeue", "网关不通")] * 3
    assert len(seen(bpm, "auditor", queries.activities, verb="requeue").rows) == 1


def test_what_is_about_no_instance_is_an_activity(bpm: Bpm) -> None:
    fail(bpm, "网关不通", {"n": 1})
    [letter] = seen(bpm, "process_admin", queries.letters).rows
    do(bpm, "process_admin", commands.requeue, letter.id)
    [row] = seen(bpm, "auditor", queries.activities, verb="requeue").rows
    assert row.actor_id == bpm.person("process_admin")
    assert row.detail == {"outbox": letter.id, "system": "tests", "topic": "letter", "reason": "网关不通"}


def test_what_is_requeued_and_fails_again_is_a_dead_letter_again(bpm: Bpm) -> None:
    fail(bpm, "网关不通", {"n": 1})
    [letter] = seen(bpm, "process_admin", queries.letters).rows
    FAILING[:] = ["还是不通"]
    do(bpm, "process_admin", commands.requeue, letter.id)
    assert [(row.id, row.reason) for row in seen(bpm, "process_admin", queries.letters).rows] == [
        (letter.id, "还是不通")
    ]


def test_what_an_incident_stands_for_is_mended_there(bpm: Bpm, story: Story) -> None:
    with bpm.db.unit_of_work() as session:
        outbox.enqueue(session, "job", str(story.id), "tests.letters", {"instance": str(story.id)})
    bpm.work()
    [stopped] = incident(story)
    assert seen(bpm, "process_admin", queries.reasons) == []
    assert seen(bpm, "process_admin", queries.letters).rows == ()
    with pytest.raises(Conflict) as refused:
        do(bpm, "process_admin", commands.requeue, stopped.outbox_id)
    assert refused.value.code == "letter_has_incident"


@pytest.mark.parametrize("who", ["nurse", "system_admin", "designer"])
def test_who_does_not_oversee_neither_sees_nor_mends(bpm: Bpm, who: str) -> None:
    fail(bpm, "网关不通", {"n": 1})
    [letter] = seen(bpm, "process_admin", queries.letters).rows
    for query in (queries.backlog, queries.reasons, queries.letters):
        with pytest.raises(Forbidden):
            seen(bpm, who, query)
    for command, options in (
        (commands.requeue, {"letter_id": letter.id}),
        (commands.requeue_all, {"system": "tests", "topic": "letter", "reason": "网关不通"}),
    ):
        for person in (who, "auditor"):
            with pytest.raises(Forbidden):
                do(bpm, person, command, **options)


def test_what_is_no_dead_letter_is_refused(bpm: Bpm) -> None:
    with pytest.raises(NotFound):
        do(bpm, "process_admin", commands.requeue, 1 << 40)
    fail(bpm, "网关不通", {"n": 1})
    [letter] = seen(bpm, "process_admin", queries.letters).rows
    do(bpm, "process_admin", commands.requeue, letter.id)
    with pytest.raises(EngineError) as refused:
        do(bpm, "process_admin", commands.requeue, letter.id)
    assert refused.value.code == "outbox_not_dead"


def test_the_backlog_says_since_when(bpm: Bpm) -> None:
    with bpm.db.unit_of_work() as session:
        outbox.enqueue(session, "tests", "a", "letter", {"n": 1})
    clock.freeze(MONDAY + timedelta(hours=2))
    assert seen(bpm, "auditor", queries.backlog) == [outbox.Depth("tests", 1, MONDAY, 0)]


def test_a_signal_that_cannot_be_spread_names_its_instance(bpm: Bpm) -> None:
    throw = '<intermediateThrowEvent id="ring"><signalEventDefinition signalRef="g"/></intermediateThrowEvent>'
    files = line(("first", task("first", "head_nurse")), ("ring", throw), outside='<signal id="g" name="bell"/>')
    story = bpm.deploy_files(files).start("p", by="nurse")
    with bpm.db.unit_of_work() as session:
        commands.complete(session, bpm.actor("head_nurse"), story.item("head_nurse").id, "approve")
    with bpm.db.reading() as session:
        rows = session.scalars(select(outbox.Outbox).where(outbox.Outbox.topic == "thrown")).all()
    assert [json.loads(row.payload)["instance"] for row in rows] == [str(story.id)]
