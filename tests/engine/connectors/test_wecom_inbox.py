"""What was called in is handled once by whoever asked for its event, again where that failed, and forgotten in time."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import insert, select

from engine import clock, outbox
from engine.connectors.wecom import inbox
from engine.connectors.wecom.models import WeComCallback
from engine.db import Database
from engine.outbox import Permanent, Transient

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
BODY = {"Event": "template_card_event", "FromUserName": "nurse01"}


@pytest.fixture(autouse=True)
def noon() -> Iterator[None]:
    """Hold the clock; let tests register functions of their own."""
    kept = inbox._functions.copy()
    inbox._functions.clear()
    clock.freeze(NOON)
    yield
    clock.freeze(None)
    inbox._functions.clear()
    inbox._functions.update(kept)


def call_in(db: Database, event: str = "template_card_event", number: int = 1) -> None:
    with db.unit_of_work() as session:
        values = {"signature": f"s{number}", "event_key": f"k{number}", "event": event, "result": ""}
        statement = insert(WeComCallback).values(body=orjson.dumps(BODY).decode(), received_at=clock.now(), **values)
        id_ = session.scalar(statement.returning(WeComCallback.id))
        outbox.enqueue(session, "callback", "click:nurse01", "event", {"id": id_})


def work(db: Database) -> list[str]:
    return [outbox.run(db, leased) for leased in outbox.lease(db, "test", 10)]


def results(db: Database) -> list[tuple[str, datetime | None]]:
    with db.reading() as session:
        found = session.scalars(select(WeComCallback).order_by(WeComCallback.id))
        return [(row.result, row.handled_at) for row in found]


def test_an_event_goes_to_whoever_asked_for_it(committed_db: Database) -> None:
    told: list[Mapping[str, Any]] = []

    @inbox.on("template_card_event", "template_card_menu_event")
    def clicked(db: Database, body: Mapping[str, Any]) -> str:
        assert db is committed_db
        told.append(body)
        return "agreed"

    @inbox.on("change_contact")
    def changed(_db: Database, _body: Mapping[str, Any]) -> None: ...

    for number, event in enumerate(("template_card_event", "change_contact", "enter_agent")):
        call_in(committed_db, event, number)
        assert work(committed_db) == ["done"]
    assert told == [BODY]
    assert results(committed_db) == [("agreed", NOON), ("done", NOON), ("ignored", NOON)]


def test_a_click_does_not_wait_for_the_channel_to_wecom(committed_db: Database) -> None:
    inbox.on("template_card_event")(lambda _db, _body: "agreed")
    call_in(committed_db)
    rows = outbox.lease(committed_db, "test", 10, outbox.INSIDE)
    assert [outbox.run(committed_db, leased) for leased in rows] == ["done"]
    assert results(committed_db) == [("agreed", NOON)]


def test_an_event_that_fails_comes_again_and_then_is_done_once(committed_db: Database) -> None:
    calls = 0

    @inbox.on("template_card_event")
    def clicked(_db: Database, _body: Mapping[str, Any]) -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise Transient("later")

    call_in(committed_db)
    assert work(committed_db) == ["later"]
    assert results(committed_db) == [("", None)]
    clock.freeze(NOON + timedelta(minutes=1))
    assert work(committed_db) == ["later"]
    clock.freeze(NOON + timedelta(minutes=2))
    assert work(committed_db) == ["done"]
    with committed_db.unit_of_work() as session:  # a second row about it, as after a lost lease
        id_ = session.scalar(select(WeComCallback.id))
        outbox.enqueue(session, "callback", "click:nurse01", "event", {"id": id_})
    assert work(committed_db) == ["done"]
    assert calls == 3


def test_an_event_that_can_not_be_done_says_why(committed_db: Database) -> None:
    @inbox.on("template_card_event")
    def clicked(_db: Database, _body: Mapping[str, Any]) -> None:
        raise Permanent("没有这张卡片")

    call_in(committed_db)
    assert work(committed_db) == ["dead"]
    assert results(committed_db) == [("failed: 没有这张卡片", None)]


def test_one_event_has_one_function() -> None:
    inbox.on("enter_agent")(lambda _db, _body: None)
    with pytest.raises(RuntimeError, match="enter_agent"):
        inbox.on("enter_agent")(lambda _db, _body: None)


def test_old_callbacks_are_purged_a_few_at_a_time(committed_db: Database) -> None:
    for number in range(5):
        clock.freeze(NOON + timedelta(days=number))
        call_in(committed_db, number=number)
    before = NOON + timedelta(days=3)
    assert [inbox.purge(committed_db, before, 2) for _ in range(3)] == [2, 1, 0]
    assert len(results(committed_db)) == 2
