"""Malformed and hostile input: always a 4xx that names the place and the cure, nothing half stored, never a 500."""

import json
import struct
import zipfile
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from engine.attachments import Attachment
from engine.bpm.models import Draft, Instance, ProcessVersion
from engine.db import Database
from engine.org import staff_template
from engine.org.models import Person as PersonRow
from tests.api.conftest import PREFIX, SIMPLE, Api
from tests.factories.files import BAD, GOOD, Content, made, zipped

XXE = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><definitions>&x;</definitions>'
LAUGHS = b'<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><d>&b;</d>'


def refusal(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Assert that an answer is a refusal of one of these statuses, in the form that all refusals have."""
    assert answer.status_code in (statuses or (422,)), f"{answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["code"]
    assert any("\u4e00" <= c <= "\u9fff" for c in problem["detail"]), problem
    return problem


def stored(api: Api, table: Any) -> int:
    with api.db.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


# -- bodies and ids ----------------------------------------------------------------------------------------------------

BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut off": b'{"data": {',
    "not json": b"outcome=approve",
    "not utf-8": b'{"data": {"reason": "\xff\xfe"}}',
    "list": b"[]",
    "string": b'"data"',
    "null": b"null",
    "unknown field": b'{"dta": {}}',
    "data is a list": b'{"data": []}',
    "data is text": b'{"data": "x"}',
    "null byte": b'{"data": {"reason": "a\\u0000b"}}',
    "null byte in a key": b'{"data": {"a\\u0000b": 1}}',
    "half a character": b'{"data": {"reason": "\\ud800"}}',
    "not a number": b'{"data": {"days": NaN}}',
    "infinite": b'{"data": {"days": 1e999}}',
    "too large a number": b'{"data": {"days": 123456789012345678901234567890}}',
    "endless number": b'{"data": {"days": ' + b"9" * 5000 + b"}}",
    "too deep": b'{"data": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}",
    "far too deep": b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too many values": json.dumps({"data": {"a": [0] * 60_000}}).encode(),
    "urgency out of range": b'{"data": {}, "urgency": 9}',
    "urgency is text": b'{"data": {}, "urgency": "high"}',
    "draft is no id": b'{"data": {}, "draft_id": "1; DROP TABLE draft"}',
}


@pytest.mark.parametrize("content", BODIES.values(), ids=BODIES)
def test_bad_bodies_are_refused(quiet: Api, content: bytes) -> None:
    nurse, headers = quiet.person("nurse"), {"Content-Type": "application/json"}
    problem = refusal(nurse.ask("POST", "/processes/simple/instances", content=content, headers=headers))
    assert problem["code"] == "malformed"
    assert isinstance(problem["errors"], list)
    refusal(nurse.ask("PUT", "/processes/simple/draft", content=content or b"[]", headers=headers))
    assert stored(quiet, Instance) == stored(quiet, Draft) == 0


IDS = ("1", "x", "0" * 32 + "x", "%00", "..%2f..%2fetc%2fpasswd", "' OR 1=1 --", "💥", "a" * 5000, "%ff%fe")


@pytest.mark.parametrize("id_", IDS)
def test_bad_ids_are_refused(quiet: Api, id_: str) -> None:
    nurse = quiet.person("nurse")
    for path in ("/work-items/{}", "/instances/{}/timeline", "/attachments/{}/content", "/people/{}"):
        refusal(nurse.ask("GET", path.format(id_)), 404, 422)
    for path in ("/processes/{}/form", "/boxes/{}", "/definitions/{}/versions/1/files"):
        refusal(nurse.ask("GET", path.format(id_)), 403, 404, 422)
    refusal(nurse.ask("POST", f"/work-items/{id_}/complete", json={"outcome": "approve"}), 404, 422)


@pytest.mark.parametrize("cursor", ["", "x", "=" * 200, "AAAA", "WyJhIiwgImIiXQ==", "W1tbW1tb", "💥", "%00", "a" * 900])
def test_bad_cursors_are_refused(quiet: Api, cursor: str) -> None:
    for path in ("/boxes/todo", "/boxes/done", "/notices", "/people"):
        refusal(quiet.person("nurse").ask("GET", path, params={"cursor": cursor}))
    for path in ("/admin/instances", "/admin/incidents"):
        refusal(quiet.person("process_admin").ask("GET", path, params={"cursor": cursor}))


@pytest.mark.parametrize(
    "field",
    ["days", "days:", "days:ge", "days:ge:many", "days:like:3", "salary:ge:3", "days:ge:NaN", "days:ge:1e99", ":::"],
)
def test_bad_field_filters_are_refused(quiet: Api, field: str) -> None:
    admin = quiet.person("process_admin")
    refusal(admin.ask("GET", "/admin/instances", params={"process": "leave_request", "field": field}))
    refusal(admin.ask("GET", "/admin/instances", params={"field": "days:ge:3"}))


def test_what_people_type_is_kept_as_they_typed_it(api: Api) -> None:
    instance = api.start()
    text = "<script>alert(1)</script> ' OR 1=1; -- {{7*7}} ${x} \u202e 💥\r\n\t%s"
    nurse = api.person("nurse")
    nurse.post(f"/instances/{instance}/comments", {"text": text}, expect=201)
    assert nurse.get(f"/instances/{instance}/timeline")["entries"][-1]["opinion"] == text


# -- process definitions -----------------------------------------------------------------------------------------------


def deploy(api: Api, *files: tuple[str, bytes], check: bool = False) -> httpx.Response:
    parts = [("files", file) for file in files]
    return api.person("designer").ask("POST", "/definitions/check" if check else "/definitions", files=parts)


def encrypted(content: bytes) -> bytes:
    changed = bytearray(content)
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        position = changed.find(mark)
        changed[position + at] |= 1
    return bytes(changed)


def lying(content: bytes) -> bytes:
    """An archive whose directory declares a small size of a large entry."""
    changed = bytearray(content)
    position = changed.find(b"PK\x01\x02")
    changed[position + 24 : position + 28] = struct.pack("<I", 10)
    return bytes(changed)


GOOD_ZIP = zipped(*((path, text.encode()) for path, text in SIMPLE.items()))
DEFINITIONS: dict[str, list[tuple[str, Content]]] = {
    "no process": [("forms/a.json", b"{}")],
    "empty": [("process.bpmn", b"")],
    "not xml": [("process.bpmn", b"hello")],
    "entities": [("process.bpmn", XXE)],
    "laughs": [("process.bpmn", LAUGHS)],
    "not utf-8": [("process.bpmn", b"\xff\xfe\x00")],
    "other xml": [("process.bpmn", b"<html/>")],
    "deep xml": [("process.bpmn", b"<a>" * 10_000)],
    "path upwards": [("process.bpmn", b"<x/>"), ("../../etc/passwd", b"x")],
    "absolute path": [("process.bpmn", b"<x/>"), ("/etc/passwd", b"x")],
    "program": [("process.bpmn", b"<x/>"), ("forms/a.py", b"x")],
    "twice": [("process.bpmn", b"<x/>"), ("process.bpmn", b"<y/>")],
    "bad form": [("process.bpmn", SIMPLE["process.bpmn"].encode()), ("forms/a.json", b"{" * 100)],
    "zip: garbage": [("a.zip", b"PK\x03\x04garbage")],
    "zip: empty": [("a.zip", zipped())],
    "zip: cut off": [("a.zip", GOOD_ZIP[:-8])],
    "zip: damaged": [("a.zip", GOOD_ZIP.replace(GOOD_ZIP[60:64], b"\xff\xff\xff\xff", 1))],
    "zip: encrypted": [("a.zip", encrypted(GOOD_ZIP))],
    "zip: bomb": [("a.zip", lambda: zipped(("process.bpmn", bytes(100 << 20))))],
    "zip: bomb that lies": [("a.zip", lambda: lying(zipped(("process.bpmn", bytes(30 << 20)))))],
    "zip: many": [("a.zip", lambda: zipped(*(f"forms/{n}.json" for n in range(3000)), method=zipfile.ZIP_STORED))],
    "zip: other compression": [("a.zip", zipped(("process.bpmn", b"<x/>"), method=zipfile.ZIP_LZMA))],
    "zip: path upwards": [("a.zip", zipped(("process.bpmn", b"<x/>"), ("../x.json", b"{}")))],
    "zip: null in a name": [("a.zip", zipped(("process.bpmn", b"<x/>"), ("forms/a\x00.json", b"{}")))],
}


@pytest.mark.backend("sqlite")
@pytest.mark.parametrize("files", DEFINITIONS.values(), ids=DEFINITIONS)
def test_bad_definitions_are_refused(quiet: Api, files: list[tuple[str, Content]]) -> None:
    before = stored(quiet, ProcessVersion)
    sent = [(name, made(content)) for name, content in files]
    problem = refusal(deploy(quiet, *sent))
    if problem["code"] == "lint":
        assert all(f["message"] and f["cure"] and f["file"] for f in problem["findings"])
    checked = deploy(quiet, *sent, check=True)
    if checked.status_code == 200:
        assert checked.json()["deployable"] is False
        assert checked.json()["findings"]
    else:
        refusal(checked)
    assert stored(quiet, ProcessVersion) == before


def test_a_good_definition_as_archive_and_as_files(api: Api) -> None:
    designer = api.person("designer")
    changed = SIMPLE["process.bpmn"].replace('name="second"', 'name="复核"').encode()
    sent = deploy(api, ("流程.zip", zipped(("simple/process.bpmn", changed))))
    assert sent.status_code == 201, sent.text
    assert (sent.json()["key"], sent.json()["number"]) == ("simple", 2)
    again = deploy(api, ("process.bpmn", changed))
    assert again.json()["id"] == sent.json()["id"]
    assert deploy(api, ("process.bpmn", changed), check=True).json()["deployable"] is True
    assert [v["number"] for v in designer.get("/definitions/simple/versions")["versions"]] == [2, 1]
    assert designer.get("/definitions/simple/versions/2/files")["files"] == {"process.bpmn": changed.decode()}
    diff = designer.get("/definitions/simple/versions/1/diff/2")
    assert [(e["id"], e["what"]) for e in diff["changed"]] == [("second", ["name"])]
    designer.ask("PUT", "/definitions/simple/suspended", json={"suspended": True})
    assert api.person("nurse").post("/processes/simple/instances", {}, expect=409)["code"] == "process_suspended"
    assert designer.get("/definitions")["processes"][0]["key"]
    refusal(designer.ask("GET", "/definitions/simple/versions/99/files"), 404)


def test_a_refused_definition_lists_its_findings(quiet: Api) -> None:
    broken = SIMPLE["process.bpmn"].replace('targetRef="second"', 'targetRef="nowhere"').encode()
    problem = refusal(deploy(quiet, ("process.bpmn", broken)))
    assert problem["code"] == "lint"
    assert {"file", "line", "element", "severity", "code", "message", "cure"} <= problem["findings"][0].keys()


# -- people ------------------------------------------------------------------------------------------------------------


def test_the_template_can_be_filled_and_imported(api: Api) -> None:
    admin = api.person("system_admin")
    empty = admin.ask("GET", "/admin/staff/template")
    assert empty.content[:2] == b"PK"
    assert "attachment" in empty.headers["content-disposition"]
    number = "E9001"
    sheet = staff_template.staff_workbook([], [[number, "新来的", "EK", "护士", "", "", "", "", 100, "在职", ""]])
    answer = admin.ask("POST", "/admin/staff/import", files={"file": ("人员.xlsx", sheet)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["created"] == 1
    assert admin.get("/people", text=number)["people"][0]["name"] == "新来的"


WORKBOOKS: dict[str, Content] = {
    "empty": b"",
    "text": b"staff,name",
    "garbage": b"PK\x03\x04" + bytes(100),
    "other archive": zipped("a.txt"),
    "cut off": staff_template.template()[:2000],
    "old format": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000),
    "entities": zipped(("xl/workbook.xml", XXE), ("[Content_Types].xml", XXE)),
    "bomb": lambda: zipped(("xl/workbook.xml", bytes(80 << 20)), ("[Content_Types].xml", b"<x/>")),
    "wrong rows": staff_template.staff_workbook([], [["E1", "", "NOWHERE", "", "", "", "", "", "x", "?", ""]]),
}


@pytest.mark.parametrize("content", WORKBOOKS.values(), ids=WORKBOOKS)
def test_bad_workbooks_are_refused(quiet: Api, content: Content) -> None:
    before = stored(quiet, PersonRow)
    sent = quiet.person("system_admin").ask("POST", "/admin/staff/import", files={"file": ("人员.xlsx", made(content))})
    problem = refusal(sent)
    if content is WORKBOOKS["wrong rows"]:
        assert {"row", "column", "message"} <= problem["errors"][0].keys()
    assert stored(quiet, PersonRow) == before


# -- attachments -------------------------------------------------------------------------------------------------------


@pytest.mark.backend("sqlite")
def test_bad_attachments_are_refused(quiet: Api) -> None:
    nurse = quiet.person("nurse")
    for case, (name, content, code) in BAD.items():
        if "\x00" in name:
            continue  # no client can send it
        sent = nurse.ask("POST", "/attachments", files={"file": (name, made(content))})
        problem = refusal(sent, 413, 422)
        assert problem["code"] in (code, "too_large"), case
    assert stored(quiet, Attachment) == 0
    assert [p for p in quiet.settings.attachments.rglob("*") if p.is_file()] == []


def test_good_attachments_and_their_owners(api: Api) -> None:
    nurse = api.person("nurse")
    name, content = next((name, parts[0]) for name, parts in GOOD.items())
    sent = nurse.ask("POST", "/attachments", files={"file": (f"../../etc/{name}", content)})
    assert sent.status_code == 201, sent.text
    assert sent.json()["name"] == name
    path = f"/attachments/{sent.json()['id']}"
    assert nurse.get(path)["size"] == len(content)
    for method, address in (("GET", path), ("GET", path + "/content"), ("DELETE", path)):
        refusal(api.person("process_admin").ask(method, address), 404)
    stolen = api.person("doctor").ask(
        "POST",
        "/processes/leave_request/instances",
        json={
            "data": {
                "leave_type": "事假", "start_date": "2026-03-03", "end_date": "2026-03-04", "reason": "x",
                "attachments": [sent.json()["id"]],
            }
        },
    )  # fmt: skip
    refusal(stolen, 404, 422)
    assert nurse.ask("DELETE", path).status_code == 204
    refusal(nurse.ask("GET", path), 404)


FORM = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="file"'


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"--x\r\nbroken", FORM),
        (b"", FORM),
        (b"abc", "multipart/form-data"),
        (PART + b"\r\n\r\nno file\r\n--x--\r\n", FORM),
        (b"{}", "application/json"),
        ((PART + b'; filename="a"\r\n\r\n\r\n') * 2000 + b"--x--\r\n", FORM),
    ],
)
def test_bad_forms_are_refused(quiet: Api, content: bytes, kind: str) -> None:
    for path in ("/attachments", "/definitions"):
        refusal(quiet.person("designer").ask("POST", path, content=content, headers={"Content-Type": kind}))


# -- limits ------------------------------------------------------------------------------------------------------------


def test_large_bodies_are_refused_early(quiet: Api) -> None:
    nurse = quiet.person("nurse")
    large = b'{"data": {"reason": "' + b"x" * (1 << 20) + b'"}}'
    headers = {"Content-Type": "application/json"}
    refusal(nurse.ask("POST", "/processes/simple/instances", content=large, headers=headers), 413)
    short = headers | {"Content-Length": "10"}  # not what is sent: what comes is counted too
    refusal(nurse.ask("POST", "/processes/simple/instances", content=large, headers=short), 413)
    file = {"file": ("a.txt", b"x" * (3 << 20))}
    problem = refusal(nurse.ask("POST", "/attachments", files=file), 413)
    assert "MB" in problem["detail"]


def test_what_only_files_may_be_is_refused_as_anything_else(quiet: Api) -> None:
    nurse, large = quiet.person("nurse"), b'{"x": "' + b"x" * (1 << 20) + b'"}'
    for method in ("POST", "PUT"):
        kind = {"Content-Type": "application/json" if method == "POST" else FORM}
        assert refusal(nurse.ask(method, "/attachments", content=large, headers=kind), 413)["limit"] == 1 << 20


@pytest.mark.parametrize("cookie", [{}, {"Cookie": "piyue=stale"}])
def test_strangers_send_a_little_and_no_files(quiet: Api, cookie: dict[str, str]) -> None:
    """The application would refuse these for other reasons, if it saw them."""
    small = PART + b'; filename="a"\r\n\r\nx\r\n--x--\r\n'
    for path in ("/attachments", "/definitions", "/admin/staff/import"):
        headers = cookie | {"Content-Type": FORM}
        refusal(quiet.client().post(PREFIX + path, content=small, headers=headers), 401)
    login = {"staff_number": "1", "password": "x"}
    refusal(quiet.client().post(f"{PREFIX}/session", json=login, headers=cookie), 401)
    much = quiet.client().post(f"{PREFIX}/session", json=login | {"x": "x" * (1 << 16)}, headers=cookie)
    assert refusal(much, 401)["code"] in ("not_logged_in", "session_expired")
    nurse = quiet.person("nurse")
    assert refusal(nurse.client.post(f"{PREFIX}/session", json=login | {"x": "x" * (1 << 16)}))["code"] == "malformed"


def test_answers_and_refusals_are_not_kept_and_not_guessed_at(quiet: Api) -> None:
    nurse, full = quiet.person("nurse"), quiet.with_settings(queue_limit=0)
    large = {"content": b"x" * (2 << 20), "headers": {"Content-Type": "application/json"}}
    answers = [
        nurse.ask("GET", "/me"),
        nurse.ask("GET", "/nothing"),
        nurse.ask("POST", "/notices/read", json={}),
        nurse.ask("POST", "/session/demo", **large),
        quiet.client().get(f"{PREFIX}/me"),
        quiet.client().get(f"{PREFIX}/openapi.json"),
        full.client().get(f"{PREFIX}/me"),
        quiet.client().get("/healthz"),
    ]
    assert [a.status_code for a in answers] == [200, 404, 204, 413, 401, 200, 503, 200]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_beyond_the_queue_it_says_so_at_once(quiet: Api) -> None:
    full = quiet.with_settings(queue_limit=0)
    answer = full.client().get(f"{PREFIX}/session/demo")
    assert refusal(answer, 503)["code"] == "overloaded"
    assert int(answer.headers["retry-after"]) >= 1
    assert full.client().get("/healthz").status_code == 200


def test_an_attachment_keeps_its_own_headers(api: Api) -> None:
    nurse = api.person("nurse")
    sent = nurse.ask("POST", "/attachments", files={"file": ("a.txt", b"text")}).json()
    found = nurse.ask("GET", f"/attachments/{sent['id']}/content")
    assert found.headers["cache-control"] == "private, no-cache"
    assert found.headers["x-content-type-options"] == "nosniff"


def test_a_defect_is_answered_with_an_id_that_the_log_has(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    client = api.client()
    api.app.state.db = None  # every route that asks the database now breaks
    answer = client.get(f"{PREFIX}/session/demo")
    problem = refusal(answer, 500)
    assert problem["id"] in problem["detail"]
    assert problem["id"] in caplog.text
    assert "Traceback" not in answer.text
    assert "NoneType" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_a_database_that_is_away_is_no_defect(api: Api) -> None:
    nurse = api.person("nurse")
    away = Database("postgresql://nobody:x@127.0.0.1:1/none")
    api.app.state.db = away
    for path in ("/readyz", f"{PREFIX}/me"):
        answer = nurse.client.get(path)
        assert refusal(answer, 503)["code"] == "database_unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    assert nurse.client.get("/healthz").status_code == 200
    away.dispose()
