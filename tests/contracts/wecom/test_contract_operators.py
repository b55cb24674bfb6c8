"""What an operator sees when WeCom fails, and how they mend it: incidents, dead letters, pause, metrics.

Issue 4, "Workers".
"""

from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from engine.settings import Settings
from sandbox.serving import serving
from tests.contracts.wecom.ward import Ward, number

pytestmark = pytest.mark.backend("sqlite")


def channel(api: httpx.Client) -> dict[str, Any]:
    return dict(next(c for c in api.get("/api/v1/admin/outbox").json()["channels"] if c["system"] == "wecom"))


def letters(api: httpx.Client) -> list[dict[str, Any]]:
    return list(api.get("/api/v1/admin/dead-letters").json()["rows"])


def test_six_hours_without_wecom_lose_nothing_and_are_one_incident(ward: Ward) -> None:
    ward.control.fault(endpoint="*", status=502, times=10**6)
    ward.begin("head_nurse")
    for _ in range(9):
        ward.bpm.start("p", by="nurse")
    for _ in range(24):
        ward.pass_time(900)
        ward.work()
    assert ward.chat("head_nurse") == []
    with ward.api("process_admin") as api:
        assert channel(api)["state"] == "down"
        assert len(api.get("/api/v1/admin/outbox").json()["channel_incidents"]) == 1
        ward.control.clear_faults()
        ward.pass_time(301)
        ward.work()
        ward.work()
        assert channel(api)["state"] == "open"
        told = api.get("/api/v1/admin/outbox").json()
    assert [i["resolved_at"] is not None for i in told["channel_incidents"]] == [True]
    assert told["given_up"] == []
    asked = {c.raw["task_id"] for c in ward.chat("head_nurse") if c.acting}
    digests = [c for c in ward.chat("head_nurse") if c.raw["msgtype"] == "markdown"]
    assert len(asked) == 10 or digests, len(asked)
    assert len(asked) == len([c for c in ward.chat("head_nurse") if c.acting]), "no card twice"


@pytest.mark.parametrize(
    ("errcode", "state"),
    [(60020, "paused"), (40001, "paused"), (48002, "paused"), (301002, "paused"), (-1, "open"), (45009, "open")],
)
def test_what_an_administrator_must_mend_pauses_and_what_passes_does_not(ward: Ward, errcode: int, state: str) -> None:
    ward.control.fault(endpoint="message/send", errcode=errcode, times=3)
    ward.begin("head_nurse")
    with ward.api("process_admin") as api:
        now = channel(api)
        assert now["state"] == state, now
        if state == "paused":
            assert now["reason"]
            ward.control.clear_faults()
            assert api.post("/api/v1/admin/channels/wecom/resume").status_code < 300
        ward.control.clear_faults()
        ward.pass_time(3600)
        ward.work()
        assert "同意" in ward.card("head_nurse").acting
        assert letters(api) == []


def test_a_token_revoked_early_is_fetched_again_and_nobody_notices(ward: Ward) -> None:
    ward.begin("head_nurse")
    ward.control.revoke_tokens(agentid=ward.settings.agent_id)
    ward.bpm.start("p", by="nurse")
    assert len(ward.chat("head_nurse")) == 2
    assert ward.calls("gettoken") == 2
    assert not ward.undelivered()


def test_a_lasting_refusal_of_the_token_does_not_ask_for_ever(ward: Ward) -> None:
    ward.control.fault(endpoint="message/send", errcode=40014, times=500)
    ward.begin("head_nurse")
    assert ward.calls("gettoken") <= 4
    assert ward.calls("message/send") <= 4


def test_pause_and_resume_by_hand(ward: Ward) -> None:
    with ward.api("process_admin") as api:
        assert api.post("/api/v1/admin/channels/wecom/pause", json={"reason": ""}).status_code == 422
        assert api.post("/api/v1/admin/channels/wecom/pause", json={"reason": "今晚维护"}).status_code == 204
        ward.begin("head_nurse")
        ward.pass_time(3600)
        ward.work()
        assert ward.chat("head_nurse") == []
        now = channel(api)
        assert (now["state"], now["reason"]) == ("paused", "今晚维护")
        assert now["pending"] >= 1
        assert api.post("/api/v1/admin/channels/wecom/resume").status_code == 204
        ward.work()
        assert "同意" in ward.card("head_nurse").acting


@pytest.mark.parametrize("who", ["nurse", "head_nurse", "designer"])
def test_operating_is_for_admins(ward: Ward, who: str) -> None:
    with ward.api(who) as api:
        assert api.get("/api/v1/admin/outbox").status_code == 403
        assert api.post("/api/v1/admin/channels/wecom/pause", json={"reason": "x"}).status_code == 403
        assert api.post("/api/v1/admin/channels/wecom/resume").status_code == 403
        body = {"system": "wecom", "topic": "tell", "reason": "x"}
        assert api.post("/api/v1/admin/dead-letters/requeue", json=body).status_code == 403


@pytest.mark.parametrize("one_by_one", [True, False])
def test_dead_letters_are_requeued_one_or_all_of_a_reason(ward: Ward, one_by_one: bool) -> None:
    ward.control.fault(endpoint="message/send", errcode=45002, times=3)
    ward.begin("head_nurse")
    for _ in range(2):
        ward.bpm.start("p", by="nurse")
    with ward.api("process_admin") as api:
        dead = letters(api)
        assert len(dead) == 3
        assert all("45002" in d["reason"] for d in dead), dead
        assert len({d["reason"] for d in dead}) == 1, "equal refusals read the same"
        assert ward.chat("head_nurse") == []
        if one_by_one:
            for each in dead:
                assert api.post(f"/api/v1/admin/dead-letters/{each['id']}/requeue").status_code < 300
        else:
            alike = {key: dead[0][key] for key in ("system", "topic", "reason")}
            answer = api.post("/api/v1/admin/dead-letters/requeue", json=alike)
            assert answer.status_code < 300, answer.text
        ward.work()
        assert letters(api) == []
        assert api.post(f"/api/v1/admin/dead-letters/{dead[0]['id']}/requeue").status_code == 409
    assert len([c for c in ward.chat("head_nurse") if c.acting]) == 3


def test_one_member_who_cannot_be_sent_to_does_not_keep_the_rest(ward: Ward) -> None:
    ward.control.delete_member(userid=number("pediatrics_head"))
    ward.begin("pediatrics_head", "head_nurse")
    assert "同意" in ward.card("head_nurse").acting


def test_the_admin_page_has_both_buttons(ward: Ward) -> None:
    ward.control.fault(endpoint="message/send", errcode=45002, times=3)
    ward.begin("head_nurse")
    with ward.api("process_admin") as browser:
        home = browser.get("/admin", follow_redirects=True)
        pages = [home.text] + [
            browser.get(path, follow_redirects=True).text
            for path in ("/admin/outbox", "/admin/delivery", "/admin/letters")
        ]
    text = " ".join(pages)
    assert "45002" in text
    assert "重新投递" in text
    assert "全部重新投递" in text


def test_metrics_tell_depth_age_sent_failed_dead_by_channel(ward: Ward, tmp_path: Path) -> None:
    ward.control.fault(endpoint="message/send", errcode=45002, times=1)
    ward.begin("head_nurse", "pediatrics_head")
    ward.control.fault(endpoint="message/send", errcode=-1, times=10)
    ward.bpm.start("p", by="nurse")
    ward.pass_time(90)
    settings = Settings(
        secure_cookie=False,
        mode="demo",
        var=tmp_path,
        secret_key=SecretStr("x" * 48),
        metrics_token=SecretStr("m" * 32),
    )
    with serving(create_app(settings, ward.db)) as url:
        assert httpx.get(f"{url}/metrics").status_code == 401
        answer = httpx.get(f"{url}/metrics", headers={"Authorization": "Bearer " + "m" * 32})
    assert answer.status_code == 200
    lines = [line for line in answer.text.splitlines() if "wecom" in line and not line.startswith("#")]
    for what in ("depth|pending", "oldest|age", "sent", "failed", "dead"):
        assert any(word in line.split("{")[0] for line in lines for word in what.split("|")), (what, lines)
