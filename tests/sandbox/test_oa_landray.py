"""Landray's stand-in, asked by zeep on its WSDL and by its REST twin."""

import json
from typing import Any

import httpx
import pytest
import zeep
from lxml import etree

from sandbox.oa import constants
from sandbox.oa.server import Running
from tests.sandbox.oas import HEAD_NURSE, LANDRAY_REST, LANDRAY_SOAP, NURSE, STRANGER, Landray, http, states, todo

NOTHING, FAILED, DONE = 0, 1, 2
MEANT = {"modelName": constants.LANDRAY_MODEL, "modelId": "k1"}
BOTH = f'[{{"LoginName": "{NURSE}"}}, {{"PersonNo": "{HEAD_NURSE}"}}]'


@pytest.fixture
def landray(oa_sandbox: Running) -> Landray:
    """The web service."""
    return Landray(oa_sandbox)


def listed(landray: Landray, kind: int, account: str = NURSE, **more: Any) -> dict[str, Any]:
    """Return what getTodo's message says."""
    asked = {"targets": json.dumps({"LoginName": account}), "type": kind, "rowSize": 10, "pageNo": 1} | more
    state, message = landray.call("getTodo", **asked)
    assert state == DONE
    found: dict[str, Any] = json.loads(message)
    return found


def test_a_todo_appears_is_done_and_goes(oa_sandbox: Running, landray: Landray) -> None:
    rows = oa_sandbox.state.landray
    assert landray.call("sendTodo", **todo(level=1, subject="加急 <&> 😀", docCreator='{"LoginName": "10026"}')) == (
        DONE,
        "",
    )
    [row] = rows.rows()
    assert (row.key, row.account, row.state, row.title) == ("k1", NURSE, "todo", "加急 <&> 😀")
    assert (row.urgency, row.sender_account, row.notified, row.system) == (3, HEAD_NURSE, 1, constants.LANDRAY_APP)
    assert row.received_at.isoformat() == "2026-11-26T10:00:00+08:00"

    assert landray.call("setTodoDone", **MEANT, optType=1)[0] == DONE
    assert states(rows.rows()) == [("k1", NURSE, "done")]
    assert landray.call("setTodoDone", **MEANT, optType=1)[0] == NOTHING  # it is done already

    assert landray.call("deleteTodo", **MEANT, optType=1)[0] == DONE
    assert rows.rows() == []
    assert landray.call("deleteTodo", **MEANT, optType=1)[0] == NOTHING


def test_the_same_todo_sent_twice_shows_twice_unless_the_server_is_a_better_one(
    oa_sandbox: Running, landray: Landray
) -> None:
    rows = oa_sandbox.state.landray
    landray.call("sendTodo", **todo())
    landray.call("sendTodo", **todo(subject="年假申请（改）"))
    assert [row.title for row in rows.rows()] == ["年假申请", "年假申请（改）"]

    rows.settings.upsert = True
    landray.call("deleteTodo", **MEANT, optType=1)
    landray.call("sendTodo", **todo())
    landray.call("sendTodo", **todo(subject="年假申请（改）", type=2))
    [row] = rows.rows()
    assert (row.title, row.state, row.notified) == ("年假申请（改）", "read", 2)


def test_option_2_is_about_the_targets_alone(oa_sandbox: Running, landray: Landray) -> None:
    landray.call("sendTodo", **todo(targets=BOTH))
    assert landray.call("setTodoDone", **MEANT, optType=2, targets=f'{{"LoginName": "{NURSE}"}}')[0] == DONE
    assert states(oa_sandbox.state.landray.rows()) == [("k1", HEAD_NURSE, "todo"), ("k1", NURSE, "done")]
    assert landray.call("deleteTodo", **MEANT, optType=2, targets=f'{{"LoginName": "{HEAD_NURSE}"}}')[0] == DONE
    assert states(oa_sandbox.state.landray.rows()) == [("k1", NURSE, "done")]


@pytest.mark.parametrize("other", [{"modelName": "another"}, {"appName": "another"}, {"key": "k"}, {"type": 2}])
def test_another_name_means_another_todo(oa_sandbox: Running, landray: Landray, other: dict[str, Any]) -> None:
    landray.call("sendTodo", **todo())
    assert landray.call("setTodoDone", **{**MEANT, "optType": 1, **other})[0] == NOTHING
    assert len(oa_sandbox.state.landray.open(NURSE)) == 1


@pytest.mark.parametrize("lacking", "modelName modelId subject link mobileLink padLink type targets createTime".split())
def test_nothing_required_may_be_empty(oa_sandbox: Running, landray: Landray, lacking: str) -> None:
    state, message = landray.call("sendTodo", **todo(**{lacking: 0 if lacking == "type" else ""}))
    assert state == FAILED
    assert lacking in message
    assert oa_sandbox.state.landray.rows() == []


def test_people_whom_nobody_knows_are_left_out_and_none_is_a_failure(oa_sandbox: Running, landray: Landray) -> None:
    state, message = landray.call("sendTodo", **todo(targets=f'{{"LoginName": "{STRANGER}"}}'))
    assert (state, STRANGER in message) == (FAILED, True)
    one_known = f'[{{"LoginName": "{STRANGER}"}}, {{"Id": "{oa_sandbox.state.people[NURSE].id}"}}]'
    assert landray.call("sendTodo", **todo(targets=one_known))[0] == DONE
    assert states(oa_sandbox.state.landray.rows()) == [("k1", NURSE, "todo")]


def test_the_lists_have_pages_conditions_and_types(oa_sandbox: Running, landray: Landray) -> None:
    for number in range(5):
        landray.call("sendTodo", **todo(modelId=f"k{number}", createTime=f"2026-11-26 10:00:0{number}"))
    landray.call("sendTodo", **todo(modelId="notice", type=2))
    landray.call("sendTodo", **todo(modelId="other", appName="Another"))
    own = oa_sandbox.state.landray.start_own(NURSE, "公文传阅")
    landray.call("setTodoDone", **(MEANT | {"modelId": "k0"}), optType=1)
    landray.call("setTodoDone", **(MEANT | {"modelId": "notice"}), optType=1)
    ours = json.dumps([{"appName": constants.LANDRAY_APP}])

    first = listed(landray, 1, otherCond=ours, rowSize=3)
    assert {k: first[k] for k in ("pageCount", "pageno", "count")} == {"pageCount": 2, "pageno": 1, "count": 4}
    assert [doc["modelId"] for doc in first["docs"]] == ["k4", "k3", "k2"]  # the newest first
    assert [doc["modelId"] for doc in listed(landray, 1, otherCond=ours, rowSize=3, pageNo=2)["docs"]] == ["k1"]
    assert listed(landray, 1, otherCond=ours, rowSize=3, pageNo=9)["pageno"] == 2  # beyond the last comes the last

    everything = {doc["modelId"] for doc in listed(landray, 0)["docs"]}
    assert everything == {"k1", "k2", "k3", "k4", "other", own.key}
    assert [doc["modelId"] for doc in listed(landray, 4)["docs"]] == ["k0"]
    assert [doc["modelId"] for doc in listed(landray, 5)["docs"]] == ["notice"]
    assert {doc["modelId"] for doc in listed(landray, -1)["docs"]} == {"k0", "notice"}
    one = json.dumps([{"appName": constants.LANDRAY_APP}, {"modelId": "k3"}])
    assert [doc["modelId"] for doc in listed(landray, 0, otherCond=one)["docs"]] == ["k3"]


def test_an_empty_list_says_so_in_its_own_way(landray: Landray) -> None:
    assert listed(landray, 0)["errorPage"] == "true"
    assert listed(landray, 2)["errorPage"] == "true"
    assert listed(landray, 3)["errorPage"] == "true"


def test_what_is_handled_in_the_oa_itself_is_in_its_list_of_what_is_done(oa_sandbox: Running, landray: Landray) -> None:
    rows = oa_sandbox.state.landray
    landray.call("sendTodo", **todo())
    own = rows.start_own(NURSE, "公文传阅")
    rows.handle("k1", NURSE, "approve", "同意")
    rows.finish_own(own.key)
    assert rows.open(NURSE) == []
    assert {doc["modelId"] for doc in listed(landray, 4)["docs"]} == {"k1", own.key}
    with pytest.raises(LookupError):
        rows.handle("k1", NURSE)
    with pytest.raises(LookupError):
        rows.finish_own(own.key)


@pytest.mark.parametrize(
    "given", [{"createTime": "26.11.2026"}, {"targets": "nurse"}, {"targets": '{"Nobody": "x"}'}, {"targets": "[1]"}]
)
def test_what_it_cant_read_is_the_declared_fault(oa_sandbox: Running, landray: Landray, given: dict[str, str]) -> None:
    with pytest.raises(zeep.exceptions.Fault) as broken:
        landray.call("sendTodo", **todo(**given))
    assert broken.value.detail.find("{http://webservice.notify.sys.kmss.landray.com/}Exception") is not None
    assert oa_sandbox.state.landray.rows() == []


def test_a_wrong_password_and_another_address_are_not_let_in(oa_sandbox: Running) -> None:
    with pytest.raises(zeep.exceptions.Fault, match="密码错误"):
        Landray(oa_sandbox, password="wrong").call("sendTodo", **todo())
    with pytest.raises(zeep.exceptions.Fault, match="密码错误"):
        Landray(oa_sandbox, user="somebody").call("sendTodo", **todo())
    oa_sandbox.state.landray.settings.addresses = {"10.0.0.1"}
    with pytest.raises(zeep.exceptions.Fault, match=r"127\.0\.0\.1"):
        Landray(oa_sandbox).call("sendTodo", **todo())
    assert oa_sandbox.state.landray.rows() == []


def test_the_rest_twin_does_the_same_in_json_or_a_form(oa_sandbox: Running) -> None:
    login = (constants.LANDRAY_USER, constants.LANDRAY_PASSWORD)
    with http(oa_sandbox, auth=login) as rest:
        assert rest.post(f"{LANDRAY_REST}/sendTodo", json=todo()).json() == {"returnState": DONE, "message": ""}
        assert rest.post(f"{LANDRAY_REST}/sendTodo", data=todo(modelId="k2")).json()["returnState"] == DONE
        found = rest.post(f"{LANDRAY_REST}/getTodo", json={"targets": todo()["targets"], "type": 0}).json()
        assert json.loads(found["message"])["count"] == 2
        assert rest.post(f"{LANDRAY_REST}/setTodoDone", json={**MEANT, "optType": 1}).json()["returnState"] == DONE
        assert rest.post(f"{LANDRAY_REST}/deleteTodo", json={**MEANT, "optType": 1}).json()["returnState"] == DONE
        assert states(oa_sandbox.state.landray.rows()) == [("k2", NURSE, "todo")]

        assert rest.post(f"{LANDRAY_REST}/sendTodo", json=todo(createTime="x")).status_code == 500
        assert rest.post(f"{LANDRAY_REST}/sendTodo", content=b"{not json").status_code == 400
        assert rest.get(f"{LANDRAY_REST}/sendTodo").status_code == 405
        assert rest.post(f"{LANDRAY_REST}/noSuchThing").status_code == 404
    with http(oa_sandbox) as nobody:
        assert nobody.post(f"{LANDRAY_REST}/sendTodo", json=todo()).status_code == 401


DOCTYPE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
ENVELOPE = b'%s<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>%s</s:Body></s:Envelope>'
SEND = b'<n:sendTodo xmlns:n="http://webservice.notify.sys.kmss.landray.com/"><arg0>%s</arg0></n:sendTodo>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"\x00\xff",
        b"<a/>",
        ENVELOPE % (b"", b""),
        ENVELOPE % (b"", b"<sendTodo/>"),
        ENVELOPE % (b"", SEND.replace(b"sendTodo", b"dropTable") % b""),
        ENVELOPE % (DOCTYPE, SEND % b"<subject>&a;</subject>"),
        (ENVELOPE % (DOCTYPE, SEND % b"<subject>&a;</subject>")).decode().encode("utf-16"),
        ENVELOPE % (b"", SEND % (b"<a>" * 3000)),
        b"x" * (3 * 1024 * 1024),
    ],
)
def test_whatever_comes_is_answered_in_the_products_style(oa_sandbox: Running, body: bytes) -> None:
    with http(oa_sandbox) as client:
        answer = client.post(LANDRAY_SOAP, content=body, headers={"Content-Type": "text/xml"})
    if len(body) > 2 * 1024 * 1024:
        assert answer.status_code == 413
    else:
        assert answer.status_code == 500
        assert etree.fromstring(answer.content).find(".//faultcode") is not None
    assert oa_sandbox.state.landray.rows() == []


def test_a_rows_link_leads_to_its_page(oa_sandbox: Running, landray: Landray) -> None:
    own = oa_sandbox.state.landray.start_own(NURSE, "公文传阅")
    [doc] = listed(landray, 0)["docs"]
    with http(oa_sandbox, follow_redirects=True) as browser:
        page = browser.get(f"/landray{doc['link']}")
        assert httpx.URL(str(page.url)).params["id"] == own.id
        assert "公文传阅" in page.text
        assert browser.get("/landray/sys/notify/sys_notify_todo/sysNotifyTodo.do?fdId=0").status_code == 404
