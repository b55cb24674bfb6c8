"""Boxes and their counts: each says what the other says, and pages hold while the world goes on."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.conftest import LEAVE, Api, Person
from tests.dsl import bpmn, chain, start_task, task

BOXES = ("todo", "read-todo", "done", "started", "copied", "drafts")
WIDE = bpmn(
    '<startEvent id="s"/><endEvent id="e"/><parallelGateway id="f"/><parallelGateway id="j"/>'
    + start_task()
    + task("sign", "head_nurse", "doctor", inner='<piyue:round policy="in_turn"/>')
    + task("any", "head_nurse", "doctor", "surgeon")
    + task("read", "hr_head", "doctor", kind="read", inner='<piyue:round policy="none"/>')
    + chain("s", "apply", "f", "sign", "j")
    + chain("f", "any", "j")
    + chain("j", "read", "e"),
    key="wide",
)
PEOPLE = ("nurse", "head_nurse", "pediatrics_head", "doctor", "surgeon", "finance_head", "hr_head")


def rows(person: Person, box: str, limit: int = 3, **filters: Any) -> list[dict[str, Any]]:
    """All pages of a box."""
    found, cursor = [], None
    while True:
        page = person.get(f"/boxes/{box}", limit=limit, **filters, **({"cursor": cursor} if cursor else {}))
        found += page["rows"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
        assert len(page["rows"]) == limit


def agree(api: Api, *, opening: bool = False) -> None:
    """Counts equal lists for everybody, no row stands twice, and (`opening`) each row opens."""
    for key in PEOPLE:
        person = api.person(key)
        counts = person.get("/counts")
        lists = {box: rows(person, box) for box in BOXES}
        assert counts["todo"] == len(lists["todo"]), key
        assert counts["read_todo"] == len(lists["read-todo"]), key
        assert counts["copied_unread"] == len([r for r in lists["copied"] if r["unread"]]), key
        assert counts["drafts"] == len(lists["drafts"]), key
        for box, found in lists.items():
            assert len({r["id"] for r in found}) == len(found), (key, box)
            for row in found if opening else ():
                if row["item_id"]:
                    item = person.get(f"/work-items/{row['item_id']}")["item"]
                    if box in ("todo", "read-todo"):
                        assert item["state"] == "open", (key, box)
                elif row["instance_id"]:
                    person.get(f"/instances/{row['instance_id']}")
                else:
                    person.get(f"/drafts/{row['id']}")
        notices, cursor = [], None
        while True:
            page = person.get("/notices", **({"cursor": cursor} if cursor else {}))
            notices += page["notices"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert counts["notices_unread"] == len([n for n in notices if n["read_at"] is None]), key


def acts(api: Api) -> Iterator[str]:
    """A working day: after each act the lists must agree."""
    nurse, head, doctor = api.person("nurse"), api.person("head_nurse"), api.person("doctor")
    surgeon, hr, finance = api.person("surgeon"), api.person("hr_head"), api.person("finance_head")
    admin = api.person("process_admin")
    wide = api.start(process="wide")
    simple = [api.start() for _ in range(3)]
    yield "started"

    def item(person: Person, instance: str, step: str, box: str = "todo") -> str:
        (found,) = (r["item_id"] for r in rows(person, box) if (r["instance_id"], r["step_name"]) == (instance, step))
        return str(found)

    drafted = item(head, wide, "any")
    head.ask("PUT", f"/work-items/{drafted}/draft", json={"opinion": "想一想"})
    doctor.ask("PUT", f"/work-items/{item(doctor, wide, 'any')}/draft", json={"opinion": "再想"})
    nurse.ask("PUT", "/processes/leave_request/draft", json={"data": LEAVE})
    yield "drafted"
    surgeon.post(f"/work-items/{item(surgeon, wide, 'any')}/claim")
    yield "claimed"
    surgeon.post(f"/work-items/{item(surgeon, wide, 'any')}/unclaim")
    yield "unclaimed"
    surgeon.post(f"/work-items/{item(surgeon, wide, 'any')}/complete", {"outcome": "approve"})
    yield "somebody else decided"
    head.post(f"/work-items/{item(head, wide, 'sign')}/complete", {"outcome": "approve"})
    yield "in turn"
    head.post(f"/work-items/{item(head, simple[0], 'first')}/reassign", {"to": str(hr.id), "reason": "出差"})
    yield "reassigned"
    hr.ask("PUT", f"/work-items/{item(hr, simple[0], 'first')}/draft", json={"opinion": "再看看"})
    nurse.post(f"/instances/{simple[0]}/withdraw", {"reason": "不要了"})
    yield "withdrawn with a draft"
    head.post(f"/work-items/{item(head, simple[1], 'first')}/complete", {"outcome": "approve"})
    finance.ask("PUT", f"/work-items/{item(finance, simple[1], 'second')}/draft", json={"opinion": "?"})
    yield "forward"
    head.post(f"/work-items/{item(head, simple[1], 'first', 'done')}/take-back")
    yield "taken back"
    head.post(f"/work-items/{item(head, simple[1], 'first')}/complete", {"outcome": "approve"})
    finance.post(f"/work-items/{item(finance, simple[1], 'second')}/return", {"to": "initiator", "opinion": "写清楚"})
    yield "returned"
    nurse.post(f"/work-items/{item(nurse, simple[1], 'apply')}/complete", {"outcome": "submit"})
    head.post(f"/work-items/{item(head, simple[1], 'first')}/complete", {"outcome": "approve"})
    finance.post(f"/work-items/{item(finance, simple[1], 'second')}/complete", {"outcome": "approve"})
    yield "to be read"
    reading = item(doctor, simple[1], "circulate", "read-todo")
    doctor.post(f"/work-items/{reading}/circulate", {"to": [str(hr.id)]})
    yield "circulated"
    for reader in (doctor, hr):
        reader.post(f"/work-items/{item(reader, simple[1], 'circulate', 'read-todo')}/acknowledge", {})
    yield "read by two"
    admin.post(f"/admin/instances/{simple[1]}/terminate", {"reason": "重复"})
    yield "terminated"
    doctor.post(f"/work-items/{item(doctor, wide, 'sign')}/complete", {"outcome": "approve"})
    yield "ended with readers"
    nurse.post(f"/instances/{wide}/copies", {"to": [str(surgeon.id), str(finance.id)]}, expect=201)
    yield "copied"
    surgeon.post(f"/instances/{wide}/opened")
    yield "copy opened"
    finance.post(f"/instances/{wide}/copies", {"to": [str(hr.id)]}, expect=403)
    nurse.post("/notices/read", {})
    yield "notices read"


def test_counts_equal_lists_after_every_act(api: Api) -> None:
    api.bpm.deploy_files(WIDE)
    for number, what in enumerate(acts(api)):
        try:
            agree(api, opening=number % 6 == 0)
        except AssertionError as wrong:
            raise AssertionError(f"after: {what}") from wrong


@pytest.mark.parametrize("box", ["todo", "started"])
def test_what_arrives_or_leaves_meanwhile_moves_no_page(api: Api, box: str) -> None:
    """Nothing that was there and stays is left out or shown twice, whatever comes and goes between two pages."""
    there = [api.start() for _ in range(7)]
    person = api.person("head_nurse" if box == "todo" else "nurse")
    seen, cursor, gone = [], None, set()
    while True:
        page = person.get(f"/boxes/{box}", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["instance_id"] for row in page["rows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        api.start()
        last = seen[-1]  # the very row that the cursor stands on goes away
        api.person("nurse").post(f"/instances/{last}/withdraw", {"reason": "不要了"})
        gone.add(last)
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen)
    assert set(seen) == set(there), "what arrives while one reads stands on top, not on a later page"


def test_done_and_copied_hold_their_pages_too(api: Api) -> None:
    head, hr = api.person("head_nurse"), api.person("hr_head")

    def one_more() -> str:
        instance = api.start()
        head.post(f"/work-items/{head.todo()}/complete", {"outcome": "approve"})
        api.person("nurse").post(f"/instances/{instance}/copies", {"to": [str(hr.id)]}, expect=201)
        return instance

    there = [one_more() for _ in range(5)]
    for person, box in ((head, "done"), (hr, "copied")):
        seen, later, cursor = [], [], None
        while True:
            page = person.get(f"/boxes/{box}", limit=2, **({"cursor": cursor} if cursor else {}))
            seen += [row["instance_id"] for row in page["rows"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
            later.append(one_more())
        assert seen == there[::-1], box
        there += later


def test_a_cursor_of_another_box_or_person_gives_nothing_of_theirs(api: Api) -> None:
    for _ in range(3):
        api.start()
    mine = api.person("head_nurse").get("/boxes/todo", limit=1)["next_cursor"]
    other = api.person("surgeon").ask("GET", "/boxes/todo", params={"cursor": mine})
    assert other.status_code == 422 or other.json()["rows"] == []
    assert api.person("head_nurse").ask("GET", "/boxes/done", params={"cursor": mine}).status_code == 422
