"""Who handles a step: nobody found, the initiator themselves, the same person again, candidates, readers."""

import pytest

from engine import clock
from engine.bpm.models import ItemState
from engine.errors import Conflict, EngineError, Forbidden, Invalid
from engine.org.demo import CAST
from engine.org.models import Person
from tests.dsl import Bpm, Story, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import boundary, diagram, incidents, line, timer

# Python decides on what tests/engine/bpm/test_assignment.py reads on both database systems.
pytestmark = pytest.mark.backend("sqlite")


def lost(inner: str, kind: str = "decide") -> str:
    """A step for which nobody is found."""
    return (
        f'<userTask id="lost" name="lost"><extensionElements><piyue:task kind="{kind}"/>'
        f'<piyue:assign rule="field" field="nobody_here"/>{inner}</extensionElements></userTask>'
    )


LAST = ("last", task("last", "hr_head"))


@pytest.mark.parametrize("kind", ["decide", "fill", "read"])
def test_nobody_found_and_the_step_is_passed(bpm: Bpm, kind: str) -> None:
    story = bpm.deploy_files(line(("lost", lost('<piyue:nobody do="pass"/>', kind)), LAST)).start("p", by="nurse")
    story.expect_open(("last", "hr_head"))
    assert incidents(story) == []


def test_nobody_found_and_the_start_is_refused(bpm: Bpm) -> None:
    bpm.deploy_files(line(("lost", lost('<piyue:nobody do="refuse"/>')), LAST))
    with pytest.raises(EngineError) as refused:
        bpm.start("p", by="nurse")
    assert isinstance(refused.value, Conflict | Invalid)
    assert "lost" in refused.value.message


def test_nobody_found_later_refuses_the_act_and_leaves_the_step_open(bpm: Bpm) -> None:
    files = line(("first", task("first", "head_nurse")), ("lost", lost('<piyue:nobody do="refuse"/>')), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    with pytest.raises(EngineError):
        story.approve(by="head_nurse")
    story.expect_open(("first", "head_nurse"))


def test_nobody_found_and_named_people_take_over(bpm: Bpm) -> None:
    number = CAST["archivist"].staff_number
    files = line(("lost", lost(f'<piyue:nobody do="persons" persons="{number}"/>')), LAST)
    bpm.deploy_files(files).start("p", by="nurse").expect_open(("lost", "archivist"))


@pytest.mark.parametrize("kind", ["decide", "fill", "read"])
def test_nobody_found_and_the_admins_take_over_with_an_incident(bpm: Bpm, kind: str) -> None:
    story = bpm.deploy_files(line(("lost", lost("", kind)), LAST)).start("p", by="nurse")
    story.expect_open(("lost", "process_admin"))
    assert incidents(story) == ["nobody"]
    assert story.item("process_admin").why


def self_step(name: str, *inner: str) -> tuple[str, str]:
    return name, task(name, "nurse", inner="".join(inner))


@pytest.mark.parametrize(
    ("handler", "opened"),
    [
        ("handle", ("mine", "nurse")),
        ("skip", ("last", "hr_head")),
        ("head", ("mine", "pediatrics_head")),
    ],
)
def test_the_handler_is_the_initiator(bpm: Bpm, handler: str, opened: tuple[str, str]) -> None:
    files = line(self_step("mine", f'<piyue:same handler="{handler}"/>'), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    if handler == "head":  # the superior of a nurse is the head nurse, the head of her department the director
        assert story.open in ({opened}, {("mine", "head_nurse")})
    else:
        story.expect_open(opened)


def test_the_initiator_among_others_is_left_out_and_the_others_decide(bpm: Bpm) -> None:
    sign = task("sign", "nurse", "doctor", inner='<piyue:round policy="all"/><piyue:same handler="skip"/>')
    bpm.deploy_files(line(("sign", sign), LAST)).start("p", by="nurse").expect_open(("sign", "doctor"))


def merged(when: str) -> dict[str, str]:
    merge = f'<piyue:merge when="{when}"/>'
    return line(
        ("one", task("one", "doctor")),
        ("two", task("two", "surgeon")),
        ("three", task("three", "doctor", inner=merge)),
        LAST,
    )


@pytest.mark.parametrize(("when", "opened"), [("never", "three"), ("previous", "three"), ("anywhere", "last")])
def test_the_same_person_again(bpm: Bpm, when: str, opened: str) -> None:
    story = bpm.deploy_files(merged(when)).start("p", by="nurse").approve(by="doctor").approve(by="surgeon")
    story.expect_open(opened)


@pytest.mark.parametrize(("when", "opened"), [("never", "two"), ("previous", "last"), ("anywhere", "last")])
def test_the_same_person_in_the_step_just_before(bpm: Bpm, when: str, opened: str) -> None:
    files = line(
        ("one", task("one", "doctor")), ("two", task("two", "doctor", inner=f'<piyue:merge when="{when}"/>')), LAST
    )
    bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open(opened)


def test_only_an_approval_merges(bpm: Bpm) -> None:
    story = bpm.deploy_files(merged("anywhere")).start("p", by="nurse").reject(by="doctor").approve(by="surgeon")
    story.expect_open(("three", "doctor"))


@pytest.mark.parametrize("when", ["previous", "anywhere"])
def test_merging_is_off_after_a_return(bpm: Bpm, when: str) -> None:
    files = line(
        ("one", task("one", "doctor")),
        ("two", task("two", "doctor", inner=f'<piyue:merge when="{when}"/>')),
        LAST,
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open("last")
    story.send_back(by="hr_head", to="initiator").submit(by="nurse").expect_open("one").approve(by="doctor")
    story.expect_open(("two", "doctor")).approve(by="doctor").expect_open("last")


def test_an_approval_from_before_the_return_does_not_merge(bpm: Bpm) -> None:
    story = bpm.deploy_files(merged("anywhere")).start("p", by="nurse").approve(by="doctor").approve(by="surgeon")
    story.expect_open("last").send_back(by="hr_head", to="two").approve(by="surgeon")
    story.expect_open(("three", "doctor")).approve(by="doctor").expect_open("last")


def test_an_automatic_approval_is_on_the_trail(bpm: Bpm) -> None:
    story = bpm.deploy_files(merged("anywhere")).start("p", by="nurse").approve(by="doctor").approve(by="surgeon")
    assert any(step == "three" for _, step, _ in story.trail)


def test_in_a_countersign_merging_spares_one_and_asks_the_others(bpm: Bpm) -> None:
    inner = '<piyue:round policy="all"/><piyue:merge when="anywhere"/>'
    files = line(("one", task("one", "doctor")), ("sign", task("sign", "doctor", "surgeon", inner=inner)), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open(("sign", "surgeon"))
    story.approve(by="surgeon").expect_open("last")


def test_a_step_that_is_not_the_initiators_is_not_passed_on_to_them(bpm: Bpm) -> None:
    files = line(("mine", task("mine", "doctor", inner='<piyue:same handler="head"/>')), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    with pytest.raises(Invalid) as refused:
        story.act("reassign", "doctor", story.item("doctor").id, to=bpm.person("nurse"), reason="请自己看")
    assert refused.value.code == "initiator_own"
    story.expect_open(("mine", "doctor"))


ANY = line(("any", task("any", "doctor", "surgeon", "hr_clerk")), LAST)


def test_candidates_claim_and_unclaim(bpm: Bpm) -> None:
    story = bpm.deploy_files(ANY).start("p", by="nurse")
    mine, other = story.item("doctor"), story.item("surgeon")
    with pytest.raises(Conflict):
        story.act("unclaim", "doctor", mine.id)
    story.act("claim", "doctor", mine.id).expect_open(("any", "doctor"))
    for verb in ("claim", "unclaim"):
        with pytest.raises(EngineError) as late:
            story.act(verb, "surgeon", other.id)
        assert isinstance(late.value, Conflict)
        assert "诸葛子轩" in late.value.message
    with pytest.raises(Forbidden):
        story.act("unclaim", "surgeon", mine.id)
    story.act("unclaim", "doctor", mine.id).act("claim", "surgeon", other.id).approve(by="surgeon").expect_open("last")


def test_a_claimed_step_returns_and_opens_for_all_again(bpm: Bpm) -> None:
    story = bpm.deploy_files(ANY).start("p", by="nurse")
    story.act("claim", "doctor", story.item("doctor").id).send_back(by="doctor", to="initiator")
    assert story.items("standby") == []
    story.submit(by="nurse").expect_open(("any", "doctor"), ("any", "surgeon"), ("any", "hr_clerk"))


def test_a_claimed_item_is_passed_on_and_the_others_still_stand_by(bpm: Bpm) -> None:
    story = bpm.deploy_files(ANY).start("p", by="nurse")
    story.act("claim", "doctor", story.item("doctor").id)
    story.act("reassign", "doctor", story.item("doctor").id, to=bpm.person("archivist"), reason="出差")
    story.expect_open(("any", "archivist")).approve(by="archivist").expect_open("last")
    assert story.items("standby") == []


def test_a_countersign_can_not_be_claimed(bpm: Bpm) -> None:
    files = line(("sign", task("sign", "doctor", "surgeon", inner='<piyue:round policy="all"/>')), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    with pytest.raises(EngineError):
        story.act("claim", "doctor", story.item("doctor").id)
    story.expect_open(("sign", "doctor"), ("sign", "surgeon"))


@pytest.mark.parametrize("policy", ["all", "in_turn"])
def test_who_got_it_from_another_decides_in_their_place(bpm: Bpm, policy: str) -> None:
    files = line(("sign", task("sign", "doctor", "surgeon", inner=f'<piyue:round policy="{policy}"/>')), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    story.act("reassign", "doctor", story.item("doctor").id, to=bpm.person("hr_clerk"), reason="出差")
    with pytest.raises(Conflict):
        story.act("reassign", "hr_clerk", story.item("hr_clerk").id, to=bpm.person("surgeon"), reason="他也在")
    story.approve(by="hr_clerk").expect_open(("sign", "surgeon")).approve(by="surgeon").expect_open("last")


def test_it_comes_back_to_who_passed_it_on(bpm: Bpm) -> None:
    story = bpm.deploy_files(line(("one", task("one", "doctor")), LAST)).start("p", by="nurse")
    story.act("reassign", "doctor", story.item("doctor").id, to=bpm.person("surgeon"), reason="出差")
    story.act("reassign", "surgeon", story.item("surgeon").id, to=bpm.person("doctor"), reason="不是我的")
    story.expect_open(("one", "doctor")).approve(by="doctor").expect_open("last")


def reading(policy: str) -> dict[str, str]:
    return line(("read", task("read", "doctor", "surgeon", "hr_clerk", "archivist", kind="read", inner=policy)), LAST)


@pytest.mark.parametrize(
    ("policy", "needed"),
    [
        ("", 4),
        ('<piyue:round policy="all"/>', 4),
        ('<piyue:round policy="share" value="50"/>', 2),
        ('<piyue:round policy="share" value="51"/>', 3),
        ('<piyue:round policy="at_least" value="3"/>', 3),
    ],
)
def test_readers_let_it_go_on_when_enough_have_read(bpm: Bpm, policy: str, needed: int) -> None:
    story = bpm.deploy_files(reading(policy)).start("p", by="nurse")
    for number, reader in enumerate(["doctor", "surgeon", "hr_clerk", "archivist"], 1):
        story.read(by=reader)
        if number == needed:
            break
        assert "last" not in story.open_steps
    assert ("last", "hr_head") in story.open


def test_nobody_waits_for_who_is_only_informed(bpm: Bpm) -> None:
    story = bpm.deploy_files(reading('<piyue:round policy="none"/>')).start("p", by="nurse")
    assert ("last", "hr_head") in story.open
    story.approve(by="hr_head").expect_state("completed")
    assert {i.person for i in story.items(ItemState.OPEN)} == {"doctor", "surgeon", "hr_clerk", "archivist"}
    story.read(by="doctor")
    assert len(story.items(ItemState.OPEN)) == 3


def test_what_one_passes_on_is_needed_too_and_nobody_reads_twice(bpm: Bpm) -> None:
    files = line(("read", task("read", "doctor", "surgeon", kind="read")), LAST)
    story = bpm.deploy_files(files).start("p", by="nurse")
    story.act(
        "circulate", "doctor", story.item("doctor").id, to=[bpm.person("surgeon"), bpm.person("archivist")]
    ).expect_open(("read", "doctor"), ("read", "surgeon"), ("read", "archivist"))
    story.act("circulate", "archivist", story.item("archivist").id, to=[bpm.person("hr_clerk")])
    for reader in ("doctor", "surgeon", "archivist"):
        story.read(by=reader)
    story.expect_open(("read", "hr_clerk")).read(by="hr_clerk").expect_open("last")
    assert len([i for i in story.items("done") if i.step == "read"]) == 4


def test_what_was_withdrawn_is_not_passed_on_to_further_readers(bpm: Bpm) -> None:
    files = line(
        ("read", task("read", "doctor", kind="read", inner='<piyue:round policy="none"/>')),
        LAST,
    )
    story = bpm.deploy_files(files).start("p", by="nurse").read(by="doctor")
    read = story.item("doctor", "read", "done").id
    story.act("circulate", "doctor", read, to=[bpm.person("surgeon")])
    story.act("withdraw", "nurse", story.id, reason="填错了")
    with pytest.raises(Conflict):
        story.act("circulate", "doctor", read, to=[bpm.person("hr_clerk")])
    assert story.items() == []


def test_reading_once_more_changes_nothing_and_late_reading_is_told(bpm: Bpm) -> None:
    files = line(
        ("read", task("read", "doctor", "surgeon", kind="read", inner='<piyue:round policy="share" value="50"/>')), LAST
    )
    story = bpm.deploy_files(files).start("p", by="nurse").read(by="doctor").expect_open("last")
    story.act("acknowledge", "doctor", story.item("doctor", "read", "done").id)
    left = [i for i in story.items(ItemState.CLOSED, ItemState.CANCELLED) if i.person == "surgeon"]
    assert left, "who wasn't needed any more has no open item"
    with pytest.raises(Conflict):
        story.act("acknowledge", "surgeon", left[0].id)


def test_readers_have_a_deadline(bpm: Bpm) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/><exclusiveGateway id="m"/>'
        + start_task()
        + task("read", "doctor", "surgeon", kind="read")
        + boundary("late", "read", timer("P3D"))
        + task("last", "hr_head")
        + chain("s", "apply", "read", "m", "last", "e")
        + flow("late", "m")
    )
    story = bpm.deploy_files(diagram(body)).start("p", by="nurse").read(by="doctor")
    item = story.item("surgeon")
    clock.freeze(clock.now().replace(year=2099))
    bpm.work()
    story.expect_open(("last", "hr_head"))
    with pytest.raises(Conflict):
        story.act("acknowledge", "surgeon", item.id)


def story_of(bpm: Bpm, policy: str, *, outcomes: str = "") -> Story:
    sign = task("sign", "doctor", "surgeon", "hr_clerk", inner=f"{policy}{outcomes}")
    return bpm.deploy_files(line(("sign", sign), LAST)).start("p", by="nurse")


def test_a_share_that_can_not_be_reached_ends_at_once(bpm: Bpm) -> None:
    story = story_of(bpm, '<piyue:round policy="share" value="60"/>').reject(by="doctor").reject(by="surgeon")
    story.expect_open("last")
    assert [i.person for i in story.items(ItemState.CLOSED)] == ["hr_clerk"]
    assert story.trail[-1][1:] == ("sign", "reject")
    with pytest.raises(Conflict) as late:
        story.act("complete", "hr_clerk", story.item("hr_clerk", "sign", "closed").id, "approve")
    assert "冼国栋" in late.value.message


def test_the_number_that_is_needed_ends_it(bpm: Bpm) -> None:
    story = story_of(bpm, '<piyue:round policy="at_least" value="2"/>').reject(by="doctor").approve(by="surgeon")
    story.expect_open(("sign", "hr_clerk")).approve(by="hr_clerk").expect_open("last")


def test_who_left_meanwhile_is_left_out(bpm: Bpm) -> None:
    sign = task("sign", "doctor", "surgeon", "hr_clerk", inner='<piyue:round policy="all"/>')
    bpm.deploy_files(line(("sign", sign), LAST))
    with bpm.db.unit_of_work() as session:
        person = session.get(Person, bpm.person("doctor"))
        assert person is not None
        person.disabled_at = clock.now()
    bpm.start("p", by="nurse").expect_open(("sign", "surgeon"), ("sign", "hr_clerk"))
