"""Versions, suspension, scopes and document numbers as other systems and people meet them over HTTP."""

import uuid
from typing import Any

from engine import audit, clock
from engine.documents import numbering
from engine.org import roles
from tests.api.conftest import PREFIX, Api
from tests.api.test_access import ROUTES, body_of, fill, headers_of, ids_of, params_of
from tests.dsl import bpmn, chain, start_task, task
from tests.engine.bpm.contracts.kit import form


def files(steps: list[str], *fields: str) -> dict[str, str]:
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task().replace('start="true"', 'start="true" form="f"')
    body += "".join(task(n, "head_nurse").replace('kind="decide"', 'kind="decide" form="f"') for n in steps)
    return bpmn(body + chain("s", "apply", *steps, "e"), key="v") | form("f", *fields)


def test_a_running_instance_stays_on_its_version_through_a_return(api: Api) -> None:
    nurse, head = api.person("nurse"), api.person("head_nurse")
    api.bpm.deploy_files(files(["one", "two"], "a", "b"))
    draft = nurse.ask("PUT", "/processes/v/draft", json={"data": {"a": "1", "b": "2"}}).json()["id"]
    old = api.start(process="v", a="1", b="2")
    api.bpm.deploy_files(files(["one"], "a", "c"))
    body = {"data": {"a": "1", "b": "2", "c": "3"}, "draft_id": draft}
    new = nurse.post("/processes/v/instances", body, expect=201)["instance_id"]
    items = {row["instance_id"]: row["item_id"] for row in head.get("/boxes/todo")["rows"]}
    for instance, number, data in ((old, 1, {"a": "1", "b": "2"}), (new, 2, {"a": "1", "c": "3"})):
        found = head.get(f"/work-items/{items[instance]}")
        assert (found["head"]["version_number"], found["forms"][0]["data"]) == (number, data)
    head.post(f"/work-items/{items[new]}/complete", {"outcome": "approve"})
    assert nurse.get(f"/instances/{new}")["head"]["state"] == "completed"
    head.post(f"/work-items/{items[old]}/return", {"to": "initiator", "opinion": "请补充"})
    nurse.post(f"/work-items/{nurse.todo()}/complete", {"outcome": "submit", "data": {"a": "9", "b": "8", "c": "7"}})
    walked = []
    while nurse.get(f"/instances/{old}")["head"]["state"] == "running":
        found = head.get(f"/work-items/{head.todo()}")
        walked.append((found["item"]["step"], found["forms"][0]["data"]))
        head.post(f"/work-items/{found['item']['id']}/complete", {"outcome": "approve"})
    assert walked == [("one", {"a": "9", "b": "8"}), ("two", {"a": "9", "b": "8"})]


def test_a_deployment_answers_with_its_warnings(api: Api) -> None:
    designer = api.person("designer")
    body = '<startEvent id="s"/><task id="t" name="登记"/><endEvent id="e"/>' + chain("s", "t", "e")
    sent = {"files": ("process.bpmn", bpmn(body, key="warned")["process.bpmn"].encode())}
    checked = designer.ask("POST", "/definitions/check", files=sent).json()
    deployed = designer.ask("POST", "/definitions", files=sent).json()
    assert deployed["fresh"]
    assert ("warning", "plain_task", "t") in [(f["severity"], f["code"], f["element"]) for f in deployed["findings"]]
    assert deployed["findings"] == checked["findings"]
    again = designer.ask("POST", "/definitions", files=sent).json()
    assert (again["number"], again["fresh"], again["findings"]) == (1, False, [])


def test_a_suspended_process_starts_nothing_new_and_the_rest_goes_on(api: Api) -> None:
    nurse, designer, key = api.person("nurse"), api.person("designer"), {"Idempotency-Key": "one"}
    first = nurse.post("/processes/simple/instances", {"data": {}}, expect=201, headers=key)
    assert designer.ask("PUT", "/definitions/simple/suspended", json={"suspended": True}).status_code == 200
    refused = nurse.post("/processes/simple/instances", {"data": {}}, expect=409)
    assert refused["code"] == "process_suspended"
    assert nurse.post("/processes/simple/instances", {"data": {}}, expect=201, headers=key) == first
    startable = [p["key"] for c in nurse.get("/processes")["categories"] for p in c["processes"]]
    assert "simple" not in startable
    head = api.person("head_nurse")
    head.post(f"/work-items/{head.todo()}/return", {"to": "initiator", "opinion": "请补充"})
    nurse.post(f"/work-items/{nurse.todo()}/complete", {"outcome": "submit"})
    for who, box in (
        ("head_nurse", "todo"),
        ("finance_head", "todo"),
        ("doctor", "read-todo"),
        ("surgeon", "read-todo"),
    ):
        outcome = {"outcome": "approve" if box == "todo" else "acknowledge"}
        api.person(who).post(f"/work-items/{api.person(who).todo(box=box)}/complete", outcome)
    assert nurse.get(f"/instances/{first['instance_id']}")["head"]["state"] == "completed"


def test_each_scope_opens_its_own_routes_and_no_other(api: Api) -> None:
    """Even to an account that has all that go together: what a token doesn't name is refused before all else."""
    ids, account, admin = ids_of(api), api.system_account(), api.person("system_admin")
    with api.db.unit_of_work() as session:
        for role in ("process_admin", "office_clerk", "designer", "system_admin"):
            roles.grant(session, None, role, "SYS-HIS")
    wrong = []
    for scope in sorted({o["x-access"] for _, _, o in ROUTES} - {"session"}):
        body = {"name": scope, "person_id": account, "scopes": [scope]}
        bearer = {"Authorization": f"Bearer {admin.post('/service-tokens', body, expect=201)['secret']}"}
        for method, path, operation in ROUTES:
            options: dict[str, Any] = {"params": params_of(operation), "headers": headers_of(operation) | bearer}
            answer = api.client().request(method, PREFIX + fill(path, ids), **options, **body_of(operation))
            kind = answer.headers.get("content-type", "")
            code = answer.json()["code"] if kind.startswith("application/problem") else ""
            needed = operation["x-access"]
            expected = "token_not_allowed" if needed == "session" else "" if needed == scope else "missing_scope"
            refused = code if code in ("token_not_allowed", "missing_scope") else ""
            if refused != expected or answer.status_code >= 500:
                wrong.append((scope, operation["operationId"], answer.status_code, code))
    assert wrong == []


def test_a_void_number_is_on_the_trail_told_with_who_and_never_given_again(api: Api) -> None:
    instance, clerk = uuid.UUID(api.start()), api.person("office_clerk")

    def give(request: str) -> str:
        with api.db.unit_of_work() as session:
            return numbering.allocate(
                session, word="医函", year=2026, instance_id=instance, request=request, now=clock.now()
            )

    first, second = give("1"), give("2")
    clerk.post("/document-numbers/void", {"text": second, "reason": "重复"})
    again = clerk.post("/document-numbers/void", {"text": second, "reason": "又"}, expect=409)
    assert "缪小雨" in again["detail"]
    assert [first, second, give("3"), give("2")] == [f"医函〔2026〕{n}号" for n in (1, 2, 3, 2)]
    ledger = clerk.get("/document-numbers", word="医函", year=2026)["numbers"]
    assert [(row["number"], row["void_reason"]) for row in ledger] == [(1, ""), (2, "重复"), (3, "")]
    (row,) = api.person("auditor").get("/admin/activities", verb="number_void")["rows"]
    assert (row["actor"], row["detail"]["text"], row["detail"]["reason"]) == ("缪小雨", second, "重复")
    with api.db.reading() as session:
        assert audit.verify(session)[1] == []
