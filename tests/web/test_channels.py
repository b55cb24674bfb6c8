"""Channels on the page 投递 and in the API: how they are, paused and resumed by process admins, noted in the trail."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine import clock, outbox
from engine.bpm import queries
from engine.outbox import Leased
from tests.dsl import Bpm
from tests.factories.outbox import emptied
from tests.web.conftest import Browser

PAUSE, RESUME = "/admin/channels/sms/pause", "/admin/channels/sms/resume"


@pytest.fixture(autouse=True)
def _sms(bpm: Bpm) -> Iterator[None]:
    """A channel whose other side is away."""
    with emptied():
        outbox.channel("sms", per_minute=60)

        @outbox.handler("sms", "send", in_transaction=False)
        def send(_db: object, _row: Leased) -> None:
            raise outbox.Transient("短信网关没有回答")

        yield


def write(bpm: Bpm, count: int) -> None:
    with bpm.db.unit_of_work() as session:
        for number in range(count):
            outbox.enqueue(session, "sms", f"k{number}", "send", {})


def test_a_channel_is_paused_with_a_reason_and_resumed(browser_of: Browser, bpm: Bpm) -> None:
    admin = browser_of.login("process_admin")
    assert "正常" in admin.get("/admin/outbox")
    assert "有未处理的" not in admin.get("/admin/instances")
    write(bpm, 3)
    told = admin.send(PAUSE, admin.form("/admin/outbox", PAUSE) | {"reason": "今晚维护"}).headers["location"]
    page = admin.get(told)
    assert "通道已暂停" in page
    assert "已暂停" in page
    assert page.count("今晚维护") == 2  # beside the channel, and in its history
    assert "3 条等待投递" in page
    assert admin.get("/admin/instances").count("有未处理的") == 1
    assert outbox.lease(bpm.db, "w", 8) == []
    told = admin.client.post(RESUME, data=admin.form("/admin/outbox", RESUME)).headers["location"]
    assert "已恢复" in admin.get(told)
    assert "有未处理的" not in admin.get("/admin/instances")
    assert len(outbox.lease(bpm.db, "w", 8)) == 3
    with bpm.db.reading() as session:
        auditor = bpm.actor("auditor")
        rows = queries.activities(session, auditor).rows
        assert [(row.verb, row.detail) for row in rows if row.verb.startswith("channel")] == [
            ("channel_resume", {"system": "sms", "reason": "今晚维护"}),
            ("channel_pause", {"system": "sms", "reason": "今晚维护"}),
        ]
        (stop,) = queries.channel_incidents(session, auditor)
        assert stop.raised_by == stop.resolved_by == bpm.actor("process_admin").name


@pytest.mark.parametrize("reason", ["", "   ", "长" * 201])
def test_a_pause_without_a_fair_reason_is_refused_in_its_dialog(browser_of: Browser, bpm: Bpm, reason: str) -> None:
    admin = browser_of.login("process_admin")
    answer = admin.client.post(PAUSE, data=admin.form("/admin/outbox", PAUSE) | {"reason": reason})
    assert answer.status_code == 422
    assert "请填写暂停的原因" in answer.text
    assert "data-open" in answer.text
    assert len(outbox.lease(bpm.db, "w", 8)) == 0
    with bpm.db.reading() as session:
        assert queries.channel_incidents(session, bpm.actor("process_admin")) == []


def test_a_channel_that_is_down_says_when_it_tries_again_and_may_be_told_to_now(browser_of: Browser, bpm: Bpm) -> None:
    clock.freeze(clock.now())
    write(bpm, 6)
    bpm.work()
    admin = browser_of.login("process_admin")
    page = admin.get("/admin/outbox")
    assert "中断" in page
    assert "内再试" in page
    assert page.count("短信网关没有回答") == 2
    assert outbox.lease(bpm.db, "w", 8) == []
    assert admin.client.post(RESUME, data=admin.form("/admin/outbox", RESUME)).status_code == 303
    assert len(outbox.lease(bpm.db, "w", 8)) == 1  # one that probes
    clock.freeze(clock.now() + timedelta(minutes=10))
    assert "马上再试" in admin.get("/admin/outbox")


def test_auditors_see_channels_and_others_nothing(browser_of: Browser, bpm: Bpm) -> None:
    write(bpm, 6)
    bpm.work()
    auditor = browser_of.login("auditor")
    page = auditor.get("/admin/outbox")
    assert "短信网关没有回答" in page
    assert "/admin/channels/" not in page
    form = auditor.form("/account", "/logout") | {"reason": "x"}
    assert auditor.client.post(PAUSE, data=form).status_code == 403
    assert auditor.client.post(RESUME, data=form).status_code == 403


def test_the_api_tells_and_does_the_same(browser_of: Browser, bpm: Bpm) -> None:
    write(bpm, 6)
    bpm.work()
    admin = browser_of.login("process_admin")
    csrf = {"x-csrf-token": admin.form("/account", "/logout")["_csrf"]}
    api = "/api/v1/admin"
    told = admin.client.get(f"{api}/outbox").json()
    (channel,) = told["channels"]
    assert (channel["system"], channel["state"], channel["pending"], channel["failed"]) == ("sms", "down", 6, 6)
    assert [(row["kind"], row["resolved_at"]) for row in told["channel_incidents"]] == [("down", None)]

    def post(path: str, **body: str) -> int:
        return int(admin.client.post(f"{api}/channels/{path}", headers=csrf, json=body or None).status_code)

    assert post("sms/pause", reason="维护") == 204
    assert post("sms/pause", reason="维护") == 409
    assert admin.client.get(f"{api}/outbox").json()["channels"][0]["state"] == "paused"
    assert post("sms/resume") == 204
    assert post("sms/resume") == 409
    assert post("fax/resume") == 404
    assert post("fax/pause", reason="维护") == 404
    assert admin.client.get(f"{api}/outbox").json()["channels"][0]["state"] == "open"
