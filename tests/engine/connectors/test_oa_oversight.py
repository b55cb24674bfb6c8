"""What admins see of an OA: its figures follow what happens, and a test of the connection says what helps."""

import threading
import uuid
from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine import clock, outbox
from engine.bpm import queries
from engine.connectors.oa import oversight
from engine.connectors.oa.adapters.protocol import Unknown
from engine.connectors.oa.models import OACheck, OAFinding, OAPoll
from engine.connectors.oa.oversight import SiteState
from engine.connectors.oa.sites import Sites
from engine.errors import Conflict, Forbidden
from engine.org.demo import CAST
from tests.dsl import Bpm, dates
from tests.factories.oa_shelf import connection, shelf, shelves
from tests.factories.outbox import NOON

LEAVE = {"leave_type": "事假", "reason": "家中有事"} | dates(3, 4)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


@pytest.fixture
def sites(bpm: Bpm) -> Iterator[Sites]:
    """Two OAs of which the second only takes in its own items."""
    bpm.deploy("leave_request")
    with shelves(bpm, {}, {"code": "old", "name": "老 OA", "mirror": False, "poll": True}) as found:
        yield found


def state(bpm: Bpm, sites: Sites, code: str = "ekp", viewer: str | None = "auditor") -> SiteState:
    with bpm.db.reading() as session:
        found = oversight.overview(session, bpm.actor(viewer) if viewer else None, sites)
    return next(each for each in found if each.code == code)


def troubled(bpm: Bpm, sites: Sites) -> bool:
    with bpm.db.reading() as session:
        return oversight.troubled(session, None, sites)


def test_figures_follow_what_happens(bpm: Bpm, sites: Sites) -> None:
    before = state(bpm, sites)
    assert (before.todo, before.read, before.behind, before.pushed_at, before.dead) == (0, 0, 0, None, 0)
    story = bpm.start("leave_request", by="nurse", **LEAVE)
    found = state(bpm, sites)
    assert (found.todo, found.behind, found.behind_since, found.pushed_at) == (1, 0, None, NOON)
    shelf(bpm).broken = outbox.Transient("没有回答")
    later = NOON + timedelta(hours=1)
    clock.freeze(later)
    story.approve("head_nurse")
    found = state(bpm, sites)
    assert found.todo == 1, "the OA still shows what it was told last"
    assert found.behind == 1
    assert found.behind_since == later
    assert not found.troubled


def test_what_waits_for_a_person_is_not_behind(bpm: Bpm, sites: Sites) -> None:
    shelf(bpm).strangers = {CAST["head_nurse"].staff_number}
    for _ in range(2):
        bpm.start("leave_request", by="nurse", **LEAVE)
    found = state(bpm, sites)
    assert (found.todo, found.behind, found.dead, found.unmapped, found.unmapped_items) == (0, 0, 2, 1, 2)
    assert found.troubled
    assert troubled(bpm, sites)


def test_a_channel_that_is_paused_is_trouble(bpm: Bpm, sites: Sites) -> None:
    assert not troubled(bpm, sites)
    with bpm.db.unit_of_work() as session:
        outbox.pause(session, bpm.actor("process_admin"), "oa.old", "维护")
    assert troubled(bpm, sites)
    assert state(bpm, sites, "old").troubled
    assert not state(bpm, sites).troubled


def check(**figures: object) -> OACheck:
    return OACheck(**{"id": uuid.uuid4(), "site": "ekp", "state": "done", "started_at": clock.now(), "by": "nightly",
                      "missing": 0, "ghost": 0, "stale": 0, "repaired": 0} | figures)  # fmt: skip


def test_the_last_reconciliation_counts(bpm: Bpm, sites: Sites) -> None:
    for figures, trouble in (
        ({"missing": 2, "ghost": 1}, True),
        ({"missing": 2, "ghost": 1, "repaired": 2}, True),
        ({"missing": 2, "ghost": 1, "repaired": 3}, False),
        ({"state": "failed", "reason": "OA 没有回答"}, True),
        ({"state": "running", "missing": 1}, True),
    ):
        clock.freeze(clock.now() + timedelta(minutes=1))
        done = check(**figures)
        with bpm.db.unit_of_work() as session:
            session.add(done)
            session.flush()
            for _ in range(done.repaired):
                session.add(OAFinding(check_id=done.id, kind="missing", side="theirs", result="repaired"))
        assert troubled(bpm, sites) is state(bpm, sites).troubled is trouble, figures
    found = state(bpm, sites)
    assert found.check is not None
    assert found.check.state == "failed", "one at work says nothing yet"
    assert found.checking is not None


def test_polling_says_for_whom_it_fails(bpm: Bpm, sites: Sites) -> None:
    with bpm.db.unit_of_work() as session:
        for who, failures in (("nurse", 0), ("doctor", 3)):
            error = "没有回答" if failures else ""
            given = {"polled_at": NOON, "due_at": NOON, "failures": failures, "error": error}
            session.add(OAPoll(site="old", person_id=bpm.person(who), **given))
    found = state(bpm, sites, "old").polling
    assert found is not None
    assert (found.people, found.at, found.failing, found.error, found.waiting) == (2, NOON, 1, "没有回答", 0)
    assert state(bpm, sites).polling is None


def test_only_admins_and_auditors_look(bpm: Bpm, sites: Sites) -> None:
    for viewer in ("system_admin", "process_admin", "auditor", None):
        assert state(bpm, sites, viewer=viewer).site.name == "集团 OA"
    with pytest.raises(Forbidden), bpm.db.reading() as session:
        oversight.overview(session, bpm.actor("nurse"), sites)
    with pytest.raises(Forbidden):
        oversight.test(bpm.db, bpm.actor("process_admin"), connection(bpm))


@pytest.mark.parametrize(
    ("error", "text", "cure"),
    [
        (outbox.Configuration("系统标识 PY 没有注册"), "系统标识 PY 没有注册", "改正"),
        (Unknown("8 秒没有回答"), "8 秒没有回答", "防火墙"),
        (KeyError("x"), "不是预期的样子", "日志"),
    ],
)
def test_a_connection_that_fails_its_test_says_what_helps(
    bpm: Bpm, sites: Sites, error: Exception, text: str, cure: str
) -> None:
    admin = bpm.actor("system_admin")
    assert oversight.test(bpm.db, admin, connection(bpm)).well
    shelf(bpm).broken = error
    found = oversight.test(bpm.db, admin, connection(bpm))
    assert not found.well
    assert text in found.text
    assert cure in found.cure
    with bpm.db.reading() as session:
        rows = queries.activities(session, bpm.actor("auditor"), verb="oa_test").rows
    assert [(row.actor, row.detail["site"], row.detail["well"]) for row in rows] == [
        (admin.name, "ekp", False),
        (admin.name, "ekp", True),
    ]


def test_an_oa_that_keeps_silent_is_left_alone(bpm: Bpm, sites: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    silence = threading.Event()
    shelf(bpm).asked = lambda: silence.wait(30)
    monkeypatch.setattr(oversight, "PATIENCE", 0.05)
    admin = bpm.actor("system_admin")
    assert "没有结果" in oversight.test(bpm.db, admin, connection(bpm)).text
    with pytest.raises(Conflict, match="正在测试"):
        oversight.test(bpm.db, admin, connection(bpm))
    silence.set()
