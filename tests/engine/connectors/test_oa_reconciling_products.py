"""Reconciliation against each product as the sandbox has it: what it shows is brought back to what is open here."""

import copy
from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine import clock
from engine.connectors.oa import reconciling
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.reconciling import Report
from sandbox.oa.server import Running
from tests.dsl import Bpm, task
from tests.engine.bpm.contracts.kit import line
from tests.engine.connectors.desks import OPEN, PRODUCTS, Desk, number
from tests.factories.outbox import NOON, registry

pytestmark = pytest.mark.backend("sqlite")

LINE = line(
    ("a", task("a", "head_nurse", "surgeon", inner='<piyue:round policy="all"/>')), ("b", task("b", "archivist"))
)


@pytest.fixture(params=sorted(PRODUCTS))
def desk(request: pytest.FixtureRequest, bpm: Bpm, oa_sandbox: Running) -> Iterator[Desk]:
    clock.freeze(NOON)
    assert request.param in KINDS
    with registry():
        found = Desk(bpm, oa_sandbox, request.param)
        bpm.only_the_cast().deploy_files(LINE)
        reconcile(found, repair=False)
        yield found


def reconcile(desk: Desk, *, repair: bool = True) -> Report:
    clock.freeze(clock.now() + timedelta(minutes=10))
    with desk.bpm.db.unit_of_work() as session:
        check = reconciling.start(session, None, desk.connection, repair=repair, by="command")
    desk.bpm.work()
    with desk.bpm.db.reading() as session:
        found = reconciling.report(session, None, check.id)
    assert (found.state, found.unread) == ("done", 0)
    return found


def reads_back(desk: Desk) -> bool:
    return desk.connection.adapter.reads_back


def test_where_all_is_well_nothing_is_found(desk: Desk) -> None:
    desk.bpm.start("p", "nurse").approve("head_nurse")
    desk.bpm.start("p", "nurse").approve("surgeon").approve("head_nurse").approve("archivist")
    report = reconcile(desk)
    assert (report.total, desk.differences()) == (0, ([], []))
    assert ("不能读回" in report.reason) == (not reads_back(desk))


def test_what_the_oa_lost_comes_back(desk: Desk) -> None:
    desk.bpm.start("p", "nurse")
    for row in [row for row in desk.product.rows() if row.state in OPEN]:
        desk.product.remove(row)
    report = reconcile(desk)
    assert (report.missing, report.repaired) == ((2, 2) if reads_back(desk) else (0, 0))
    assert desk.differences() == ([], [])


def test_ghosts_go(desk: Desk) -> None:
    if not reads_back(desk):
        pytest.skip("its lists can't be read")
    story = desk.bpm.start("p", "nurse")
    desk.bpm.start("p", "nurse")
    story.approve("head_nurse")
    [row] = desk.product.having(story.item("head_nurse", None, "done").id.hex)
    row.state = "todo"
    assert desk.differences() == ([], [(row.key, number("head_nurse"))])
    report = reconcile(desk)
    assert (report.ghost, report.repaired, report.left) == (1, 1, 0)
    assert desk.differences() == ([], [])
    assert reconcile(desk, repair=False).total == 0


def test_what_an_oa_shows_twice_it_shows_once(bpm: Bpm, oa_sandbox: Running) -> None:
    """Landray alone adds a second line where the same item is sent again."""
    clock.freeze(NOON)
    with registry():
        desk = Desk(bpm, oa_sandbox, "landray.soap")
        bpm.only_the_cast().deploy_files(LINE)
        reconcile(desk, repair=False)
        bpm.start("p", "nurse")
        twice = copy.copy(next(row for row in desk.product.rows() if row.account == number("surgeon")))
        twice.id = desk.product.number()
        desk.product.add(twice)
        report = reconcile(desk)
        assert (report.stale, report.repaired) == (1, 1)
        assert desk.differences() == ([], [])
