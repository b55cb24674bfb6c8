"""The demo's phones: new at every start, while the hospital's database stays."""

from cli import demonstration
from sandbox.wecom.server import Running
from tests.dsl import dates
from tests.engine.connectors.phones import Phones, _phones  # noqa: F401


def test_phones_that_know_nothing_yet_are_told_again_what_waits(phones: Phones, wecom_sandbox: Running) -> None:
    bpm = phones.bpm.deploy("leave_request")
    bpm.start("leave_request", "nurse", leave_type="年休假", reason="探亲", **dates(5, 6))
    phones.tap("head_nurse", "同意")
    bpm.start("leave_request", "nurse", leave_type="事假", reason="家事", **dates(12, 13))
    assert len(phones.cards("head_nurse")) == 2
    wecom_sandbox.state.reset()  # as it is after a new start
    assert phones.cards("head_nurse") == []
    demonstration.Phones(wecom_sandbox).link(bpm.db)
    bpm.work()
    assert phones.buttons("head_nurse") == ["同意", "不同意", "退回", "详情"]
    assert len(phones.cards("head_nurse")) == 1  # what is decided doesn't come again
    assert phones.tap("head_nurse", "同意") == "done"
    assert phones.says("head_nurse").startswith("已同意")
