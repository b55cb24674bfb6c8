"""Many at once: retried requests, double clicks, readers."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from sqlalchemy.orm import Session

from engine.batch import Batch
from tests.api.conftest import Api
from tests.dsl import bpmn, chain, start_task, task

READERS = ("doctor", "surgeon", "hr_head", "hr_clerk", "finance_head", "finance_clerk", "it_head", "auditor")
READING = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("circulate", *READERS, kind="read")
    + chain("s", "apply", "circulate", "e"),
    key="reading",
)


def at_once(*requests: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """Send requests from as many threads, released together."""
    barrier = Barrier(len(requests))

    def send(request: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait()
        return request()

    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(send, requests))


def test_one_request_sent_many_times_at_once_starts_once(api: Api) -> None:
    nurse = api.person("nurse")
    options: dict[str, Any] = {"json": {"data": {}}, "headers": {"Idempotency-Key": "one"}}
    answers = at_once(*[lambda: nurse.ask("POST", "/processes/simple/instances", **options)] * 6)
    assert [a.status_code for a in answers] == [201] * 6, [a.text for a in answers]
    assert len({a.json()["instance_id"] for a in answers}) == 1
    assert len(nurse.get("/boxes/started")["rows"]) == 1


def test_of_many_clicks_one_counts(api: Api) -> None:
    instance = api.start()
    people = [api.person("head_nurse"), api.person("pediatrics_head")]
    paths = [f"/work-items/{person.todo()}/complete" for person in people]

    def click(at: int) -> Callable[[], httpx.Response]:
        return lambda: people[at].ask("POST", paths[at], json={"outcome": "approve"})

    answers = at_once(*[click(n % 2) for n in range(6)])
    assert sorted(a.status_code for a in answers) == [200] + [409] * 5, [a.text for a in answers]
    trail = api.person("nurse").get(f"/instances/{instance}/timeline")["entries"]
    assert [e["verb"] for e in trail].count("complete") == 1


def test_all_readers_at_once(api: Api) -> None:
    api.bpm.deploy_files(READING)
    instance = api.start(process="reading")
    people = [api.person(key) for key in READERS]
    paths = [f"/work-items/{person.todo(box='read-todo')}/acknowledge" for person in people]

    def read(at: int) -> Callable[[], httpx.Response]:
        return lambda: people[at].ask("POST", paths[at], json={})

    answers = at_once(*map(read, range(len(people))))
    assert [(a.status_code, a.json()) for a in answers] == [(200, {"first": True})] * len(people)
    api.bpm.work()
    assert api.person("nurse").get(f"/instances/{instance}")["head"]["state"] == "completed"


def test_who_comes_is_asked_before_the_transaction_begins(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledgement is a transaction of its own, in one round trip, only where nothing has been said before."""
    api.bpm.deploy_files(READING)
    api.start(process="reading")
    person, begun = api.person("doctor"), []
    path = f"/work-items/{person.todo(box='read-todo')}/acknowledge"
    apart = Batch.apart

    def watched(batch: Batch, session: Session) -> list[Any]:
        begun.append(session.in_transaction())
        return apart(batch, session)

    monkeypatch.setattr(Batch, "apart", watched)
    assert person.ask("POST", path, json={}).json() == {"first": True}
    assert begun == [False]
