"""Acts that cross: whichever comes first, the other is told, and nothing is done twice or half."""

import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from engine import audit
from engine.bpm.models import ActionLog, Copy, WorkItem
from tests.api.conftest import Api
from tests.api.test_together import at_once
from tests.dsl import bpmn, chain, start_task, task

PROCESS = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + task("any", "head_nurse", "doctor", "surgeon")
    + task("check", "finance_head")
    + task("read", "hr_head", "hr_clerk", kind="read")
    + task("last", "it_head")
    + chain("s", "apply", "any", "check", "read", "last", "e"),
    key="crossing",
)


@pytest.fixture
def instance(api: Api) -> str:
    api.bpm.deploy_files(PROCESS)
    return api.start(process="crossing")


def sending(api: Api, who: str, path: str, body: Any = None, key: str = "") -> Callable[[], httpx.Response]:
    person, headers = api.person(who), {"Idempotency-Key": key} if key else {}
    return lambda: person.ask("POST", path, json=body, headers=headers)


def item(api: Api, who: str, box: str = "todo") -> str:
    return f"/work-items/{api.person(who).todo(box=box)}"


def approve(api: Api, *people: str) -> None:
    for who in people:
        api.person(who).post(f"{item(api, who)}/complete", {"outcome": "approve"})


def statuses(*answers: httpx.Response) -> list[int]:
    assert {a.status_code for a in answers} <= {200, 201, 403, 409}, [a.text for a in answers]
    return sorted(a.status_code for a in answers)


def verbs(api: Api, instance: str) -> Counter[str]:
    with api.db.reading() as session:
        assert audit.verify(session)[1] == []
        return Counter(session.scalars(select(ActionLog.verb).where(ActionLog.instance_id == uuid.UUID(instance))))


def test_of_three_who_claim_one_has_it(api: Api, instance: str) -> None:
    people = ("head_nurse", "doctor", "surgeon")
    paths = [item(api, who) for who in people]
    answers = at_once(*[sending(api, who, f"{path}/claim") for who, path in zip(people, paths, strict=True)])
    assert statuses(*answers) == [200, 409, 409]
    assert sum(len(api.person(who).get("/boxes/todo")["rows"]) for who in people) == 1
    assert verbs(api, instance)["claim"] == 1


def test_a_take_back_and_the_next_decision(api: Api, instance: str) -> None:
    approve(api, "doctor")
    mine, next_ = item(api, "doctor", "done"), item(api, "finance_head")
    back, on = at_once(
        sending(api, "doctor", f"{mine}/take-back"),
        sending(api, "finance_head", f"{next_}/complete", {"outcome": "approve"}),
    )
    assert statuses(back, on) == [200, 409]
    api.bpm.work()
    found = verbs(api, instance)
    assert (found["take_back"], found["complete"]) == ((1, 1) if back.is_success else (0, 2))


def test_a_withdrawal_and_a_decision_and_a_return(api: Api, instance: str) -> None:
    approve(api, "doctor")
    next_ = item(api, "finance_head")
    answers = at_once(
        sending(api, "nurse", f"/instances/{instance}/withdraw", {"reason": "不要了"}),
        sending(api, "finance_head", f"{next_}/complete", {"outcome": "approve"}),
        sending(api, "finance_head", f"{next_}/return", {"to": "initiator", "opinion": "请补充"}),
    )
    assert answers[0].status_code == 200
    assert sorted(a.status_code for a in answers[1:]) in ([200, 409], [409, 409])
    api.bpm.work()
    with api.db.reading() as session:
        query = (
            select(func.count())
            .select_from(WorkItem)
            .where(WorkItem.instance_id == uuid.UUID(instance), WorkItem.state.in_(("open", "standby", "queued")))
        )
        assert session.scalar(query) == 0


def test_two_readers_pass_it_on_to_the_same_person(api: Api, instance: str) -> None:
    approve(api, "doctor", "finance_head")
    to = {"to": [str(api.bpm.person("archivist"))]}
    people = ("hr_head", "hr_clerk")
    paths = [item(api, who, "read-todo") for who in people]
    answers = at_once(*[sending(api, w, f"{p}/circulate", to) for w, p in zip(people, paths, strict=True)] * 2)
    assert statuses(*answers) == [200, 409, 409, 409]
    assert len(api.person("archivist").get("/boxes/read-todo")["rows"]) == 1


def test_the_last_reader_acknowledges_while_another_passes_it_on(api: Api, instance: str) -> None:
    """Either the new reader is waited for, or the reading was over and nobody new has it to read."""
    approve(api, "doctor", "finance_head")
    mine, other = item(api, "hr_head", "read-todo"), item(api, "hr_clerk", "read-todo")
    api.person("hr_head").post(f"{mine}/acknowledge", {})
    to = {"to": [str(api.bpm.person("archivist"))]}
    passed, read = at_once(
        sending(api, "hr_head", f"{mine}/circulate", to), sending(api, "hr_clerk", f"{other}/acknowledge", {})
    )
    assert read.status_code == 200, read.text
    api.bpm.work()
    waiting, went_on = (
        api.person(w).get(f"/boxes/{b}")["rows"] for w, b in (("archivist", "read-todo"), ("it_head", "todo"))
    )
    if passed.is_success:
        assert (len(waiting), len(went_on)) == (1, 0)
        api.person("archivist").post(f"{item(api, 'archivist', 'read-todo')}/acknowledge", {})
        assert len(api.person("it_head").get("/boxes/todo")["rows"]) == 1
    else:
        assert passed.status_code == 409, passed.text
        assert (len(waiting), len(went_on)) == (0, 1)


def test_one_who_urges_many_times_at_once_urges_once(api: Api, instance: str) -> None:
    answers = at_once(*[sending(api, "nurse", f"/instances/{instance}/urge", {})] * 4)
    assert statuses(*answers) == [200, 409, 409, 409]
    assert verbs(api, instance)["urge"] == 1


@pytest.mark.parametrize("verb", ["comments", "copies"])
def test_one_key_at_once_leaves_one(api: Api, instance: str, verb: str) -> None:
    body = {"text": "请快"} if verb == "comments" else {"to": [str(api.bpm.person("archivist"))]}
    answers = at_once(*[sending(api, "nurse", f"/instances/{instance}/{verb}", body, "tap")] * 4)
    assert [a.status_code for a in answers] == [201] * 4, [a.text for a in answers]
    assert verbs(api, instance)[verb.removesuffix("s").replace("copie", "copy")] == 1
    with api.db.reading() as session:
        assert session.scalar(select(func.count()).select_from(Copy)) == (verb == "copies")


def test_one_key_of_a_reader_at_once_leaves_one_line(api: Api, instance: str) -> None:
    approve(api, "doctor", "finance_head")
    path = item(api, "hr_head", "read-todo")
    answers = at_once(*[sending(api, "hr_head", f"{path}/acknowledge", {"opinion": "知悉"}, "tap")] * 4)
    assert [a.status_code for a in answers] == [200] * 4, [a.text for a in answers]
    trail = api.person("nurse").get(f"/instances/{instance}/timeline")["entries"]
    assert len([e for e in trail if e["step"] == "read"]) == 1


def test_a_reassignment_and_a_decision(api: Api, instance: str) -> None:
    approve(api, "doctor")
    path = item(api, "finance_head")
    to = {"to": str(api.bpm.person("finance_clerk")), "reason": "出差"}
    answers = at_once(
        sending(api, "finance_head", f"{path}/reassign", to),
        sending(api, "process_admin", f"{path}/reassign", to | {"to": str(api.bpm.person("auditor"))}),
        sending(api, "finance_head", f"{path}/complete", {"outcome": "approve"}),
    )
    assert statuses(*answers) == [200, 409, 409]


def test_two_who_end_it(api: Api, instance: str) -> None:
    answers = at_once(
        sending(api, "nurse", f"/instances/{instance}/withdraw", {"reason": "不要了"}),
        sending(api, "process_admin", f"/admin/instances/{instance}/terminate", {"reason": "重复"}),
    )
    assert statuses(*answers) == [200, 409]
    found = verbs(api, instance)
    assert found["withdraw"] + found["terminate"] == 1
