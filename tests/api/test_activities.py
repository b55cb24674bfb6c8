"""What was done to no instance is on the trail, on whatever path it happened, and auditors read it."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from engine import audit, clock
from engine.org import auth, roles, staff_template
from engine.org.demo import CAST
from tests.api.conftest import PREFIX, SIMPLE, Api
from tests.factories.files import zipped

PASSWORD = "一个 好 长 的 密码 2026"


def read(api: Api, **filters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api.person("auditor").get("/admin/activities", limit=100, **filters)["rows"]
    return rows


def test_every_activity_is_on_the_trail_with_who_did_it_and_to_whom(api: Api) -> None:
    nurse, number = api.bpm.person("nurse"), CAST["nurse"].staff_number
    with api.db.unit_of_work() as session:
        roles.ensure_roles(session)
        roles.grant(session, api.bpm.actor("system_admin"), "seal_keeper", number, "EK")
        roles.grant(session, None, "seal_keeper", number, "EK")  # changes nothing
        roles.revoke(session, None, "seal_keeper", number, "EK")
        auth.set_password(session, None, nurse, PASSWORD)
    client = api.client()
    login = {"staff_number": number, "password": PASSWORD}
    csrf = client.post(f"{PREFIX}/session", json=login).json()["csrf"]
    wrong = login | {"password": "falsch"}
    assert [api.client().post(f"{PREFIX}/session", json=wrong).status_code for _ in range(9)] == [401] * 9
    new = {"old_password": PASSWORD, "new_password": "另一个 更 长 的 密码 2027"}
    assert client.put(f"{PREFIX}/session/password", headers={"X-CSRF-Token": csrf}, json=new).status_code == 204
    assert client.delete(f"{PREFIX}/session", headers={"X-CSRF-Token": csrf}).status_code == 204
    sheet = staff_template.staff_workbook([], [["E9001", "新来的", "EK", "护士", "", "", "", "", 100, "在职", ""]])
    admin, designer = api.person("system_admin"), api.person("designer")
    assert admin.ask("POST", "/admin/staff/import", files={"file": ("人员.xlsx", sheet)}).status_code == 200
    account = admin.post("/system-accounts", {"number": "SYS-1", "name": "挂号系统", "department": "XX"})
    body = {"name": "HIS", "person_id": account["id"], "scopes": ["people:read"]}
    token = admin.post("/service-tokens", body)["token"]
    assert admin.ask("DELETE", f"/service-tokens/{token['id']}").status_code == 204
    changed = SIMPLE["process.bpmn"].replace('name="second"', 'name="复核"').encode()
    for _ in range(2):  # the same files again are no deployment
        sent = designer.ask("POST", "/definitions", files={"files": ("a.zip", zipped(("process.bpmn", changed)))})
        assert sent.status_code == 201, sent.text
    for suspended in (True, False):
        designer.ask("PUT", "/definitions/simple/suspended", json={"suspended": suspended})
    with api.db.reading() as session:
        total, broken = audit.verify(session)
    told = [row for row in reversed(read(api)) if not row["detail"].get("demo")]
    assert (total > len(told), broken) == (True, [])
    told = told[-14:]
    assert [(row["verb"], row["actor"]) for row in told] == [
        ("role_grant", "纪云帆"),
        ("role_revoke", None),
        ("password", None),
        ("login", "单晓燕"),
        ("login_locked", None),
        ("password", "单晓燕"),
        ("logout", "单晓燕"),
        ("staff_import", "纪云帆"),
        ("account_create", "纪云帆"),
        ("token_issue", "纪云帆"),
        ("token_revoke", "纪云帆"),
        ("deploy", "华宇航"),
        ("suspend", "华宇航"),
        ("resume", "华宇航"),
    ]
    details = {row["verb"]: row["detail"] for row in told}
    assert details["staff_import"] == {"created": 1, "updated": 0, "unchanged": 0, "disabled": 0}
    assert (details["deploy"]["key"], details["deploy"]["number"]) == ("simple", 2)
    assert details["role_grant"]["department"] == "儿科"
    assert not {PASSWORD, "falsch", new["new_password"]} & set(str(told).split("'"))


def test_the_trail_is_narrowed_by_verb_person_and_time_and_turned_page_by_page(api: Api) -> None:
    for who in ("nurse", "doctor", "surgeon"):
        api.person(who)
    nurse = str(api.bpm.person("nurse"))
    assert {row["actor_id"] for row in read(api, person_id=nurse)} == {nurse}
    assert {row["verb"] for row in read(api, verb="login")} == {"login"}
    with api.db.unit_of_work() as session:
        auth.set_password(session, None, api.bpm.person("nurse"), PASSWORD)
    assert [row["verb"] for row in read(api, person_id=nurse)] == ["password", "login"]
    hour = timedelta(hours=1)
    assert read(api, since=(clock.now() + hour).isoformat()) == []
    everything = read(api, until=(clock.now() + hour).isoformat())
    auditor = api.person("auditor")
    pages, cursor = [], None
    while True:
        page = auditor.get("/admin/activities", limit=2, **({"cursor": cursor} if cursor else {}))
        pages += page["rows"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == everything
    assert [row["at"] for row in pages] == sorted((row["at"] for row in pages), reverse=True)


@pytest.mark.parametrize("query", [{"verb": "x"}, {"person_id": "x"}, {"since": "gestern"}, {"cursor": "x"}])
def test_odd_filters_are_refused(quiet: Api, query: dict[str, str]) -> None:
    answer = quiet.person("auditor").ask("GET", "/admin/activities", params=query)
    assert answer.status_code == 422, answer.text


def test_auditors_alone_read_it(quiet: Api) -> None:
    for who in ("system_admin", "process_admin", "designer", "nurse"):
        assert quiet.person(who).ask("GET", "/admin/activities").json()["code"] == "not_auditor"
    assert read(quiet, person_id=str(uuid.uuid4())) == []
