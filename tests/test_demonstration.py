"""The demo's phones and desks: new at every start, while the hospital's database stays."""

from pathlib import Path

from sqlalchemy import select

from cli import demonstration
from engine.connectors.oa import loading
from engine.connectors.oa.models import OALoad
from engine.org.demo import CAST
from engine.settings import Settings
from sandbox.oa.server import Running as RunningOA
from sandbox.wecom.server import Running
from tests.dsl import Bpm, dates
from tests.engine.connectors.desks import connect
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


def test_desks_that_know_nothing_yet_are_shown_again_what_waits(bpm: Bpm, oa_sandbox: RunningOA) -> None:
    demo = demonstration.Desks(oa_sandbox)
    [site] = demo.sites or []
    connect(bpm.deploy("leave_request"), site)
    lists, head = oa_sandbox.state.landray, CAST["head_nurse"].staff_number

    def shown() -> list[tuple[str, str, bool]]:
        return sorted((row.state, row.title.partition("（")[0], row.own) for row in lists.of(head) if row.open)

    for start in range(2):  # the second time the database knows what the OA has forgotten
        bpm.start("leave_request", "nurse", leave_type="事假", reason="家事", **dates(5 + 7 * start, 6 + 7 * start))
        oa_sandbox.state.reset()
        demo.link(bpm.db)
        while loading.top_up(bpm.db):
            pass
        bpm.work()
        ours = [("todo", f"{CAST['nurse'].name}的请假申请", False)] * (start + 1)
        assert [row for row in shown() if not row[2]] == ours
        assert [row for row in shown() if row[2]], "the OA has items of its own"
    with bpm.db.reading() as session:
        assert session.scalars(select(OALoad.state)).all() == ["running"]  # its last, empty page is the next tick's


def test_an_installation_s_own_oa_takes_the_place_of_the_demo_s(tmp_path: Path) -> None:
    (tmp_path / "oa" / "ekp").mkdir(parents=True)
    (tmp_path / "oa" / "ekp" / "site.toml").write_text(
        'kind = "landray.rest"\nname = "集团 OA"\naddress = "https://oa.example"\napp_name = "批阅"\n', "utf-8"
    )
    with demonstration.desks(Settings(mode="demo", var=tmp_path), "127.0.0.1", 0) as desks:
        assert (desks.url, desks.sites) == (None, None)
