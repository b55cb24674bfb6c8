"""Who may do what: sessions, cookies, CSRF, lockout, service tokens, and every route against every kind of stranger."""

import uuid
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import select

from api.app import create_app
from engine import audit, clock
from engine.bpm.models import ActionLog, Incident
from engine.db import new_id
from engine.org import auth, guesses, passwords
from engine.org.demo import CAST
from engine.settings import Settings
from tests.api.conftest import PREFIX, Api, Person

PASSWORD = "一个 好 长 的 密码 2026"


@pytest.fixture
def nurse_with_password(api: Api) -> str:
    """The staff number of a nurse who can log in by password."""
    with api.db.unit_of_work() as session:
        auth.set_password(session, None, api.bpm.person("nurse"), PASSWORD)
    return CAST["nurse"].staff_number


def log_in(client: httpx.Client, number: str, password: str, **headers: str) -> httpx.Response:
    body = {"staff_number": number, "password": password}
    return client.post(f"{PREFIX}/session", json=body, headers=headers)


def test_login_by_password_and_logout(api: Api, nurse_with_password: str) -> None:
    client = api.client()
    assert log_in(client, nurse_with_password, "falsch").status_code == 401
    answer = log_in(client, nurse_with_password, PASSWORD)
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("piyue=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/;" in cookie
    assert "domain" not in cookie
    assert "secure" not in cookie
    me = client.get(f"{PREFIX}/me").json()
    assert (me["name"], me["csrf"]) == ("单晓燕", answer.json()["csrf"])
    assert "httponly" in answer.headers.get_list("set-cookie")[1].lower()  # by which the browser is known
    old = dict(client.cookies)
    out = client.delete(f"{PREFIX}/session", headers={"X-CSRF-Token": me["csrf"]})
    assert out.status_code == 204
    assert dict(client.cookies).keys() == {"piyue-device"}
    assert api.client().get(f"{PREFIX}/me", headers={"Cookie": f"piyue={old['piyue']}"}).status_code == 401


def test_the_cookie_is_tied_to_the_host_where_it_is_secure(quiet: Api) -> None:
    secure = quiet.with_settings(secure_cookie=True)
    answer = secure.client().post(f"{PREFIX}/session/demo", json={"staff_number": CAST["nurse"].staff_number})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-piyue=")
    assert "Secure" in cookie
    assert "HttpOnly" in cookie
    assert "Path=/" in cookie


def test_a_login_replaces_the_session_that_the_browser_had(api: Api, nurse_with_password: str) -> None:
    client = api.client()
    first = log_in(client, nurse_with_password, PASSWORD)
    token = client.cookies["piyue"]
    second = log_in(client, nurse_with_password, PASSWORD)
    assert client.cookies["piyue"] != token
    assert second.json()["csrf"] != first.json()["csrf"]
    assert api.client().get(f"{PREFIX}/me", headers={"Cookie": f"piyue={token}"}).status_code == 401


def test_wrong_passwords_lock_for_a_while(api: Api, nurse_with_password: str) -> None:
    client = api.client()
    answers = [log_in(client, nurse_with_password, "falsch") for _ in range(guesses.MAX_FAILURES)]
    assert {a.status_code for a in answers} == {401}
    assert len({a.json()["detail"] for a in answers}) == 1
    assert log_in(client, nurse_with_password, PASSWORD).json() == answers[0].json()
    clock.freeze(clock.now() + guesses.LOCKED_FOR + timedelta(seconds=1))
    assert log_in(client, nurse_with_password, PASSWORD).status_code == 200


def test_the_owner_gets_in_where_another_browser_behind_the_same_address_is_locked_out(
    api: Api, nurse_with_password: str
) -> None:
    own, other = api.client(), api.client()
    assert log_in(own, nurse_with_password, PASSWORD).status_code == 200
    for _ in range(guesses.MAX_FAILURES):
        log_in(other, nurse_with_password, "falsch")
    assert log_in(other, nurse_with_password, PASSWORD).status_code == 401
    assert log_in(own, nurse_with_password, PASSWORD).status_code == 200


def test_beyond_a_few_logins_at_once_it_says_when_to_come_again(api: Api, nurse_with_password: str) -> None:
    with ExitStack() as taken:
        for _ in range(passwords._AT_THE_DOOR):
            taken.enter_context(passwords._door)
        answer = log_in(api.client(), nurse_with_password, PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (503, "logins_busy")
    assert int(answer.headers["retry-after"]) >= 1
    assert log_in(api.client(), nurse_with_password, PASSWORD).status_code == 200


def test_a_new_password_ends_the_other_sessions(api: Api, nurse_with_password: str) -> None:
    here, there = api.client(), api.client()
    csrf = log_in(here, nurse_with_password, PASSWORD).json()["csrf"]
    log_in(there, nurse_with_password, PASSWORD)
    headers = {"X-CSRF-Token": csrf}
    weak = here.put(
        f"{PREFIX}/session/password", headers=headers, json={"old_password": PASSWORD, "new_password": "123"}
    )
    assert weak.status_code == 422
    assert weak.json()["errors"][0]["place"] == "new_password"
    body = {"old_password": PASSWORD, "new_password": "另一个 更 长 的 密码 2027"}
    assert here.put(f"{PREFIX}/session/password", headers=headers, json=body).status_code == 204
    assert here.get(f"{PREFIX}/me").status_code == 200
    assert there.get(f"{PREFIX}/me").status_code == 401


def test_demo_login_exists_in_the_demo_only(quiet: Api) -> None:
    assert {p["name"] for p in quiet.client().get(f"{PREFIX}/session/demo").json()["people"]} >= {"单晓燕"}
    live = quiet.with_settings(mode="production").client()
    assert live.get(f"{PREFIX}/session/demo").json() == {"demo": False, "people": []}
    refused = live.post(f"{PREFIX}/session/demo", json={"staff_number": CAST["nurse"].staff_number})
    assert refused.status_code == 403
    assert "set-cookie" not in refused.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 204),
        ({"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}, 204),
        ({"Sec-Fetch-Site": "none"}, 204),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://testserver.evil.example"}, 403),
        ({"Origin": "http://[broken"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"X-CSRF-Token": ""}, 403),
        ({"X-CSRF-Token": "wrong"}, 403),
        ({"X-CSRF-Token": "caf\u00e9"}, 403),
    ],
    ids=str,
)
def test_what_another_site_sends_is_refused(quiet: Api, headers: dict[str, str], status: int) -> None:
    encoded = {name: value.encode() for name, value in headers.items()}
    answer = quiet.person("nurse").ask("POST", "/notices/read", json={}, headers=encoded)
    assert answer.status_code == status, answer.text


def test_another_site_can_neither_log_in_nor_send_a_form(quiet: Api) -> None:
    body = {"staff_number": CAST["nurse"].staff_number}
    evil = quiet.client().post(f"{PREFIX}/session/demo", json=body, headers={"Origin": "https://evil.example"})
    assert evil.status_code == 403
    assert "set-cookie" not in evil.headers
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = quiet.person("nurse").ask("POST", "/notices/read", content=b"{}", headers={"Content-Type": kind})
        assert answer.status_code == 415, kind


# -- service tokens ----------------------------------------------------------------------------------------------------


def token(api: Api, *scopes: str, **body: Any) -> dict[str, Any]:
    made = api.person("system_admin").post(
        "/service-tokens",
        {"name": "挂号系统", "person_id": api.system_account(), "scopes": list(scopes), **body},
        expect=201,
    )
    assert made["secret"].startswith("pyt_")
    return dict(made)


def ask_with(api: Api, secret: str, method: str, path: str, **options: Any) -> httpx.Response:
    return api.client().request(method, PREFIX + path, headers={"Authorization": f"Bearer {secret}"}, **options)


def test_a_service_token_does_what_its_scopes_say(api: Api) -> None:
    made = token(api, "instances:start", "instances:read")
    secret = made["secret"]
    started = ask_with(api, secret, "POST", "/processes/simple/instances", json={"data": {}})
    assert started.status_code == 201, started.text
    instance = started.json()["instance_id"]
    assert ask_with(api, secret, "GET", f"/instances/{instance}").json()["head"]["initiator"] == "挂号系统"
    with api.db.reading() as session:
        log = session.scalars(select(ActionLog).where(ActionLog.instance_id == uuid.UUID(instance))).one()
        assert (log.verb, str(log.actor_id)) == ("start", api.system_account())
        assert orjson.loads(log.detail)["token"] == made["token"]["id"]
        assert audit.verify(session)[1] == []
    me = ask_with(api, secret, "GET", "/me").json()
    assert me["csrf"] is None
    assert me["scopes"] == ["instances:read", "instances:start"]
    refused = ask_with(api, secret, "POST", f"/instances/{instance}/comments", json={"text": "好"})
    assert refused.status_code == 403
    assert refused.json()["scope"] == "instances:act"
    assert ask_with(api, secret, "DELETE", "/session").json()["code"] == "token_not_allowed"
    listed = api.person("system_admin").get("/service-tokens")["tokens"]
    assert [t["last_used_at"] is not None for t in listed] == [True]
    assert secret not in str(listed)
    api.person("system_admin").ask("DELETE", f"/service-tokens/{made['token']['id']}")
    assert ask_with(api, secret, "GET", "/me").status_code == 401


def test_service_tokens_end_and_are_the_system_admins(api: Api) -> None:
    made = token(api, "instances:read", expires_at=(clock.now() + timedelta(hours=1)).isoformat())
    assert ask_with(api, made["secret"], "GET", "/counts").status_code == 200
    clock.freeze(clock.now() + timedelta(hours=2))
    assert ask_with(api, made["secret"], "GET", "/counts").status_code == 401
    clock.freeze(None)
    admin = api.person("system_admin")
    nurse = {"name": "x", "person_id": str(api.bpm.person("nurse")), "scopes": ["instances:read"]}
    assert admin.post("/service-tokens", nurse, expect=422)["code"] == "not_system_account"
    body = {"name": "x", "person_id": str(uuid.uuid4()), "scopes": ["instances:read"]}
    assert admin.post("/service-tokens", body, expect=422)["code"] == "unknown_person"
    assert admin.post("/service-tokens", body | {"scopes": ["ALL"]}, expect=422)["code"] == "bad_scopes"
    assert api.person("process_admin").post("/service-tokens", body, expect=403)["code"] == "not_system_admin"
    for bad in ("pyt_" + "x" * 43, "", "💥"):
        headers = {b"Authorization": f"Bearer {bad}".encode()}
        assert api.client().get(f"{PREFIX}/me", headers=headers).status_code == 401


# -- every route -------------------------------------------------------------------------------------------------------

DOCUMENT = create_app(Settings(), None).openapi()  # type: ignore[arg-type]  # nothing is asked of the database
ROUTES = [
    (method.upper(), path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
    if operation.get("x-access", "public") != "public"
]
# routes whose answer is the same for everybody who is logged in, or only about themselves
OWN = {
    "me_me", "me_counts", "processes_startable", "processes_start_page", "processes_start", "processes_save_draft",
    "boxes_page", "notices_list_notices", "notices_mark_read", "people_search_people", "people_person_card",
    "people_departments", "attachments_upload", "session_logout", "session_change_password", "staff_template",
    "work_items_opened", "instances_opened", "boxes_oa_entries", "me_settings", "me_set_settings",
    "telling_choice", "telling_choose",
}  # fmt: skip


def fill(path: str, ids: dict[str, str]) -> str:
    for name, value in ids.items():
        path = path.replace("{" + name + "}", value)
    assert "{" not in path, path
    return path.removeprefix(PREFIX)


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """The example of the operation's body, as the client's arguments."""
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return {"json": content["application/json"]["example"]}
    if "multipart/form-data" in content:
        schema = DOCUMENT["components"]["schemas"][content["multipart/form-data"]["schema"]["$ref"].split("/")[-1]]
        return {"files": {"files" if "files" in schema["properties"] else "file": ("process.bpmn", b"<x/>")}}
    return {}


def ids_of(api: Api) -> dict[str, str]:
    instance = api.start("nurse")
    head_nurse = api.person("head_nurse")
    draft = api.person("nurse").ask("PUT", "/processes/simple/draft", json={"data": {}}).json()["id"]
    sent = api.person("nurse").ask("POST", "/attachments", files={"file": ("a.txt", b"text")}).json()["id"]
    made = token(api, "instances:read")["token"]["id"]
    incident = Incident(
        id=new_id(), instance_id=uuid.UUID(instance), kind="nobody", message="找不到办理人", created_at=clock.now()
    )
    with api.db.unit_of_work() as session:
        session.add(incident)
    return {
        "item_id": head_nurse.todo(),
        "instance_id": instance,
        "draft_id": draft,
        "attachment_id": sent,
        "token_id": made,
        "incident_id": str(incident.id),
        "person_id": str(head_nurse.id),
        "process_key": "simple",
        "box": "todo",
        "letter_id": "999999999",
        "number": "1",
        "staff_number": CAST["nurse"].staff_number,
        "newer": "1",
        "name": "goods_arrived",
        "system": "wecom",
        "wecom_id": "1",
        "site": "ekp",
        "check_id": str(uuid.uuid4()),
    }


def test_nobody_gets_anything(api: Api) -> None:
    ids = ids_of(api)
    for method, path, operation in ROUTES:
        for headers in ({}, {"Cookie": "piyue=stale"}, {"Authorization": "Bearer pyt_x"}):
            if "Cookie" in headers and method != "GET":
                headers = {**headers, "X-CSRF-Token": "x"}
            options = {"headers": headers_of(operation) | headers, "params": params_of(operation)} | body_of(operation)
            answer = api.client().request(method, PREFIX + fill(path, ids), **options)
            assert answer.status_code == 401, (method, path, headers, answer.text)
            assert answer.headers["www-authenticate"] == "Bearer"


def params_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Examples of the parameters that the operation needs."""
    needed = [p for p in operation.get("parameters", []) if p.get("required") and p["in"] == "query"]
    return {p["name"]: p["schema"]["examples"][0] for p in needed}


def headers_of(operation: dict[str, Any]) -> dict[str, Any]:
    """Examples of the headers that the operation needs."""
    needed = [p for p in operation.get("parameters", []) if p.get("required") and p["in"] == "header"]
    return {p["name"]: p["schema"]["examples"][0] for p in needed}


def test_a_stranger_gets_no_route_that_is_not_theirs(api: Api) -> None:
    ids, stranger = ids_of(api), api.person("surgeon")
    checked = 0
    for method, path, operation in ROUTES:
        if operation["operationId"] in OWN:
            continue
        options = {"params": params_of(operation), "headers": headers_of(operation)} | body_of(operation)
        answer = stranger.ask(method, fill(path, ids), **options)
        assert answer.status_code in (403, 404), (method, path, answer.text)
        checked += 1
    assert checked >= 40


_ABSENT = (
    "number_not_found", "outbox_not_found", "channel_not_found", "oa_site_not_found", "oa_load_not_found",
    "oa_check_not_found",
)  # fmt: skip
ROLES = ("process_admin", "designer", "system_admin", "auditor", "office_clerk")
# who may do what beside the participants; every other of ROLES is refused
RIGHTS: dict[str, set[str]] = {
    "instances_detail": {"process_admin", "auditor"},
    "instances_timeline": {"process_admin", "auditor"},
    "instances_diagram": {"process_admin", "auditor"},
    "work_items_detail": {"process_admin", "auditor"},
    "work_items_reassign": {"process_admin"},
    "instances_comment": {"process_admin", "auditor"},
    "instances_urge": {"process_admin"},
    "instances_copy": {"process_admin"},
    "admin_instances": {"process_admin", "auditor"},
    "admin_incidents": {"process_admin", "auditor"},
    "admin_terminate": {"process_admin"},
    "admin_jump": {"process_admin"},
    "admin_retry": {"process_admin"},
    "admin_dismiss": {"process_admin"},
    "wecom_accounts_shown": {"system_admin"},
    "wecom_accounts_link": {"system_admin"},
    "wecom_accounts_unlink": {"system_admin"},
    "wecom_accounts_unreached_people": {"process_admin", "auditor"},
    "outbox_overview": {"process_admin", "auditor"},
    "outbox_letters": {"process_admin", "auditor"},
    "outbox_requeue_all": {"process_admin"},
    "outbox_requeue": {"process_admin"},
    "outbox_pause": {"process_admin", "system_admin"},
    "outbox_resume": {"process_admin", "system_admin"},
    "oa_overview": {"process_admin", "auditor", "system_admin"},
    "oa_accounts": {"process_admin", "auditor", "system_admin"},
    "oa_set_account": {"system_admin"},
    "oa_import_accounts": {"system_admin"},
    "oa_load": {"process_admin", "auditor", "system_admin"},
    "oa_change_load": {"system_admin"},
    "oa_checks": {"process_admin", "auditor", "system_admin"},
    "oa_start_check": {"system_admin"},
    "oa_report": {"process_admin", "auditor", "system_admin"},
    "contacts_runs": {"system_admin"},
    "contacts_compare": {"system_admin"},
    "contacts_sync": {"system_admin"},
    "contacts_map_department": {"system_admin"},
    "handover_leavers": {"process_admin", "auditor"},
    "handover_left": {"process_admin", "auditor"},
    "handover_hand_over": {"process_admin"},
    "definitions_processes": {"process_admin", "auditor", "designer"},
    "definitions_check": {"process_admin", "auditor", "designer"},
    "definitions_deploy": {"process_admin", "designer"},
    "definitions_versions": {"process_admin", "auditor", "designer"},
    "definitions_files": {"process_admin", "auditor", "designer"},
    "definitions_diff": {"process_admin", "auditor", "designer"},
    "definitions_suspend": {"process_admin", "designer"},
    "documents_ledger": {"process_admin", "auditor", "office_clerk"},
    "documents_void": {"process_admin", "office_clerk"},
    "messages_send": {"process_admin"},
    "activities_activities": {"auditor"},
    "staff_import_staff": {"system_admin"},
    "tokens_list_accounts": {"system_admin"},
    "tokens_create_account": {"system_admin"},
    "tokens_list_tokens": {"system_admin"},
    "tokens_create": {"system_admin"},
    "tokens_revoke": {"system_admin"},
}


def test_each_role_gets_its_own_routes_and_no_other(api: Api) -> None:
    ids = ids_of(api)
    refused = {403, 404}
    wrong = []
    for method, path, operation in ROUTES:
        name = operation["operationId"]
        if name in OWN:
            continue
        for role in ROLES:
            person: Person = api.person(role)
            options = {"params": params_of(operation), "headers": headers_of(operation)} | body_of(operation)
            answer = person.ask(method, fill(path, ids), **options)
            assert answer.status_code < 500, (name, role, answer.text)
            code = answer.json().get("code", "") if answer.status_code in refused else ""
            # what the example names isn't there: no refusal of the person
            got_in = answer.status_code not in refused or code in _ABSENT
            if got_in != (role in RIGHTS.get(name, set())):
                wrong.append((name, role, answer.status_code, code))
    assert wrong == []
    assert RIGHTS.keys() <= {operation["operationId"] for *_, operation in ROUTES}  # none has been lost
