"""A request that is sent again under its key: the same answer, one effect, whatever has happened meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import func, select

from engine.bpm.models import ActionLog, Copy, Incident, Instance, WorkItem
from engine.notices import Notice
from engine.outbox.table import Outbox
from tests.api.conftest import Api


@dataclass
class Scene:
    """An instance of `simple` with the way to each situation."""

    api: Api
    instance: str = ""

    def id(self, who: str) -> str:
        return str(self.api.bpm.person(who))

    def begin(self) -> "Scene":
        self.instance = self.api.start()
        return self

    def first(self) -> "Scene":
        head = self.api.person("head_nurse")
        head.post(f"/work-items/{head.todo()}/complete", {"outcome": "approve"})
        return self

    def second(self) -> "Scene":
        finance = self.api.person("finance_head")
        finance.post(f"/work-items/{finance.todo()}/complete", {"outcome": "approve"})
        return self

    def item(self, who: str, box: str = "todo") -> str:
        return self.api.person(who).todo(box=box)


Request = tuple[str, str, Any]


def start(s: Scene) -> Request:
    return "nurse", "/processes/simple/instances", {"data": {}}


def complete(s: Scene) -> Request:
    s.begin()
    return "head_nurse", f"/work-items/{s.item('head_nurse')}/complete", {"outcome": "approve", "opinion": "好"}


def send_back(s: Scene) -> Request:
    s.begin().first()
    item = s.item("finance_head")
    return "finance_head", f"/work-items/{item}/return", {"to": "first", "mode": "jump", "opinion": "请补充"}


def take_back(s: Scene) -> Request:
    s.begin().first()
    return "head_nurse", f"/work-items/{s.item('head_nurse', 'done')}/take-back", None


def claim(s: Scene) -> Request:
    s.begin()
    return "head_nurse", f"/work-items/{s.item('head_nurse')}/claim", None


def unclaim(s: Scene) -> Request:
    s.begin()
    item = s.item("head_nurse")
    s.api.person("head_nurse").post(f"/work-items/{item}/claim")
    return "head_nurse", f"/work-items/{item}/unclaim", None


def reassign(s: Scene) -> Request:
    s.begin()
    body = {"to": s.id("hr_head"), "reason": "出差"}
    return "head_nurse", f"/work-items/{s.item('head_nurse')}/reassign", body


def acknowledge(s: Scene) -> Request:
    s.begin().first().second()
    return "doctor", f"/work-items/{s.item('doctor', 'read-todo')}/acknowledge", {"opinion": "知道了"}


def last_acknowledge(s: Scene) -> Request:
    s.begin().first().second()
    s.api.person("surgeon").post(f"/work-items/{s.item('surgeon', 'read-todo')}/acknowledge", {})
    return "doctor", f"/work-items/{s.item('doctor', 'read-todo')}/acknowledge", {}


def circulate(s: Scene) -> Request:
    s.begin().first().second()
    item = s.item("doctor", "read-todo")
    return "doctor", f"/work-items/{item}/circulate", {"to": [s.id("hr_head"), s.id("hr_clerk")], "reason": "请阅"}


def comment(s: Scene) -> Request:
    return "nurse", f"/instances/{s.begin().instance}/comments", {"text": "请快一点"}


def urge(s: Scene) -> Request:
    return "nurse", f"/instances/{s.begin().instance}/urge", {"text": "急"}


def copy(s: Scene) -> Request:
    return "nurse", f"/instances/{s.begin().instance}/copies", {"to": [s.id("hr_head")], "reason": "请知悉"}


def withdraw(s: Scene) -> Request:
    return "nurse", f"/instances/{s.begin().instance}/withdraw", {"reason": "不要了"}


def terminate(s: Scene) -> Request:
    return "process_admin", f"/admin/instances/{s.begin().instance}/terminate", {"reason": "重复"}


def jump(s: Scene) -> Request:
    s.begin()
    detail = s.api.person("head_nurse").get(f"/work-items/{s.item('head_nurse')}")
    body = {"task_id": detail["item"]["task_id"], "to": "second", "reason": "离职"}
    return "process_admin", f"/admin/instances/{s.instance}/jump", body


VERBS: list[Callable[[Scene], Request]] = [
    start, complete, send_back, take_back, claim, unclaim, reassign, acknowledge, last_acknowledge, circulate,
    comment, urge, copy, withdraw, terminate, jump,
]  # fmt: skip
TABLES: list[Any] = [ActionLog, Copy, Incident, Instance, WorkItem, Notice, Outbox]
by_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.__name__)


def rows(api: Api) -> dict[str, int]:
    """How many rows there are of what an effect could leave twice."""
    with api.db.reading() as session:
        return {t.__tablename__: session.scalar(select(func.count()).select_from(t)) or 0 for t in TABLES}


@by_verb
def test_sent_again_it_answers_alike_and_nothing_more_happens(api: Api, verb: Callable[[Scene], Request]) -> None:
    who, path, body = verb(Scene(api))
    person, key = api.person(who), {"Idempotency-Key": "tap"}
    first = person.ask("POST", path, json=body, headers=key)
    assert first.is_success, first.text
    api.bpm.work()
    before = rows(api)
    for _ in range(2):
        again = person.ask("POST", path, json=body, headers=key)
        api.bpm.work()
        assert again.status_code == first.status_code, again.text
        assert again.json() | {"replayed": None} == first.json() | {"replayed": None}
        assert again.json().get("replayed", True) is True
    assert rows(api) == before


@by_verb
def test_sent_again_after_the_instance_has_ended_it_still_answers(api: Api, verb: Callable[[Scene], Request]) -> None:
    scene = Scene(api)
    who, path, body = verb(scene)
    person, key = api.person(who), {"Idempotency-Key": "tap"}
    first = person.post(path, body, headers=key)
    instance = first.get("instance_id") or scene.instance
    head = api.person("process_admin").get(f"/instances/{instance}")["head"]
    if head["state"] == "running":
        api.person("process_admin").post(f"/admin/instances/{instance}/terminate", {"reason": "重复"})
    again = person.ask("POST", path, json=body, headers=key)
    assert again.is_success, again.text
    assert again.json() | {"replayed": None} == first | {"replayed": None}


@by_verb
def test_another_body_under_the_key_is_refused(api: Api, verb: Callable[[Scene], Request]) -> None:
    who, path, body = verb(Scene(api))
    if body is None:
        pytest.skip("there is no body")
    other = {
        "data": {}, "urgency": 2, "outcome": "reject", "opinion": "另一句", "text": "另一句", "reason": "另一句",
    }  # fmt: skip
    changed = body | {k: v for k, v in other.items() if k in body or (k == "urgency" and "data" in body)}
    if verb is last_acknowledge:
        changed = {"opinion": "另一句"}
    person, key = api.person(who), {"Idempotency-Key": "tap"}
    person.post(path, body, headers=key)
    before = rows(api)
    refused = person.ask("POST", path, json=changed, headers=key)
    api.bpm.work()
    assert (refused.status_code, refused.json()["code"]) == (409, "idempotency_key_reused"), refused.text
    assert rows(api) == before
