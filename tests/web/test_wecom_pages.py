"""What pages do inside WeCom: signatures for its SDK, pictures and colleagues from it, files that go to it."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from engine import clock
from engine.connectors.wecom import accounts, install, planning, unreached
from engine.connectors.wecom.client.js import signature
from engine.org.demo import CAST
from sandbox.wecom import constants
from tests.dsl import Bpm, dates
from tests.factories.files import JPG, PDF
from tests.web.conftest import Browser
from tests.web.wecom_phone import DESK, NURSE, TELEPHONE, Phone, another, change

HEAD_NURSE = CAST["head_nurse"].staff_number


@pytest.fixture
def nurse(phone: Phone) -> Phone:
    """The nurse, who has come in."""
    assert phone.enter().status_code == 303
    return phone


def csrf(phone: Phone) -> str:
    found = re.search(r'name="_csrf" value="([^"]+)"', phone.get("/account").text)
    assert found is not None
    return found[1]


def send(phone: Phone, path: str, **data: str) -> httpx.Response:
    """Post as our script does."""
    headers = {"User-Agent": TELEPHONE, "X-CSRF-Token": csrf(phone), "HX-Request-Type": "partial"}
    return phone.client.post(path, data=data, headers=headers)


def staged(phone: Phone, name: str = "证明.pdf", content: bytes = PDF) -> str:
    answer = phone.client.post(
        "/api/v1/attachments", files={"file": (name, content)}, headers={"X-CSRF-Token": csrf(phone)}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_the_sdk_is_loaded_inside_wecom_only(nurse: Phone) -> None:
    inside = nurse.get("/account").text
    assert re.search(r'<script nonce="[^"]+" src="/static/wecom-\w+\.js" defer>', inside)
    assert f'data-corp="{constants.CORP_ID}" data-agent="{constants.AGENT_ID}"' in inside
    nurse.agent = DESK
    outside = nurse.get("/account").text
    assert "/static/wecom-" not in outside
    assert constants.CORP_ID not in outside


def test_a_page_of_ours_is_signed_for_who_is_logged_in(nurse: Phone) -> None:
    page = "http://testserver/items/7?list=todo"
    answer = nurse.get(f"/wecom/js-config?url={httpx.QueryParams({'u': page})['u']}")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["corpId"], told["agentId"]) == (constants.CORP_ID, constants.AGENT_ID)
    state = nurse.sandbox.state
    for whose, ticket in (("corp", "corp"), ("agent", f"agent {constants.AGENT_ID}")):
        signed = told[whose]
        expected = signature(state.js_tickets[ticket][0], signed["nonceStr"], signed["timestamp"], page)
        assert signed["signature"] == expected
    assert "ticket" not in answer.text


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "http://testserver.evil.example/", "//testserver/", "x", "http://[", ""]
)
def test_other_sites_pages_are_not_signed(nurse: Phone, url: str) -> None:
    assert nurse.client.get("/wecom/js-config", params={"url": url}).status_code == 403


def test_the_host_that_a_request_names_is_not_ours_by_that(nurse: Phone) -> None:
    answer = nurse.get("/wecom/js-config?url=https%3A%2F%2Fevil.example%2F", Host="evil.example", Cookie=cookies(nurse))
    assert answer.status_code == 403


def cookies(phone: Phone) -> str:
    return "; ".join(f"{name}={value}" for name, value in phone.client.cookies.items())


def test_strangers_get_no_signature(phone: Phone) -> None:
    answer = phone.client.get("/wecom/js-config", params={"url": "http://testserver/"})
    assert answer.status_code == 303


def test_where_wecom_is_away_a_page_is_told_so(nurse: Phone) -> None:
    nurse.sandbox.control.fault(endpoint="get_jsapi_ticket", errcode=-1, times=10)
    assert nurse.client.get("/wecom/js-config", params={"url": "http://testserver/"}).status_code == 503


def test_a_picture_chosen_in_wecom_is_staged_as_an_upload_is(bpm: Bpm, nurse: Phone) -> None:
    client = nurse.wecom
    media = client.upload("image", "x.jpg", JPG)
    answer = send(nurse, "/wecom/pictures", media_id=media)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert re.fullmatch(r"照片 \d\d-\d\d \d\d\.\d\d\.\d\d\.(jpg|jpeg)", told["name"])
    assert told["size"] == len(JPG)
    assert nurse.get(f"/attachments/{told['id']}").content == JPG
    other = another(nurse, member=HEAD_NURSE)
    other.enter()
    assert other.get(f"/attachments/{told['id']}").status_code == 404


def test_what_is_no_picture_or_not_there_is_refused_in_words(nurse: Phone) -> None:
    client = nurse.wecom
    text = send(nurse, "/wecom/pictures", media_id=client.upload("file", "x.txt", b"<script>alert(1)</script>"))
    assert (text.status_code, text.text) == (422, "这不是可以上传的图片，请改用“添加附件”")
    assert send(nurse, "/wecom/pictures", media_id="no-such-media").status_code == 404
    nothing = nurse.client.post("/wecom/pictures", data={"media_id": "x"}, headers={"User-Agent": TELEPHONE})
    assert nothing.status_code == 403  # without the token of the page


def test_colleagues_picked_in_wecom_are_people_of_ours(bpm: Bpm, nurse: Phone) -> None:
    with bpm.db.unit_of_work() as session:
        accounts.link(session, None, HEAD_NURSE, "ZengSZ")
        accounts.link(session, None, CAST["doctor"].staff_number, "gone")
    change(bpm, "doctor", disabled_at=clock.now())
    answer = nurse.client.get("/wecom/people", params={"userid": ["zengsz", "nobody", "gone", NURSE]})
    people = answer.json()["people"]
    assert [(p["userid"], p["id"], p["name"]) for p in people] == [
        ("zengsz", str(bpm.person("head_nurse")), "曾淑贞"),
        (NURSE, str(bpm.person("nurse")), "单晓燕"),
    ]


# -- links of files


def linked(phone: Phone, id_: str) -> str:
    answer = phone.get(f"/attachments/{id_}/link")
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == "证明.pdf"
    assert answer.json()["size"] == len(PDF)
    return str(answer.json()["url"])


def test_a_link_opens_one_file_without_a_cookie_for_five_minutes(bpm: Bpm, nurse: Phone) -> None:
    mine, other = staged(nurse), staged(nurse)
    url = linked(nurse, mine)
    stranger = another(nurse, agent="WeCom's downloader")
    answer = stranger.get(url)
    assert (answer.status_code, answer.content) == (200, PDF)
    assert answer.headers["content-type"] == "application/pdf"
    token = urlsplit(url).query
    assert stranger.get(f"/attachments/{other}/linked?{token}").status_code == 403
    clock.freeze(clock.now() + timedelta(minutes=5, seconds=1))
    assert stranger.get(url).status_code == 403


def test_a_link_is_no_more_than_its_holder_may_see(bpm: Bpm, nurse: Phone) -> None:
    id_ = staged(nurse)
    url = linked(nurse, id_)
    head = another(nurse, member=HEAD_NURSE)
    head.enter()
    assert head.get(f"/attachments/{id_}/link").status_code == 404
    assert another(nurse).get(f"/attachments/{id_}/link").status_code == 303
    change(bpm, "nurse", disabled_at=clock.now())
    assert another(nurse).get(url).status_code == 403


@pytest.mark.parametrize("token", ["", "x", "A" * 72, "A" * 71, "%00", "照片", "=" * 10])
def test_a_forged_link_opens_nothing(nurse: Phone, token: str) -> None:
    id_ = staged(nurse)
    assert another(nurse).client.get(f"/attachments/{id_}/linked", params={"token": token}).status_code == 403


def test_a_link_with_any_bit_changed_opens_nothing(nurse: Phone) -> None:
    id_ = staged(nurse)
    path, _, token = linked(nurse, id_).partition("?token=")
    stranger = another(nurse)
    for at in range(0, len(token) - 1, 5):
        other = "A" if token[at] != "A" else "B"
        assert stranger.get(f"{path}?token={token[:at]}{other}{token[at + 1 :]}").status_code == 403


def test_the_page_of_deliveries_names_whom_messages_do_not_reach(phone: Phone, bpm: Bpm) -> None:
    install(bpm.db, phone.wecom.settings, "http://testserver")
    admin = Browser(phone.client, bpm).login("process_admin")
    assert "没送到企业微信的人" not in admin.get("/admin/outbox")
    bpm.start("leave_request", "nurse", leave_type="年休假", reason="探亲", **dates(5, 6))
    page = admin.get("/admin/outbox")
    section = page[page.index('id="unreached"') :].partition("</section>")[0]
    assert CAST["head_nurse"].name in section
    assert HEAD_NURSE in section
    assert f"{planning.NO_ACCOUNT}：{unreached.CURES[planning.NO_ACCOUNT]}" in section
    assert planning.ABSENT not in section
    told = phone.client.get("/api/v1/admin/wecom/unreached").json()
    assert [(row["number"], row["reason"], row["count"]) for row in told["rows"]] == [
        (HEAD_NURSE, planning.NO_ACCOUNT, 1)
    ]
    assert told["rows"][0]["cure"] == unreached.CURES[planning.NO_ACCOUNT]
