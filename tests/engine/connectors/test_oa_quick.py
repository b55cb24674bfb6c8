"""What people handle of ours in the OA itself: the same command, the first one wins, and who is late is told so."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.bpm import queries
from engine.bpm.models import ActionLog
from engine.connectors.oa.adapters.protocol import Handled
from engine.connectors.oa.inbound import quick
from engine.connectors.oa.models import OAQuick, OATaken
from engine.connectors.oa.sites import Sites
from engine.errors import Conflict
from engine.notices import Notice
from sandbox.oa.server import Running
from tests.dsl import Bpm, Story, bpmn, chain, start_task, task
from tests.engine.connectors.desks import Desk, number
from tests.engine.connectors.test_oa_mirroring import ALL, ANY
from tests.factories.outbox import NOON

STRICT = bpmn(
    "<startEvent id='s'/>" + start_task()
    + task("审核", "head_nurse", inner='<piyue:outcome id="approve" name="同意" opinion="required"/>'
           '<piyue:outcome id="reject" name="不同意"/>')
    + "<endEvent id='e'/>" + chain("s", "apply", "审核", "e")
)  # fmt: skip


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


@pytest.fixture
def desk(bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside an OA in whose list one can approve."""
    return Desk(bpm, oa_sandbox, "template")


def handle(desk: Desk, story: Story, who: str, outcome: str = "", opinion: str = "") -> None:
    """Handle somebody's item in the OA."""
    desk.product.handle(desk.item(story, who).item_id.hex, number(who), outcome, opinion)


def ask(desk: Desk, seconds: float = 10) -> None:
    """Let time pass, and let the leader's tick have the OA asked."""
    clock.freeze(clock.now() + timedelta(seconds=seconds))
    quick.look(desk.bpm.db)
    desk.bpm.work()


def taken(desk: Desk) -> list[tuple[str, str, str]]:
    with desk.bpm.db.reading() as session:
        rows = session.scalars(select(OATaken).order_by(OATaken.at)).all()
        return [(row.account, row.outcome, row.result) for row in rows]


def told(desk: Desk, who: str) -> list[str]:
    with desk.bpm.db.reading() as session:
        mine = select(Notice.text).where(Notice.person_id == desk.bpm.person(who), Notice.kind == "oa")
        return list(session.scalars(mine))


def acts(desk: Desk, story: Story) -> list[tuple[str, str | None, str, bool]]:
    with desk.bpm.db.reading() as session:
        rows = session.scalars(
            select(ActionLog)
            .where(ActionLog.instance_id == story.id, ActionLog.verb == "complete")
            .order_by(ActionLog.id)
        ).all()
        return [(desk.bpm.name(r.actor_id), r.outcome, r.opinion, '"via":"oa.ekp"' in r.detail) for r in rows
                if r.actor_id]  # fmt: skip


def test_what_is_approved_in_the_oa_is_approved_here(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    handle(desk, story, "head_nurse", "approve", "同意，请归档")
    ask(desk)
    assert acts(desk, story)[-1] == ("head_nurse", "approve", "同意，请归档", True)
    assert story.open == {("归档", "archivist")}
    assert desk.differences() == ([], [])
    assert taken(desk) == [(number("head_nurse"), "approve", "已办理")]
    assert told(desk, "head_nurse") == []


def test_it_is_done_once_however_often_the_oa_tells_it(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    handle(desk, story, "head_nurse", "approve")
    for _ in range(4):
        ask(desk)
    assert len([act for act in acts(desk, story) if act[0] == "head_nurse"]) == 1
    assert len(taken(desk)) == 1


def test_what_is_read_in_the_oa_is_read_here(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ALL).start("p", "nurse")
    story.approve("head_nurse").approve("pediatrics_head")
    handle(desk, story, "archivist")
    ask(desk)
    assert acts(desk, story)[-1] == ("archivist", "acknowledge", "", True)
    assert story.open == {("传阅", "office_clerk")}


def test_who_comes_to_our_page_later_reads_that_it_was_handled_in_the_oa(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    item, other = story.item("head_nurse"), story.item("pediatrics_head")
    handle(desk, story, "head_nurse", "approve")
    ask(desk)
    with desk.bpm.db.reading() as session:
        mine = queries.work_item_detail(session, desk.bpm.actor("head_nurse"), item.id)
        theirs = queries.work_item_detail(session, desk.bpm.actor("pediatrics_head"), other.id)
    assert mine.late is not None
    assert mine.late.startswith("您已在OA处理")
    assert theirs.late is not None
    assert "在OA同意" in theirs.late
    assert [entry.via for entry in mine.timeline.entries if entry.verb == "complete"][-1] == "oa.ekp"
    with pytest.raises(Conflict, match="已在OA处理"):
        story.act("complete", "head_nurse", item.id, "reject", opinion="x")


def test_who_was_first_here_wins_and_the_other_is_told(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    desk.fault("refuse", times=1000)  # the OA hasn't heard yet that it is over
    story.approve("head_nurse")
    desk.oa.state.faults.clear()
    handle(desk, story, "pediatrics_head", "reject", "不行")
    ask(desk, 0)
    name = "head_nurse"
    assert [act[:2] for act in acts(desk, story)][-1] == (name, "approve")
    [(account, outcome, result)] = taken(desk)
    assert (account, outcome) == (number("pediatrics_head"), "reject")
    assert "已由" in result
    [text] = told(desk, "pediatrics_head")
    assert "没有生效" in text
    assert "已由" in text
    desk.settle()
    assert desk.differences() == ([], [])


def test_what_is_over_here_and_there_bothers_nobody(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    desk.fault("refuse", times=1000)
    story.approve("head_nurse")
    desk.oa.state.faults.clear()
    handle(desk, story, "head_nurse")  # the same person, without an outcome
    ask(desk)
    assert taken(desk) == []
    assert told(desk, "head_nurse") == []


@pytest.mark.parametrize(
    ("outcome", "opinion", "why"),
    [("approve", "", "需要填写意见"), ("", "好", "没有说明您的办理结果"), ("odd", "好", "没有结果“odd”")],
)
def test_what_the_step_wants_more_for_stays_open_and_comes_back(
    desk: Desk, outcome: str, opinion: str, why: str
) -> None:
    story = desk.bpm.deploy_files(STRICT).start("p", "nurse")
    handle(desk, story, "head_nurse", outcome, opinion)
    assert desk.seen("head_nurse") == []
    ask(desk)
    assert story.open == {("审核", "head_nurse")}
    assert desk.seen("head_nurse") == ["审核"]
    [text] = told(desk, "head_nurse")
    assert why in text
    ask(desk)  # the OA still lists what was handled before
    assert len(told(desk, "head_nurse")) == 1
    handle(desk, story, "head_nurse", "approve", "同意")
    ask(desk)
    assert story.open == set()
    assert taken(desk) == [(number("head_nurse"), "approve", "已办理")]


@pytest.mark.parametrize("key", ["", "x", "0" * 32, "ITEM"])
def test_what_is_not_theirs_to_handle_is_not_done(desk: Desk, key: str) -> None:
    """An OA that names somebody else's item, or none, decides nothing."""
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    item = story.item("head_nurse").id.hex
    quick.take(
        desk.bpm.db,
        desk.connection,
        Handled(item if key == "ITEM" else key, number("doctor"), "approve", "", clock.now()),
    )
    assert story.open == {("审核", "head_nurse"), ("审核", "pediatrics_head")}
    assert taken(desk) == []


@pytest.mark.parametrize("odd", ["\ud800", "\x00"])
def test_what_no_database_takes_holds_nothing_else_up(desk: Desk, odd: str) -> None:
    """One such row would end each round, and with it all quick approvals of the site."""
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    item, who = story.item("head_nurse").id.hex, number("head_nurse")
    for handled in (
        Handled(item, odd, "approve", "", clock.now()),
        Handled(item + odd, who, "approve", "", clock.now()),
        Handled(item, who, f"approve{odd}", odd, clock.now()),
    ):
        quick.take(desk.bpm.db, desk.connection, handled)
    assert taken(desk) == [(who, "approve", "已办理")]


def test_nothing_is_asked_while_nobody_has_anything_open_there(desk: Desk) -> None:
    before = desk.requests()
    ask(desk)
    assert desk.requests() == before


def test_the_round_goes_from_account_to_account_within_a_third_of_the_rate(desk: Desk) -> None:
    asked = list[list[str]]()

    class Slow:
        quick, states, reads_back, polls = True, desk.connection.adapter.states, False, False

        def handled(self, accounts: list[str], since: object) -> list[Handled]:
            asked.append(list(accounts))
            return []

        def close(self) -> None:
            pass

    story = desk.bpm.deploy_files(ALL).start("p", "nurse")
    assert len(story.open) == 2
    connection = desk.connection
    site = connection.site.model_copy(update={"per_minute": 18})  # one account in ten seconds
    desk.bpm.db.provide(Sites({"ekp": type(connection)(site, Slow())}, "https://x.test"))  # type: ignore[arg-type]
    for _ in range(4):
        ask(desk)
    accounts = sorted([number("head_nurse"), number("pediatrics_head")])
    assert asked[:2] == [[accounts[0]], [accounts[1]]]
    assert asked[3:] == [[accounts[0]]] or asked[2] == [accounts[0]]
    with desk.bpm.db.reading() as session:
        assert session.get_one(OAQuick, "ekp").known_to > NOON
    connection.adapter.close()


def test_a_question_that_fails_delays_nothing_else(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    desk.fault("html502", "handled", times=100)
    for _ in range(6):
        ask(desk, 60)
    assert desk.pending("dead") == 0
    desk.oa.state.faults.clear()
    handle(desk, story, "head_nurse", "approve")
    for _ in range(3):
        ask(desk, 120)
    assert story.open == {("归档", "archivist")}


def test_a_question_that_is_wrong_is_one_dead_letter_and_the_mirror_goes_on(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")

    def refuse(*_: object) -> list[Handled]:
        raise outbox.Configuration("没有这个接口")

    desk.connection.adapter.handled = refuse  # type: ignore[method-assign, assignment]
    for _ in range(3):
        ask(desk)
    assert desk.pending("dead") == 1
    story.approve("head_nurse")
    assert desk.seen("archivist") == ["归档"]


def test_what_was_taken_in_long_ago_is_forgotten(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    handle(desk, story, "head_nurse", "approve")
    ask(desk)
    quick.purge(desk.bpm.db)
    assert len(taken(desk)) == 1
    clock.freeze(clock.now() + quick.KEPT + timedelta(minutes=1))
    quick.purge(desk.bpm.db)
    assert taken(desk) == []


def test_our_own_notice_calls_it_as_we_do_whatever_the_list_there_says(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "template", title="【{workflow}】{title}·{node}")
    story = bpm.deploy_files(STRICT).start("p", "nurse")
    handle(desk, story, "head_nurse", "approve")
    ask(desk)
    assert desk.item(story, "head_nurse").title.endswith("·审核")
    with bpm.db.reading() as session:
        titles = session.scalars(select(Notice.title).where(Notice.kind == "oa")).all()
    assert titles == [story.instance.title]
