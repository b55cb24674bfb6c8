"""Each item open here is open there, and lost wherever it is handled (issue 5; design 05, "stays true" 1)."""

from collections.abc import Callable
from typing import Any

import pytest

from engine import clock
from engine.bpm import commands
from tests.contracts.oa.conftest import Opening
from tests.contracts.oa.office import ALL, CHIEF, HEAD, TWO_PRODUCTS, Office, task_of
from tests.dsl import Story
from tests.engine.connectors.desks import OPEN, number

pytestmark = pytest.mark.backend("postgresql")

TWO = (HEAD, CHIEF)
Way = Callable[[Office, Story], Any]


def _reassign(office: Office, story: Story) -> None:
    story.act("reassign", HEAD, story.item(HEAD).id, to=office.bpm.person("surgeon"), reason="轮休")
    story.act("reassign", CHIEF, story.item(CHIEF).id, to=office.bpm.person("archivist"), reason="轮休")


def _jump(office: Office, story: Story) -> None:
    story.act("jump", "process_admin", story.id, task_id=task_of(office.bpm, story, HEAD), to="then", reason="走错了")


WAYS: dict[str, tuple[Way, dict[str, list[str]]]] = {
    "agreed": (lambda o, s: s.approve(by=HEAD), {"doctor": ["then"]}),
    "refused": (lambda o, s: s.reject(by=HEAD), {}),
    "returned": (lambda o, s: s.send_back(by=HEAD, to="initiator"), {"nurse": ["apply"]}),
    "withdrawn": (lambda o, s: s.act("withdraw", "nurse", s.id, reason="不请了"), {}),
    "terminated": (lambda o, s: s.act("terminate", "process_admin", s.id, reason="重复"), {}),
    "moved on by an admin": (_jump, {"doctor": ["then"]}),
    "reassigned": (_reassign, {"surgeon": ["review"], "archivist": ["review"]}),
    "out of time": (lambda o, s: o.later(hours=3), {}),
}


@pytest.mark.parametrize("way", WAYS)
def test_an_item_goes_wherever_and_however_it_ends(office: Opening, way: str) -> None:
    desk = office("landray.soap")
    story = desk.begin(*TWO, timer="PT2H")
    assert [desk.seen(who) for who in TWO] == [["review"], ["review"]]
    act, then = WAYS[way]
    act(desk, story)
    assert [desk.seen(who) for who in TWO] == [[], []]
    assert {who: desk.seen(who) for who in then} == then
    desk.exact()
    assert desk.pending() == 0
    assert desk.pending("dead") == 0


@pytest.mark.parametrize("kind", ALL)
def test_every_kind_of_oa_shows_what_is_open_and_nothing_else(office: Opening, kind: str) -> None:
    desk = office(kind)
    story = desk.begin(*TWO)
    reading = desk.begin("surgeon", "archivist", kind="read", key="q")
    desk.exact()
    row = desk.row(HEAD)
    assert row.link.endswith(f"/oa/ekp/{story.item(HEAD).id.hex}"), row.link
    assert row.title
    assert row.sender
    assert desk.row("surgeon").state == ("todo" if kind == "seeyon" else "read")
    story.approve(by=HEAD)
    reading.read(by="surgeon")
    desk.exact()
    assert desk.seen("doctor") == ["then"]
    story.send_back(by="doctor", to="initiator")
    desk.exact()
    story.act("withdraw", "nurse", story.id, reason="不请了")
    desk.exact()
    assert desk.seen(HEAD, "done", "finished"), "what one has done is in one's list of that"
    assert not desk.pending("dead")


@pytest.mark.parametrize("kind", TWO_PRODUCTS)
def test_claimed_it_waits_for_one_and_given_back_for_all_again(office: Opening, kind: str) -> None:
    desk = office(kind)
    story = desk.begin(*TWO)
    story.act("claim", HEAD, story.item(HEAD).id)
    assert [desk.seen(who) for who in TWO] == [["review"], []]
    story.act("unclaim", HEAD, story.item(HEAD).id)
    assert [desk.seen(who) for who in TWO] == [["review"], ["review"]]
    story.act("claim", CHIEF, story.item(CHIEF).id)
    desk.exact()
    story.approve(by=CHIEF)
    desk.exact()


@pytest.mark.parametrize("kind", TWO_PRODUCTS)
def test_taken_back_it_comes_again(office: Opening, kind: str) -> None:
    desk = office(kind)
    story = desk.begin(HEAD)
    story.approve(by=HEAD)
    assert desk.seen(HEAD) == []
    assert desk.seen("doctor") == ["then"]
    story.act("take_back", HEAD, story.item(HEAD, None, "done").id)
    assert desk.seen(HEAD) == ["review"]
    assert desk.seen("doctor") == []
    desk.exact()


def test_what_somebody_left_behind_goes_to_the_successor(office: Opening) -> None:
    desk = office("landray.soap")
    stories = [desk.begin(HEAD), desk.start()]
    items = [story.item(HEAD).id for story in stories]
    desk.person(HEAD, disabled_at=clock.now())
    admin = desk.bpm.actor("process_admin")
    done = commands.hand_over(desk.bpm.db, admin, items, to=desk.bpm.person("surgeon"), reason="离职")
    desk.bpm.work()
    assert [each.refusal for each in done] == ["", ""]
    assert desk.seen(HEAD) == []
    assert desk.seen("surgeon") == ["review", "review"]
    desk.exact()


def test_all_must_agree_each_loses_their_own(office: Opening) -> None:
    desk = office("weaver.soap")
    story = desk.begin(HEAD, CHIEF, "surgeon", policy="all")
    story.approve(by=HEAD)
    assert [desk.seen(who) for who in (HEAD, CHIEF, "surgeon")] == [[], ["review"], ["review"]]
    story.reject(by=CHIEF)
    story.approve(by="surgeon")
    assert [desk.seen(who) for who in (HEAD, CHIEF, "surgeon")] == [[], [], []]
    desk.exact()


def test_one_after_the_other_it_waits_for_who_is_up(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD, CHIEF, policy="in_turn")
    assert [desk.seen(who) for who in TWO] == [["review"], []]
    story.approve(by=HEAD)
    assert [desk.seen(who) for who in TWO] == [[], ["review"]]
    desk.exact()


def test_what_is_passed_on_to_read_is_there_until_it_was_read(office: Opening) -> None:
    desk = office("template")
    story = desk.begin(HEAD, kind="read")
    story.act("circulate", HEAD, story.item(HEAD).id, to=[desk.bpm.person("surgeon")], reason="请阅")
    story.act("copy", "nurse", story.id, to=[desk.bpm.person("archivist")])
    assert desk.seen("surgeon", "read") == ["review"]
    desk.exact()
    story.read(by="surgeon")
    assert desk.seen("surgeon") == []
    desk.exact()


@pytest.mark.parametrize("kind", ALL)
def test_repeats_restarts_and_lost_answers_leave_no_double_and_no_ghost(office: Opening, kind: str) -> None:
    desk = office(kind, timeout=2)
    for fault in ("reset_after", "duplicate", "html502", "late"):
        late: dict[str, Any] = {"after": 0} if fault == "late" else {}
        desk.fault(fault, seconds=3.0, **late)
        story = desk.begin(HEAD)
        desk.restart() if fault == "html502" else None
        story.approve(by=HEAD)
        desk.settle()
    desk.exact()
    assert len(desk.seen("doctor")) == 4
    assert desk.seen(HEAD) == []


def test_what_the_oa_was_never_to_have_stays_out(office: Opening) -> None:
    desk = office("landray.soap", mirror=False)
    desk.begin(HEAD)
    assert desk.product.rows() == []
    assert desk.pending() == 0


def test_steps_that_nobody_waits_for_send_nothing(office: Opening) -> None:
    """Somebody else's opening, commenting and urging change nothing that an OA shows."""
    desk = office("landray.soap")
    story = desk.begin(HEAD)
    before = desk.requests()
    story.act("mark_opened", HEAD, item_id=story.item(HEAD).id)
    story.act("comment", "nurse", story.id, text="急")
    story.act("urge", "nurse", story.id)
    assert desk.requests() == before
    assert len([r for r in desk.product.rows() if r.account == number(HEAD) and r.state in OPEN]) == 1
