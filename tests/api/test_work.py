"""The main job over HTTP: start, handle, read, look, and what is refused in which order."""

import uuid
from typing import Any

import pytest

from tests.api.conftest import LEAVE, PREFIX, Api
from tests.factories.files import PDF

NOBODY = uuid.UUID(int=0)


def test_a_leave_request_with_an_attachment(api: Api) -> None:
    doctor, head = api.person("doctor"), api.person("pediatrics_head")
    offered = doctor.get("/processes")["categories"]
    assert "leave_request" in [p["key"] for category in offered for p in category["processes"]]
    page = doctor.get("/processes/leave_request/form")
    assert {c["key"] for c in page["form"]["definition"]["components"] if "key" in c} >= {"leave_type", "start_date"}
    assert page["form"]["data"]["start_half"] == "上午"

    sent = doctor.ask("POST", "/attachments", files={"file": ("诊断证明.pdf", PDF)})
    assert sent.status_code == 201, sent.text
    file_id = sent.json()["id"]
    instance = api.start("doctor", "leave_request", **LEAVE, attachments=[file_id])

    assert head.get("/counts")["todo"] == 1
    item = head.get(f"/work-items/{head.todo()}")
    assert item["head"]["title"].startswith("诸葛子轩")
    assert item["item"]["why"]
    assert {o["id"] for o in item["actions"]["outcomes"]} >= {"approve", "reject"}
    assert item["forms"][0]["data"]["leave_type"] == "事假"
    assert [a["name"] for a in item["attachments"]] == ["诊断证明.pdf"]
    content = head.ask("GET", f"/attachments/{file_id}/content")
    assert content.content == PDF
    assert content.headers["x-content-type-options"] == "nosniff"
    part = head.ask("GET", f"/attachments/{file_id}/content", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, PDF[:4])

    done = head.post(f"/work-items/{item['item']['id']}/complete", {"outcome": "approve", "opinion": "同意"})
    assert done["decided"]
    assert not done["replayed"]
    assert head.get("/boxes/done")["rows"][0]["outcome"] == "approve"
    started = doctor.get("/boxes/started")["rows"][0]
    assert started["instance_id"] == instance
    trail = doctor.get(f"/instances/{instance}/timeline")["entries"]
    assert {e["verb"] for e in trail if not e["actor"]} <= {"auto", "decide", "job", "timer"}
    (level,) = [e for e in trail if e["verb"] == "decide"]
    assert level["ruled"] == {
        "decision": "审批级别",
        "result": "科室负责人",
        "hits": [{"decision": "审批级别", "rules": [1]}],
    }
    assert level["note"] == "按决策表“审批级别”：第 1 条规则 → 科室负责人"
    assert {e["ruled"] for e in trail if e is not level} == {None}
    assert [(e["actor"], e["verb"], e["opinion"]) for e in trail if e["actor"]] == [
        ("诸葛子轩", "start", ""),
        ("欧阳静怡", "complete", "同意"),
    ]
    assert [e["took"] >= 0 for e in trail if e["verb"] == "complete"] == [True]
    diagram = doctor.get(f"/instances/{instance}/diagram")
    assert "head_review" in diagram["walked"]
    assert diagram["xml"].startswith("<?xml")
    assert doctor.get("/notices")["notices"] or head.get("/notices")["notices"]


def test_every_verb_of_an_item(api: Api) -> None:
    instance = api.start()
    nurse, head_nurse, head = (api.person(key) for key in ("nurse", "head_nurse", "pediatrics_head"))
    mine, others = head_nurse.todo(), head.todo()
    head_nurse.post(f"/work-items/{mine}/opened")
    assert head_nurse.get(f"/work-items/{mine}")["item"]["read_at"]
    assert head_nurse.post(f"/work-items/{mine}/claim")["verb"] == "claim"
    assert head.post(f"/work-items/{others}/complete", {"outcome": "approve"}, expect=409)["code"] == "item_closed"
    assert head_nurse.post(f"/work-items/{mine}/unclaim")["verb"] == "unclaim"
    draft = head_nurse.ask("PUT", f"/work-items/{mine}/draft", json={"opinion": "想一想", "outcome": "reject"})
    assert draft.status_code == 200
    assert head_nurse.get(f"/work-items/{mine}")["draft"]["content"]["opinion"] == "想一想"
    assert head_nurse.get("/boxes/drafts")["rows"][0]["item_id"] == mine
    head_nurse.post(f"/work-items/{mine}/return", {"to": "initiator", "opinion": "写清楚"})
    again = nurse.todo()
    nurse.post(f"/work-items/{again}/complete", {"outcome": "submit"})
    head_nurse.post(f"/work-items/{head_nurse.todo()}/complete", {"outcome": "approve"})
    last = head_nurse.get("/boxes/done")["rows"][0]["id"]
    head_nurse.post(f"/work-items/{last}/take-back")
    head_nurse.post(f"/work-items/{head_nurse.todo()}/complete", {"outcome": "approve"})
    finance = api.person("finance_head")
    finance.post(f"/work-items/{finance.todo()}/reassign", {"to": str(api.person("hr_head").id), "reason": "出差"})
    hr = api.person("hr_head")
    hr.post(f"/work-items/{hr.todo()}/complete", {"outcome": "approve"})
    doctor, surgeon = api.person("doctor"), api.person("surgeon")
    reading = doctor.todo(box="read-todo")
    doctor.post(f"/work-items/{reading}/circulate", {"to": [str(hr.id)], "reason": "请阅"})
    assert doctor.post(f"/work-items/{reading}/acknowledge", {})["first"] is True
    assert doctor.post(f"/work-items/{reading}/acknowledge", {})["first"] is False
    surgeon.post(f"/work-items/{surgeon.todo(box='read-todo')}/complete", {"outcome": "acknowledge"})
    hr.post(f"/work-items/{hr.todo(box='read-todo')}/acknowledge", {"opinion": "知道了"})
    assert nurse.get(f"/instances/{instance}")["head"]["state"] == "completed"


def test_every_verb_of_an_instance(api: Api) -> None:
    instance = api.start()
    nurse, hr = api.person("nurse"), api.person("hr_head")
    nurse.post(f"/instances/{instance}/comments", {"text": "请尽快"}, expect=201)
    nurse.post(f"/instances/{instance}/urge", {})
    assert nurse.post(f"/instances/{instance}/urge", {}, expect=409)["code"] == "urged_recently"
    hr.ask("GET", f"/instances/{instance}")
    nurse.post(f"/instances/{instance}/copies", {"to": [str(hr.id)], "reason": "请知悉"}, expect=201)
    assert hr.get("/boxes/copied")["rows"][0]["unread"] is True
    hr.post(f"/instances/{instance}/opened")
    assert hr.get("/boxes/copied")["rows"][0]["unread"] is False
    nurse.post(f"/instances/{instance}/withdraw", {"reason": "不用了"})
    assert hr.get(f"/instances/{instance}")["head"]["state"] == "withdrawn"


def test_drafts_of_what_is_not_started(api: Api) -> None:
    nurse = api.person("nurse")
    first = nurse.ask("PUT", "/processes/leave_request/draft", json={"data": {"reason": "还没想好"}}).json()["id"]
    again = nurse.ask("PUT", "/processes/leave_request/draft", json={"data": LEAVE, "draft_id": first}).json()["id"]
    assert again == first
    assert [row["id"] for row in nurse.get("/boxes/drafts")["rows"]] == [first]
    assert nurse.get(f"/drafts/{first}")["content"] == {"data": LEAVE, "opinion": "", "outcome": None}
    assert api.person("hr_head").ask("GET", f"/drafts/{first}").json()["code"] == "draft_not_found"
    nurse.post("/processes/leave_request/instances", {"data": LEAVE, "draft_id": first}, expect=201)
    assert nurse.get("/boxes/drafts")["rows"] == []
    assert nurse.ask("GET", f"/drafts/{first}").status_code == 404
    other = nurse.ask("PUT", "/processes/leave_request/draft", json={"data": {}}).json()["id"]
    assert api.person("hr_head").ask("DELETE", f"/drafts/{other}").status_code == 404
    assert nurse.ask("DELETE", f"/drafts/{other}").status_code == 204


def test_refusals_in_order(api: Api) -> None:
    api.start()
    head_nurse = api.person("head_nurse")
    item = head_nurse.todo()
    path, body = f"/work-items/{item}/complete", {"outcome": "reject", "opinion": ""}
    hidden = api.person("surgeon").post(path, body, expect=404)
    unknown = api.person("surgeon").post(f"/work-items/{NOBODY}/complete", body, expect=404)
    assert hidden == unknown
    foreign = api.person("nurse").post(path, body, expect=403)
    assert foreign["code"] == "not_assignee"
    assert "曾淑贞" in foreign["detail"]
    stale = head_nurse.post(path, body | {"version": 99}, expect=409)
    assert stale["code"] == "version"
    assert stale["version"] == 1
    empty = head_nurse.post(path, body, expect=422)
    assert empty["code"] == "opinion_required"
    assert empty["errors"] == [{"place": "opinion", "message": "请填写意见"}]
    head_nurse.post(path, {"outcome": "approve"})
    closed = head_nurse.ask("POST", path, json=body)
    assert closed.status_code == 409
    assert closed.headers["content-type"] == "application/problem+json"
    assert closed.json()["title"] == "状态已变化"
    assert closed.json()["type"] == "urn:piyue:problem:item_closed"


def test_form_errors_name_their_fields(quiet: Api) -> None:
    refused = quiet.person("nurse").post("/processes/leave_request/instances", {"data": {}}, expect=422)
    assert refused["code"] == "form_invalid"
    assert {e["place"] for e in refused["errors"]} >= {"leave_type", "start_date", "end_date"}


def test_the_same_key_acts_once(api: Api) -> None:
    nurse, head_nurse = api.person("nurse"), api.person("head_nurse")
    body: dict[str, Any] = {"data": {}}
    headers = {"Idempotency-Key": "start 1"}
    first = nurse.post("/processes/simple/instances", body, headers=headers)
    assert nurse.post("/processes/simple/instances", body, headers=headers) == first
    assert len(nurse.get("/boxes/started")["rows"]) == 1
    path = f"/work-items/{head_nurse.todo()}/complete"
    answers = [head_nurse.post(path, {"outcome": "approve"}, headers={"Idempotency-Key": "tap"}) for _ in range(3)]
    assert [a["replayed"] for a in answers] == [False, True, True]
    reused = head_nurse.post(
        f"/instances/{first['instance_id']}/comments", {"text": "好"}, headers={"Idempotency-Key": "tap"}, expect=409
    )
    assert reused["code"] == "idempotency_key_reused"
    for bad in ("", "x" * 101, "caf\u00e9"):
        answer = head_nurse.ask("POST", path, json={"outcome": "approve"}, headers={"Idempotency-Key": bad.encode()})
        assert answer.status_code == 422, bad
        assert answer.json()["errors"][0]["place"] == "Idempotency-Key"


def test_pages_of_a_box(api: Api) -> None:
    for _ in range(5):
        api.start()
    nurse, seen, cursor = api.person("nurse"), [], None
    while True:
        page = nurse.get("/boxes/started", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [row["id"] for row in page["rows"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)
    assert nurse.get("/boxes/started", text="没有这样的标题")["rows"] == []
    assert len(nurse.get("/boxes/started", process="simple", since="2020-01-01T00:00:00+08:00")["rows"]) == 5


BAD_QUERIES: list[dict[str, Any]] = [
    {"cursor": "not-a-cursor"},
    {"cursor": "💥"},
    {"cursor": "c3RhcnRlZCBub3BlIG5vcGU="},
    {"limit": 0},
    {"limit": 101},
    {"limit": "1e3"},
    {"since": "yesterday"},
    {"since": "2026-03-02T08:00:00"},
    {"since": "1"},
    {"until": "9999-12-31T23:59:59-12:00"},
    {"urgency": 4},
    {"urgency": 10**30},
    {"process": "a/../b"},
    {"process": "x" * 61},
    {"text": "x" * 51},
    {"text": "a\x00b"},
    {"state": "lost"},
]


@pytest.mark.parametrize("query", BAD_QUERIES, ids=str)
def test_bad_filters_are_refused_with_their_place(quiet: Api, query: dict[str, Any]) -> None:
    answer = quiet.person("nurse").ask("GET", "/boxes/started", params=query)
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    assert problem["detail"]
    assert problem["code"]
    assert problem["code"] == "bad_cursor" or problem["errors"][0]["place"] == next(iter(query))


def test_unknown_addresses_and_methods(quiet: Api) -> None:
    nurse = quiet.person("nurse")
    for method, path, status in (("GET", "/nothing", 404), ("PATCH", "/me", 405), ("GET", "/boxes/outbox", 422)):
        answer = nurse.ask(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
    assert nurse.client.get(f"{PREFIX}/openapi.json").json()["info"]["title"] == "Piyue 批阅"
    assert nurse.client.get("/docs").status_code == 404
    assert nurse.client.get("/healthz").json() == {"status": "ok"}
    assert nurse.client.get("/readyz").json() == {"status": "ok"}
