"""What an OA shows of our items, whoever acts and however: the list there is the list here."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from engine import clock
from engine.batch import Statement
from engine.bpm import commands
from engine.bpm.models import Instance, Process
from engine.connectors.oa import mirroring
from engine.connectors.oa.models import OACheck
from sandbox.oa.server import Running
from tests.dsl import Bpm, bpmn, chain, flow, start_task, task
from tests.engine.connectors.desks import Desk, number
from tests.factories import plans
from tests.factories.outbox import NOON

ANY = bpmn(
    "<startEvent id='s'/>" + start_task() + task("审核", "head_nurse", "pediatrics_head") + task("归档", "archivist")
    + "<endEvent id='e'/>" + chain("s", "apply", "审核", "归档", "e")
)  # fmt: skip
ALL = bpmn(
    "<startEvent id='s'/>" + start_task()
    + task("会签", "head_nurse", "pediatrics_head", inner='<piyue:round policy="all"/>')
    + task("传阅", "archivist", "office_clerk", kind="read") + "<endEvent id='e'/>"
    + chain("s", "apply", "会签", "传阅", "e")
)  # fmt: skip
TIMED = bpmn(
    "<startEvent id='s'/>" + start_task() + task("审核", "head_nurse")
    + '<boundaryEvent id="late" attachedToRef="审核"><timerEventDefinition><timeDuration>P1D</timeDuration>'
    "</timerEventDefinition></boundaryEvent>" + task("督办", "office_director") + "<endEvent id='e'/>"
    + chain("s", "apply", "审核", "e") + flow("late", "督办") + flow("督办", "e")
)  # fmt: skip
TURN = bpmn(
    "<startEvent id='s'/>" + start_task()
    + task("依次", "head_nurse", "pediatrics_head", inner='<piyue:round policy="in_turn"/>')
    + "<endEvent id='e'/>" + chain("s", "apply", "依次", "e")
)  # fmt: skip

ITEMS = (
    "INSERT INTO oa_item (site, item_id, instance_id, person_id, sender_id, title, workflow, node, kind, urgency, "
    "started_at, opened_at, wanted, changed_at) SELECT 'ekp', gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), "
    "gen_random_uuid(), '', '', '', 'decide', 0, %(at)s, %(at)s, 'todo', %(at)s FROM generate_series(1, %(last)s)"
)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


EACH = pytest.mark.backend("postgresql")


@pytest.fixture(params=["landray.soap", "weaver.rest", "seeyon", "template"])
def desk(request: pytest.FixtureRequest, bpm: Bpm, oa_sandbox: Running) -> Desk:
    """The hospital beside an OA of each product."""
    return Desk(bpm, oa_sandbox, request.param)


@EACH
def test_what_waits_here_waits_there_and_goes_when_it_is_handled(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    assert desk.seen("head_nurse") == desk.seen("pediatrics_head") == ["审核"]
    story.approve("head_nurse")
    assert desk.seen("head_nurse") == desk.seen("pediatrics_head") == []
    assert desk.seen("archivist") == ["归档"]
    story.approve("archivist")
    assert desk.seen("archivist") == []
    assert desk.differences() == ([], [])


@EACH
def test_who_has_handled_it_finds_it_among_what_is_done_and_who_has_not_does_not(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse").approve("head_nurse")
    assert [i.shown for i in desk.items()].count("deleted") == 1
    assert desk.item(story, "head_nurse").shown == "done"
    if desk.kind != "seeyon":  # which keeps one mark for all that is over
        assert desk.seen("head_nurse", "done") == ["审核"]
        assert desk.seen("pediatrics_head", "done") == []


def test_where_an_oa_tells_finished_from_done_the_end_of_the_instance_is_shown(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "weaver.soap")
    story = bpm.deploy_files(ANY).start("p", "nurse").approve("head_nurse")
    assert desk.seen("head_nurse", "done") == ["审核"]
    story.approve("archivist")
    assert desk.seen("head_nurse", "finished") == ["审核"]
    assert desk.seen("archivist", "finished") == ["归档"]
    assert desk.seen("pediatrics_head", "todo", "done", "finished") == []


@EACH
def test_a_countersign_leaves_each_list_when_its_own_person_has_decided(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ALL).start("p", "nurse").approve("head_nurse")
    assert desk.seen("head_nurse") == []
    assert desk.seen("pediatrics_head") == ["会签"]
    story.approve("pediatrics_head")
    assert desk.seen("archivist") == desk.seen("office_clerk") == ["传阅"]
    story.read("archivist")
    assert desk.seen("archivist") == []
    assert desk.seen("office_clerk") == ["传阅"]


@EACH
def test_claiming_hides_it_from_the_others_and_giving_it_back_shows_it_again(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    mine = story.item("head_nurse").id
    story.act("claim", "head_nurse", mine)
    assert desk.seen("pediatrics_head") == []
    story.act("unclaim", "head_nurse", mine)
    assert desk.seen("pediatrics_head") == desk.seen("head_nurse") == ["审核"]


@EACH
def test_taking_back_opens_it_again_there(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse").approve("head_nurse")
    story.act("take_back", "head_nurse", story.item("head_nurse", "审核", "done").id)
    assert desk.seen("head_nurse") == ["审核"]
    assert desk.seen("archivist") == []
    assert desk.differences() == ([], [])


@EACH
def test_returns_passings_on_jumps_and_withdrawals_are_covered(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    story.act(
        "reassign", "head_nurse", story.item("head_nurse").id, to=desk.bpm.person("office_clerk"), reason="请代办"
    )
    assert desk.seen("head_nurse") == []
    assert desk.seen("office_clerk") == ["审核"]
    story.send_back("office_clerk", to="initiator")
    assert desk.seen("office_clerk") == []
    assert desk.seen("nurse") == ["apply"]
    story.act("withdraw", "nurse", story.id, reason="不办了")
    assert desk.seen("nurse") == []
    assert desk.differences() == ([], [])


@EACH
def test_a_timer_takes_it_away_with_nobody_acting(desk: Desk) -> None:
    desk.bpm.deploy_files(TIMED).start("p", "nurse")
    clock.freeze(NOON + timedelta(days=1, minutes=1))
    desk.bpm.work()
    assert desk.seen("head_nurse") == []
    assert desk.seen("office_director") == ["督办"]


@EACH
def test_in_turn_only_whose_turn_it_is_sees_it(desk: Desk) -> None:
    story = desk.bpm.deploy_files(TURN).start("p", "nurse")
    assert desk.seen("head_nurse") == ["依次"]
    assert desk.seen("pediatrics_head") == []
    story.approve("head_nurse")
    assert desk.seen("head_nurse") == []
    assert desk.seen("pediatrics_head") == ["依次"]


@EACH
def test_what_opens_and_closes_unsent_sends_nothing(desk: Desk) -> None:
    bpm = desk.bpm.deploy_files(ANY)
    with bpm.db.unit_of_work() as session:
        started = commands.start(session, bpm.actor("nurse"), "p", data={})
    with bpm.db.unit_of_work() as session:
        commands.withdraw(session, bpm.actor("nurse"), started.instance_id, reason="填错了")
    bpm.work()
    assert desk.requests() == 0
    assert desk.pending() == 0


@EACH
def test_only_the_newest_state_is_sent(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    before = desk.requests()
    mine = story.item("head_nurse").id
    with desk.bpm.db.unit_of_work() as session:
        commands.claim(session, desk.bpm.actor("head_nurse"), mine)
    with desk.bpm.db.unit_of_work() as session:
        commands.unclaim(session, desk.bpm.actor("head_nurse"), mine)
    desk.bpm.work()
    assert desk.requests() == before


@EACH
def test_names_stay_as_they_were_at_first(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    first = [(r.title, r.workflow, r.node) for r in desk.product.rows()]
    with desk.bpm.db.unit_of_work() as session:
        story.instance.title = "改过的标题"
        session.merge(story.instance).title = "改过的标题"
    story.act("claim", "head_nurse", story.item("head_nurse").id)
    story.act("unclaim", "head_nurse", story.item("head_nurse").id)
    assert [
        (r.title, r.workflow, r.node) for r in desk.product.rows() if r.account == number("pediatrics_head")
    ] == first[:1]


@pytest.mark.parametrize("kind", ["landray.soap", "weaver.rest"])
def test_a_site_says_what_its_list_says_of_an_item(bpm: Bpm, oa_sandbox: Running, kind: str) -> None:
    """Where a list has one line for all, the step may stand in it; the night's comparison finds nothing amiss."""
    desk = Desk(bpm, oa_sandbox, kind, title="【{workflow}】{title}·{node}")
    story = bpm.deploy_files(ANY).start("p", "nurse")
    with bpm.db.unit_of_work() as session:
        name = session.get_one(Process, "p").name
    assert {row.title for row in desk.product.rows()} == {f"【{name}】{story.instance.title}·审核"}
    desk.reconcile()
    with bpm.db.reading() as session:
        [check] = session.scalars(select(OACheck)).all()
    assert (check.state, check.missing, check.ghost, check.stale) == ("done", 0, 0, 0)
    story.approve("head_nurse")
    assert desk.differences() == ([], [])


@pytest.mark.parametrize("template", ["【{workflow}】{title}·{node}", "{title}{title}", "{title}"])
def test_what_is_too_long_is_cut_in_the_title_and_the_step_stays(bpm: Bpm, oa_sandbox: Running, template: str) -> None:
    desk = Desk(bpm, oa_sandbox, "template", title=template)
    story = bpm.deploy_files(ANY).start("p", "nurse")
    long = "长" * 199 + "末"
    with bpm.db.unit_of_work() as session:
        session.execute(update(Instance).where(Instance.id == story.id).values(title=long))
        name = session.get_one(Process, "p").name
    story.approve("head_nurse")
    told = {row.title for row in desk.product.rows() if row.account == number("archivist")}
    assert (
        told
        == {
            "【{workflow}】{title}·{node}": {f"【{name}】{'长' * (200 - len(name) - 5)}·归档"},
            "{title}{title}": {long},
            "{title}": {long},
        }[template]
    )
    assert all(len(title) == 200 for title in told)


@pytest.mark.backend("postgresql")
@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("statement", [mirroring._PUSH_CHANGED, mirroring._INSERT_NEW, mirroring._UPDATE_WANTED])
def test_what_an_oa_has_of_an_item_is_found_by_the_item_however_many_there_are(
    bpm: Bpm, statement: Statement, analysed: bool
) -> None:
    """PostgreSQL has planned it for empty tables, and the hospital has worked since."""
    early = plans.Early(bpm.db, statement, "oa_item", "work_item", "work_round", "instance", analysed=analysed)
    early.raw.execute("SET session_replication_role = replica")  # items of instances that need not be there
    early.raw.execute(ITEMS, {"at": NOON, "last": 5000})
    seen = [node for node in early.plan() if node.get("Relation Name") == "oa_item" and node.get("Alias") == "m"]
    early.close()
    assert seen
    told = json.dumps(seen, indent=1)
    assert all("(item_id = " in node.get("Index Cond", "") for node in seen), told
    assert all(node["Parent Relationship"] == "SubPlan" for node in seen), told  # a join is free to read all for each


def test_the_statements_hold_on_both_databases(bpm: Bpm, oa_sandbox: Running) -> None:
    desk = Desk(bpm, oa_sandbox, "landray.rest")
    story = bpm.deploy_files(ANY).start("p", "nurse")
    mine = story.item("head_nurse").id
    for verb in ("claim", "unclaim", "claim"):
        story.act(verb, "head_nurse", mine)
        assert desk.differences() == ([], [])
    story.approve("head_nurse").send_back("archivist").approve("head_nurse").approve("archivist")
    assert desk.differences() == ([], [])
    reading = bpm.deploy_files(ALL).start("p", "nurse").approve("head_nurse").approve("pediatrics_head")
    reading.read("archivist")
    assert desk.seen("archivist") == []
    assert desk.seen("office_clerk") == ["传阅"]


def test_several_oas_at_once_show_the_same(bpm: Bpm, oa_sandbox: Running) -> None:
    ekp, e9 = Desk(bpm, oa_sandbox, "landray.rest", "ekp"), Desk(bpm, oa_sandbox, "weaver.soap", "e9")
    from tests.engine.connectors.desks import connect

    connect(bpm, ekp.site, e9.site)
    story = bpm.deploy_files(ANY).start("p", "nurse")
    assert ekp.seen("head_nurse") == e9.seen("head_nurse") == ["审核"]
    story.approve("head_nurse")
    assert ekp.differences() == e9.differences() == ([], [])


@EACH
def test_the_link_leads_to_the_item(desk: Desk) -> None:
    story = desk.bpm.deploy_files(ANY).start("p", "nurse")
    item = story.item("head_nurse").id
    [row] = [r for r in desk.product.rows() if r.account == number("head_nurse")]
    assert row.link == f"https://oa.hospital.example/oa/ekp/{item.hex}"
