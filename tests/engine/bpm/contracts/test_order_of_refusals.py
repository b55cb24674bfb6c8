"""Every verb: idempotent under its key, told late with who and when, refused in the order 404, 403, 409, 422."""

import inspect
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.bpm import commands
from engine.errors import Conflict, EngineError, Forbidden, Invalid, NotFound
from tests.dsl import Bpm, Story, task
from tests.engine.bpm.contracts.kit import by_task_id, form, line

# Each verb, and the same again, runs on both database systems in tests/api/test_replays.py.
pytestmark = pytest.mark.backend("sqlite")

FILES = line(
    ("first", task("first", "head_nurse")),
    ("second", task("second", "doctor", "surgeon")),
    ("read", task("read", "archivist", "hr_clerk", kind="read")),
    ("last", task("last", "hr_head")),
)


@dataclass(frozen=True)
class Verb:
    """A verb in a situation where it is possible."""

    name: str
    by: str
    at: str  # the step that is open
    on: str  # "item" or "instance"
    options: Callable[[Story], dict[str, Any]] = field(default=lambda story: {})
    args: tuple[str, ...] = ()
    other: str = "nurse"  # who sees the instance and may not do it
    bad: dict[str, Any] | None = None  # what makes it invalid
    item_state: str = "open"


VERBS = [
    Verb("complete", "head_nurse", "first", "item", args=("approve",), bad={"args": ("shrug",)}),
    Verb(
        "send_back",
        "head_nurse",
        "first",
        "item",
        lambda s: {"to": "initiator", "opinion": "请补充"},
        bad={"opinion": " "},
    ),
    Verb(
        "reassign",
        "head_nurse",
        "first",
        "item",
        lambda s: {"to": s.bpm.person("finance_clerk"), "reason": "出差"},
        bad={"reason": " "},
    ),
    Verb("claim", "doctor", "second", "item"),
    Verb("acknowledge", "archivist", "read", "item"),
    Verb("circulate", "archivist", "read", "item", lambda s: {"to": [s.bpm.person("finance_clerk")]}, bad={"to": []}),
    Verb("take_back", "head_nurse", "second", "item", item_state="done"),
    Verb(
        "withdraw",
        "nurse",
        "first",
        "instance",
        lambda s: {"reason": "不要了"},
        other="head_nurse",
        bad={"reason": " "},
    ),
    Verb("terminate", "process_admin", "first", "instance", lambda s: {"reason": "重复"}, bad={"reason": " "}),
    Verb(
        "jump",
        "process_admin",
        "first",
        "instance",
        lambda s: {"task_id": by_task_id(s, "first"), "to": "last", "reason": "离职"},
        bad={"reason": " "},
    ),
    Verb("copy", "nurse", "first", "instance", lambda s: {"to": [s.bpm.person("finance_clerk")], "reason": "请知悉"}),
    Verb("comment", "nurse", "first", "instance", lambda s: {"text": "请快一点"}, bad={"text": " "}),
    Verb("urge", "nurse", "first", "instance"),
]
by_name = pytest.mark.parametrize("verb", VERBS, ids=lambda v: v.name)


def reached(bpm: Bpm, verb: Verb) -> Story:
    """A story in which the verb is possible."""
    story = bpm.deploy_files(FILES).start("p", by="nurse")
    ways: list[tuple[str, Callable[[], Story]]] = [
        ("first", lambda: story.approve(by="head_nurse")),
        ("second", lambda: story.approve(by="doctor")),
        ("read", lambda: story.read(by="archivist").read(by="hr_clerk")),
    ]
    for step, act in ways:
        if step == verb.at:
            break
        act()
    assert verb.at in story.open_steps
    return story


def target(story: Story, verb: Verb) -> uuid.UUID:
    if verb.on == "instance":
        return story.id
    return story.item(verb.by, None, verb.item_state).id


@by_name
def test_the_same_key_acts_once_and_answers_alike(bpm: Bpm, verb: Verb) -> None:
    story = reached(bpm, verb)
    on, options = target(story, verb), verb.options(story)
    story.act(verb.name, verb.by, on, *verb.args, **options, key="tap")
    trail, open_, version = story.trail, story.open, story.instance.version
    for _ in range(2):
        story.act(verb.name, verb.by, on, *verb.args, **options, key="tap")
    assert (story.trail, story.open, story.instance.version) == (trail, open_, version)


@pytest.mark.parametrize("verb", [v for v in VERBS if v.name != "comment"], ids=lambda v: v.name)
def test_the_same_key_for_something_else_is_refused(bpm: Bpm, verb: Verb) -> None:
    story = reached(bpm, verb)
    story.act("comment", verb.by, story.id, text="先问一下", key="tap")
    before = story.open
    with pytest.raises(Conflict) as refused:
        story.act(verb.name, verb.by, target(story, verb), *verb.args, **verb.options(story), key="tap")
    assert refused.value.code == "idempotency_key_reused"
    assert story.open == before


OTHER_WORDS: dict[str, dict[str, Any]] = {
    "complete": {"args": ("reject",), "opinion": "不行"},
    "send_back": {"opinion": "请重写"},
    "reassign": {"reason": "请假"},
    "acknowledge": {"opinion": "知悉"},
    "circulate": {"reason": "请看"},
    "withdraw": {"reason": "算了"},
    "terminate": {"reason": "作废"},
    "jump": {"reason": "出差"},
    "copy": {"reason": "供参考"},
    "comment": {"text": "不急"},
    "urge": {"text": "请今天办"},
}


@pytest.mark.parametrize("verb", [v for v in VERBS if v.name in OTHER_WORDS], ids=lambda v: v.name)
def test_the_same_key_with_other_words_is_refused_and_the_first_ones_stand(bpm: Bpm, verb: Verb) -> None:
    story = reached(bpm, verb)
    on, options, other = target(story, verb), verb.options(story), dict(OTHER_WORDS[verb.name])
    story.act(verb.name, verb.by, on, *verb.args, **options, key="tap")
    trail, open_ = story.trail, story.open
    args = other.pop("args", verb.args)
    with pytest.raises(Conflict) as refused:
        story.act(verb.name, verb.by, on, *args, **(options | other), key="tap")
    assert (refused.value.code, "第一次的已生效" in refused.value.message) == ("idempotency_key_reused", True)
    assert (story.trail, story.open) == (trail, open_)


def test_who_asks_again_after_looking_again_asks_for_the_same(bpm: Bpm) -> None:
    story = bpm.deploy_files(FILES).start("p", by="nurse")
    item, seen = story.item("head_nurse").id, story.instance.version
    story.act("complete", "head_nurse", item, "approve", version=seen, key="tap")
    trail = story.trail
    story.act("complete", "head_nurse", item, "approve", version=story.instance.version, key="tap")
    assert story.trail == trail


def test_every_command_that_takes_a_key_compares_what_it_is_asked() -> None:
    """`send_message` and `acknowledge` compare by themselves: the one leaves its row in the outbox, not on a trail, the
    other needs no digest; `sent_before` only asks, and `save_draft` whether the form under its key was sent; what
    `hand_over` does is compared item by item, by `reassign`.
    """
    taking = {name for name in commands.__all__ if "key" in inspect.signature(getattr(commands, name)).parameters}
    assert {name for name in taking if not hasattr(getattr(commands, name), "__wrapped__")} == {
        "acknowledge",
        "hand_over",
        "save_draft",
        "send_message",
        "sent_before",
    }


def test_the_same_key_with_other_data_is_refused(bpm: Bpm) -> None:
    files = line(("first", task("first", "head_nurse")))
    files = files | form("apply", "subject")
    files["process.bpmn"] = files["process.bpmn"].replace('start="true"', 'start="true" form="apply"')
    bpm.deploy_files(files)
    nurse = bpm.actor("nurse")
    for _ in range(2):
        with bpm.db.unit_of_work() as session:
            commands.start(session, nurse, "p", data={"subject": "一"}, key="tap")
    with bpm.db.unit_of_work() as session, pytest.raises(Conflict) as refused:
        commands.start(session, nurse, "p", data={"subject": "二"}, key="tap")
    assert refused.value.code == "idempotency_key_reused"


def test_the_key_of_another_person_is_another_key(bpm: Bpm) -> None:
    story = bpm.deploy_files(FILES).start("p", by="nurse")
    story.act("comment", "nurse", story.id, text="一", key="tap").act(
        "comment", "head_nurse", story.id, text="二", key="tap"
    )
    assert len([verb for verb, _, _ in story.trail if verb == "comment"]) == 2


def test_a_start_under_the_same_key_gives_the_same_instance(bpm: Bpm) -> None:
    bpm.deploy_files(FILES)
    found = set()
    for _ in range(3):
        with bpm.db.unit_of_work() as session:
            found.add(commands.start(session, bpm.actor("nurse"), "p", data={}, key="again").instance_id)
    assert len(found) == 1
    with bpm.db.unit_of_work() as session:
        found.add(commands.start(session, bpm.actor("doctor"), "p", data={}, key="again").instance_id)
    assert len(found) == 2


def test_an_acknowledgement_under_the_same_key_is_the_same(bpm: Bpm) -> None:
    verb = next(v for v in VERBS if v.name == "acknowledge")
    story = reached(bpm, verb)
    item = target(story, verb)
    for _ in range(3):
        story.act("acknowledge", "archivist", item, key="tap")
    assert len([t for t in story.trail if t[:2] == ("read", "read") or t[:2] == ("acknowledge", "read")]) == 1


def refusal(
    story: Story, verb: Verb, by: str, on: uuid.UUID, args: tuple[str, ...], options: dict[str, Any]
) -> EngineError:
    with pytest.raises(EngineError) as refused:
        story.act(verb.name, by, on, *args, **options)
    return refused.value


@by_name
def test_refusals_come_in_their_order(bpm: Bpm, verb: Verb) -> None:
    """What is wrong in several ways is refused for the first of them."""
    story = reached(bpm, verb)
    on, options = target(story, verb), verb.options(story)
    bad = options | {k: v for k, v in (verb.bad or {}).items() if k != "args"}
    args = (verb.bad or {}).get("args", verb.args)
    for stranger, where in [("finance_head", on), (verb.by, uuid.uuid4())]:
        assert isinstance(refusal(story, verb, stranger, where, args, bad), NotFound)
    if verb.name not in ("copy", "comment", "urge"):
        assert isinstance(refusal(story, verb, verb.other, on, args, bad), Forbidden)
    if verb.bad is not None:
        assert isinstance(refusal(story, verb, verb.by, on, args, bad), Invalid)
    story.act("terminate", "process_admin", story.id, reason="重复")
    for stranger in ("finance_head",):
        assert isinstance(refusal(story, verb, stranger, on, args, bad), NotFound)
    if verb.name in ("copy", "comment"):
        return
    if verb.name != "urge":
        assert isinstance(refusal(story, verb, verb.other, on, args, bad), Forbidden)
    if verb.name != "jump":
        assert isinstance(refusal(story, verb, verb.by, on, args, bad), Conflict)


ON_OPEN = [v for v in VERBS if v.on == "item" and v.item_state == "open" and v.name not in ("acknowledge", "circulate")]


def _by_another(story: Story) -> str:
    story.approve(by="surgeon")
    return "冼国栋"


def _by_oneself(story: Story) -> str:
    story.approve(by="doctor")
    return "您已于"


def _by_return(story: Story) -> str:
    story.send_back(by="surgeon", to="initiator")
    return "冼国栋"


def _by_withdrawal(story: Story) -> str:
    story.act("withdraw", "nurse", story.id, reason="不要了")
    return "单晓燕"


def _by_termination(story: Story) -> str:
    story.act("terminate", "process_admin", story.id, reason="重复")
    return "燕子青"


def _by_passing_on(story: Story) -> str:
    story.act("reassign", "doctor", story.item("doctor").id, to=story.bpm.person("finance_clerk"), reason="出差")
    return "仇晓峰"


def _by_claiming(story: Story) -> str:
    story.act("claim", "surgeon", story.item("surgeon").id)
    return "冼国栋"


def _by_jump(story: Story) -> str:
    task_id = by_task_id(story, "second")
    story.act("jump", "process_admin", story.id, task_id=task_id, to="last", reason="离职")
    return "燕子青"


@pytest.mark.parametrize("name", ["complete", "send_back", "reassign", "claim"])
@pytest.mark.parametrize(
    "ending",
    [_by_another, _by_oneself, _by_return, _by_withdrawal, _by_termination, _by_passing_on, _by_claiming, _by_jump],
)
def test_who_comes_late_is_told_who_did_what(bpm: Bpm, name: str, ending: Callable[[Story], str]) -> None:
    story = bpm.deploy_files(FILES).start("p", by="nurse").approve(by="head_nurse")
    item = story.item("doctor").id
    who = ending(story)
    verb = next(v for v in VERBS if v.name == name)
    before = story.open
    error = refusal(story, verb, "doctor", item, verb.args, verb.options(story))
    assert isinstance(error, Conflict)
    assert who in error.message
    assert story.open == before


def test_the_version_that_somebody_saw_must_still_hold(bpm: Bpm) -> None:
    story = bpm.deploy_files(FILES).start("p", by="nurse")
    seen = story.instance.version
    story.act("complete", "head_nurse", story.item("head_nurse").id, "approve", version=seen)
    with pytest.raises(Conflict):
        story.act("complete", "doctor", story.item("doctor").id, "approve", version=seen)
    story.act("complete", "doctor", story.item("doctor").id, "approve", version=story.instance.version)


def test_a_refused_act_may_be_sent_again_under_its_key(bpm: Bpm) -> None:
    story = bpm.deploy_files(FILES).start("p", by="nurse")
    item = story.item("head_nurse").id
    with pytest.raises(Invalid):
        story.act("complete", "head_nurse", item, "reject", opinion="", key="tap")
    story.act("complete", "head_nurse", item, "reject", opinion="不行", key="tap")
    assert story.trail[-1] == ("complete", "first", "reject")


def test_an_acknowledgement_under_the_same_key_with_another_opinion_is_refused(bpm: Bpm) -> None:
    bpm.deploy_files(line(("first", task("first", "head_nurse", "surgeon", kind="read"))))
    story = bpm.start("p", by="nurse")
    item, reader = story.item("head_nurse").id, bpm.actor("head_nurse")
    for _ in range(2):
        with bpm.db.unit_of_work() as session:
            assert commands.acknowledge(session, reader, item, opinion="已组织学习", key="tap") is True
    with bpm.db.unit_of_work() as session, pytest.raises(Conflict) as refused:
        commands.acknowledge(session, reader, item, opinion="另一个意见", key="tap")
    assert refused.value.code == "idempotency_key_reused"
