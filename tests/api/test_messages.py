"""Messages that other systems send to instances that wait for them."""

from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select
from sqlalchemy.orm import undefer

from engine import audit
from engine.bpm.models import ActionLog, Instance
from tests.api.conftest import PREFIX, Api
from tests.dsl import bpmn, chain, start_task, task

XML = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task()
    + '<intermediateCatchEvent id="wait"><extensionElements><piyue:input name="boxes"/></extensionElements>'
    '<messageEventDefinition messageRef="m"/></intermediateCatchEvent>'
    + task("check", "finance_head")
    + chain("s", "apply", "wait", "check", "e"),
    key="waiting",
)
WAITING = {"process.bpmn": XML["process.bpmn"].replace("<process ", '<message id="m" name="货已到"/><process ')}


def send(client: httpx.Client, secret: str, key: str | None = "k1", **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {secret}"} | ({} if key is None else {"Idempotency-Key": key})
    return client.post(f"{PREFIX}/messages/货已到", json=body, headers=headers)


def token(api: Api, scope: str) -> str:
    body = {"name": "仓库", "person_id": api.system_account(), "scopes": [scope]}
    return str(api.person("system_admin").post("/service-tokens", body, expect=201)["secret"])


def test_a_message_goes_to_one_that_waits_and_only_once(api: Api) -> None:
    api.bpm.deploy_files(WAITING)
    first, second = (api.start(process="waiting") for _ in range(2))
    secret, client = token(api, "messages:send"), api.client()
    for _ in range(2):
        answer = send(client, secret, payload={"boxes": 12})
        assert (answer.status_code, answer.json()) == (202, {"name": "货已到"})
        api.bpm.work()
    other = send(client, secret, payload={"boxes": 13})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    rows = api.person("finance_head").get("/boxes/todo")["rows"]
    assert [row["instance_id"] for row in rows] == [first]
    with api.db.reading() as session:
        found = session.scalars(
            select(Instance).where(Instance.process_key == "waiting").options(undefer(Instance.data))
        )
        boxes = {str(row.id): orjson.loads(row.data).get("boxes") for row in found}
    assert boxes == {first: 12, second: None}
    sent = api.person("process_admin").ask(
        "POST", "/messages/货已到", json={"payload": {"boxes": 3}}, headers={"Idempotency-Key": "k1"}
    )
    assert sent.status_code == 202, "keys of different senders never meet"
    api.bpm.work()
    assert len(api.person("finance_head").get("/boxes/todo")["rows"]) == 2


@pytest.mark.parametrize("name", ["initiator", "outcome", "steps", "_x"])
def test_the_names_of_the_engine_are_refused(quiet: Api, name: str) -> None:
    answer = send(quiet.client(), token(quiet, "messages:send"), payload={name: "x"})
    assert (answer.status_code, answer.json()["code"]) == (422, "name_reserved")


def test_who_may_not_send(quiet: Api) -> None:
    assert send(quiet.client(), token(quiet, "admin:write")).json()["code"] == "missing_scope"
    assert send(quiet.client(), token(quiet, "messages:send"), key=None).status_code == 422
    refused = quiet.person("nurse").ask("POST", "/messages/x", json={}, headers={"Idempotency-Key": "k"})
    assert (refused.status_code, refused.json()["code"]) == (403, "not_message_sender")


def test_the_trail_names_the_system_that_sent_it(api: Api) -> None:
    """Whoever sends it again, by a newer token, asks for the same; who comes late is told of the message."""
    api.bpm.deploy_files(WAITING)
    instance = api.start(process="waiting")
    secret = token(api, "messages:send")
    tokens = api.person("system_admin").get("/service-tokens")["tokens"]
    assert send(api.client(), secret, payload={"boxes": 12}).status_code == 202
    assert send(api.client(), token(api, "messages:send"), payload={"boxes": 12}).status_code == 202
    api.bpm.work()
    entries = api.person("nurse").get(f"/instances/{instance}/timeline")["entries"]
    assert [(e["verb"], e["actor"]) for e in entries] == [("start", "单晓燕"), ("event", "挂号系统")]
    with api.db.reading() as session:
        row = session.scalars(select(ActionLog).where(ActionLog.verb == "event")).one()
        assert orjson.loads(row.detail)["token"] == tokens[0]["id"]
        assert audit.verify(session)[1] == []
