"""Every place of a process where something is computed speaks FEEL, and nothing else: one story for each."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from SpiffWorkflow.bpmn.specs.mixins.script_task import ScriptTask

from engine import clock
from engine.bpm import queries, runtime
from engine.bpm.runtime.flow import Flow
from engine.errors import Conflict
from engine.feel import FeelError
from tests.dsl import Bpm, chain, flow, task
from tests.engine.bpm.contracts.kit import MONDAY, data, diagram, form, incidents, line, starting, sub, timer, timers

# FEEL knows no database.
pytestmark = pytest.mark.backend("sqlite")

ESCAPE = "().__class__.__base__.__subclasses__()"
FORM = form("f", ("days", "number"), "kind", "who")
LAST = ("last", task("last", "hr_head"))


@pytest.fixture(autouse=True)
def _thawed() -> Iterator[None]:
    clock.freeze(MONDAY)
    yield
    clock.freeze(None)


def after_form(*elements: tuple[str, str], flows: str = "") -> dict[str, str]:
    """The initiator's form, then these in a row."""
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f") + "".join(xml for _, xml in elements)
    return diagram(body + (flows or chain("s", "apply", *(name for name, _ in elements), "e"))) | FORM


def test_the_conditions_of_gateways(bpm: Bpm) -> None:
    gateway = ("g", '<exclusiveGateway id="g" default="g_last"/>')
    condition = 'days in (3..7] and not(kind in ("事假", "病假")) and initiator.post = "护士"'
    flows = chain("s", "apply", "g") + flow("g", "nurse", condition) + flow("g", "last") + flow("nurse", "e")
    bpm.deploy_files(after_form(gateway, ("nurse", task("nurse", "nurse")), LAST, flows=flows + flow("last", "e")))
    bpm.start("p", by="nurse", days=4, kind="年休假").expect_open("nurse")
    bpm.start("p", by="nurse", days=3, kind="年休假").expect_open("last")
    bpm.start("p", by="nurse", kind="年休假").expect_open("last")  # null is not fulfilled


def test_the_conditions_of_loops_and_the_number_of_instances(bpm: Bpm) -> None:
    loop = "<loopCondition>loopCounter &lt; days</loopCondition>"
    loop = f"<standardLoopCharacteristics>{loop}</standardLoopCharacteristics>"
    each = sub("each", ("check", task("check", "head_nurse")), inner=loop)
    story = bpm.deploy_files(after_form(("each", each), LAST)).start("p", by="nurse", days=2)
    story.approve("head_nurse").expect_open("check").approve("head_nurse").expect_open("last")
    many = (
        "<multiInstanceLoopCharacteristics><loopCardinality>floor(days / 2)</loopCardinality>"
        "<completionCondition>numberOfCompletedInstances = days - 3</completionCondition>"
        "</multiInstanceLoopCharacteristics>"
    )
    each = sub("each", ("check", task("check", "head_nurse")), inner=many)
    story = bpm.deploy_files(after_form(("each", each), LAST)).start("p", by="nurse", days=5)
    assert len(story.items()) == 2
    story.approve("head_nurse").approve("head_nurse").expect_open("last")


def test_who_handles_a_step(bpm: Bpm) -> None:
    rule = '<piyue:assign rule="expression" value="=if days &gt; 3 then who else initiator.id"/>'
    check = f'<userTask id="check" name="check"><extensionElements>{rule}</extensionElements></userTask>'
    bpm.deploy_files(after_form(("check", check)))
    bpm.start("p", by="nurse", days=5, who=str(bpm.person("surgeon"))).expect_open(("check", "surgeon"))
    bpm.start("p", by="nurse", days=1, who=str(bpm.person("surgeon"))).expect_open(("check", "nurse"))


THREE = ("doctor", "surgeon", "hr_clerk")


def rounds(rule: str, more: str = "") -> dict[str, str]:
    """Three handlers, whose round an expression decides; then a gateway tells how."""
    sign = task("sign", *THREE, inner=f'<piyue:round policy="expression" value="{rule}"{more}/>')
    gateway = '<exclusiveGateway id="g" default="g_refused"/>'
    flows = chain("s", "apply", "sign", "g") + flow("g", "last", 'outcome = "approve"') + flow("g", "refused")
    flows += flow("last", "e") + flow("refused", "e")
    refused = ("refused", task("refused", "nurse"))
    return after_form(("sign", sign), ("g", gateway), LAST, refused, flows=flows)


def test_how_a_round_decides(bpm: Bpm) -> None:
    """Of those asked as many as the form says; it ends as soon as they agree, or when everybody has acted."""
    bpm.deploy_files(rounds("=agreed &gt;= days"))
    story = bpm.start("p", by="nurse", days=2).approve("doctor").expect_open("sign").approve("surgeon")
    story.expect_open("last")
    story = bpm.start("p", by="nurse", days=1).reject("doctor").approve("surgeon").expect_open("last")
    story = bpm.start("p", by="nurse", days=2).reject("doctor").approve("surgeon").reject("hr_clerk")
    story.expect_open("refused")
    bpm.deploy_files(rounds("=agreed &gt; others + waiting"))
    bpm.start("p", by="nurse").approve("doctor").expect_open("sign").approve("surgeon").expect_open("last")
    bpm.deploy_files(rounds("=agreed = total", ' veto="true"'))
    story = bpm.start("p", by="nurse").approve("doctor").reject("surgeon").expect_open("refused")
    with bpm.db.reading() as session:
        steps = queries.timeline(session, bpm.actor("nurse"), bpm.start("p", by="nurse").id).steps
    assert [(step.policy, step.total) for step in steps] == [("expression", 3)]


def test_a_round_whose_expression_has_no_answer_is_an_incident(bpm: Bpm) -> None:
    story = bpm.deploy_files(rounds("=count(for i in 1..200000 return i) &gt; agreed")).start("p", by="nurse")
    with pytest.raises(Conflict, match="办理方式的表达式没有结果"):
        story.approve("doctor")
    assert incidents(story) == ["expression"]
    assert len(story.items()) == 3


@pytest.mark.parametrize(
    ("text", "kind", "after"),
    [
        ('duration("P2D")', "timeDuration", timedelta(days=2)),
        ('duration("P" + string(days) + "D")', "timeDuration", timedelta(days=5)),
        ('if kind = "急" then duration("PT2H") else duration("P1D")', "timeDuration", timedelta(hours=2)),
        ('date and time("2026-03-03T17:00:00@Asia/Shanghai")', "timeDate", timedelta(days=1, hours=8)),
    ],
)
def test_timers(bpm: Bpm, text: str, kind: str, after: timedelta) -> None:
    wait = f'<intermediateCatchEvent id="wait" name="wait">{timer(text, kind)}</intermediateCatchEvent>'
    story = bpm.deploy_files(after_form(("wait", wait), LAST)).start("p", by="nurse", days=5, kind="急")
    assert timers(story) == {"wait": MONDAY + after}
    clock.freeze(MONDAY + after)
    bpm.work()
    story.expect_open("last")


def test_titles_summaries_and_urgency(bpm: Bpm) -> None:
    said = (
        "<piyue:process title='=initiator.name + \"的\" + kind' summary='=string(days) + \" 天\"' "
        "urgency='=if days &gt; 3 then \"特急\" else 0'/>"
    )
    body = '<startEvent id="s"/><endEvent id="e"/>' + starting("f") + LAST[1] + chain("s", "apply", "last", "e")
    instance = (
        bpm.deploy_files(diagram(body, extension=said) | FORM).start("p", by="nurse", days=5, kind="申请").instance
    )
    assert (instance.title, instance.summary, instance.urgency) == ("单晓燕的申请", "5 天", 3)


@pytest.mark.parametrize("text", [ESCAPE, "__import__('os').getpid()", "days if days else 1", "days.__class__"])
def test_python_is_no_expression(text: str) -> None:
    """The linter refuses it; asked past the linter, it is no expression, or one of names without values."""
    definition = runtime.load(
        line(LAST)
    )  # fmt: skip
    change = runtime.start(definition, {"days": 3}, now=datetime.now(UTC))
    found = runtime.scope(definition, change.state, change.data, change.opened[0].task_id)
    with contextlib.suppress(FeelError):
        assert definition.expression(text).evaluate(found) is None


def test_the_script_engine_of_the_library_is_replaced_whole(bpm: Bpm) -> None:
    definition = runtime.load(line(LAST))
    started = Flow(definition, {"days": 3}, datetime.now(UTC))
    started.spread(started.task_tree, started.task_tree, started.spec.start.outputs)
    started.run()
    (token,) = started.open_tokens().values()
    assert started.script_engine.evaluate(token, "days in (1..3]") is True
    assert started.script_engine.evaluate(token, "days + more", {"more": 2}) == 5
    with pytest.raises(runtime.RuntimeFault):
        started.script_engine.evaluate(token, "days if days else 1")
    with pytest.raises(runtime.RuntimeFault, match="不运行图里的脚本"):
        ScriptTask._execute(SimpleNamespace(script="import os"), token)
    with pytest.raises(runtime.RuntimeFault, match="不从图里调用服务"):
        started.script_engine.call_service(token, operation_name="x")
    assert data(bpm.deploy_files(line(LAST)).start("p", by="nurse"))["initiator"]["name"] == "单晓燕"


def test_what_an_operation_and_a_message_carry(bpm: Bpm) -> None:
    """Inputs and outputs of jobs, calls and messages: `test_jobs`, `test_scopes`; here that text without = is text."""
    send = (
        '<intermediateThrowEvent id="t" name="t"><extensionElements><piyue:output name="a" value="=days + 1"/>'
        '<piyue:output name="b" value="days + 1"/></extensionElements><signalEventDefinition signalRef="g"/>'
        "</intermediateThrowEvent>"
    )
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + starting("f")
        + send
        + LAST[1]
        + chain("s", "apply", "t", "last", "e")
    )
    definition = runtime.load(diagram(body, outside='<signal id="g" name="g"/>'))
    change = runtime.start(definition, {"days": 3}, now=MONDAY)
    change = runtime.advance(
        definition, change.state, change.data, runtime.Complete(change.opened[0].task_id, "submit"), now=MONDAY
    )
    payload: Any = change.thrown[0].payload
    assert payload == {"a": 4, "b": "days + 1"}
