"""What staff decide on a card doesn't wait until an operator has mended the sending, or WeCom takes messages again.

Issue 4, "Callback endpoint": persisted, answered, handled by the worker; `outbox.channels.lane`: "a callback that
it sent is inside: it needs no channel".
"""

import pytest

from tests.contracts.wecom.ward import Ward, name

pytestmark = pytest.mark.backend("sqlite")


@pytest.mark.parametrize("why", ["paused", "down"])
def test_a_click_counts_while_nothing_can_be_sent(ward: Ward, why: str) -> None:
    story = ward.begin("head_nurse", "pediatrics_head")
    with ward.api("process_admin") as api:
        if why == "paused":
            assert api.post("/api/v1/admin/channels/wecom/pause", json={"reason": "维护"}).status_code == 204
        else:
            ward.control.fault(endpoint="*", status=502, times=10**6)
            for _ in range(6):
                ward.bpm.start("p", by="nurse")
        states = {c["system"]: c["state"] for c in api.get("/api/v1/admin/outbox").json()["channels"]}
        assert states["wecom"] == why
        ward.press("head_nurse", "同意", ward.chat("head_nurse")[0])
        assert story.open_steps == {"then"}
        ward.control.clear_faults()
        assert api.post("/api/v1/admin/channels/wecom/resume").status_code == 204
    ward.work()
    for who in ("head_nurse", "pediatrics_head"):
        first = ward.chat(who)[0]
        assert not first.acting
        assert name("head_nurse") in first.text
