"""Messages and signals between instances, called processes, sub-processes, several instances, ends of every kind."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy.orm import Session

from engine.bpm import commands
from engine.bpm.operations import Context, operation
from tests.dsl import Bpm, bpmn, chain, flow, start_task, task
from tests.engine.bpm.contracts.kit import boundary, data, diagram, form, line, starting, sub

LAST = ("last", task("last", "hr_head"))
OUTSIDE = '<message id="m" name="reply"/><signal id="sig" name="alarm"/>'


SEEN: list[dict[str, Any]] = []
ITEMS: list[str] = []


@operation("contracts.scopes.look")
def _look(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    SEEN.append(dict(inputs))
    return {"found": "内部结果", "given": inputs["given"]}


@operation("contracts.scopes.people")
def _people(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"people": list(ITEMS)}


def message(name: str, tag: str, correlation: str = "=nr", *, takes: tuple[str, ...] = ()) -> str:
    taken = "".join(f'<piyue:input name="{field}"/>' for field in takes)
    return (
        f'<{tag} id="{name}" name="{name}"><extensionElements><piyue:message correlation="{correlation}"/>'
        f'{taken}</extensionElements><messageEventDefinition messageRef="m"/></{tag}>'
    )


def numbered(*elements: tuple[str, str], key: str = "p", fields: tuple[str, ...] = ("nr",)) -> dict[str, str]:
    """A process whose initiator gives a number."""
    names = [name for name, _ in elements]
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + starting("f")
        + "".join(xml for _, xml in elements)
        + chain("s", "apply", *names, "e")
    )
    return diagram(body, key, outside=OUTSIDE) | form("f", *fields)


def test_a_message_finds_the_instance_with_its_correlation(bpm: Bpm) -> None:
    bpm.deploy_files(numbered(("wait", message("wait", "intermediateCatchEvent")), LAST))
    bpm.deploy_files(numbered(("send", message("send", "intermediateThrowEvent")), key="sender"))
    one, two = bpm.start("p", by="nurse", nr="1"), bpm.start("p", by="nurse", nr="2")
    bpm.start("sender", by="doctor", nr="2").expect_state("completed")
    one.expect_open()
    two.expect_open("last")
    bpm.start("sender", by="doctor", nr="2").expect_state("completed")
    assert len([i for i in two.items("open") if i.step == "last"]) == 1


@pytest.mark.parametrize("tag", ["receiveTask", "sendTask"])
def test_tasks_that_receive_and_send(bpm: Bpm, tag: str) -> None:
    receive = (
        '<receiveTask id="wait" name="wait" messageRef="m"><extensionElements><piyue:message correlation="=nr"/>'
        "</extensionElements></receiveTask>"
    )
    send = receive.replace("receiveTask", "sendTask").replace('"wait"', '"send"')
    sending = ("send", send if tag == "sendTask" else message("send", "intermediateThrowEvent"))
    bpm.deploy_files(numbered(("wait", receive), LAST)).deploy_files(numbered(sending, key="sender"))
    story = bpm.start("p", by="nurse", nr="7").expect_open()
    bpm.start("sender", by="doctor", nr="7")
    story.expect_open("last")


def test_a_message_from_outside_once_per_key_with_its_payload(bpm: Bpm) -> None:
    bpm.deploy_files(numbered(("wait", message("wait", "intermediateCatchEvent", takes=("answer",))), LAST))
    story = bpm.start("p", by="nurse", nr="1")
    for _ in range(2):
        with bpm.db.unit_of_work() as session:
            commands.send_message(session, "reply", correlation="1", payload={"answer": "好"}, key="once")
        bpm.work()
    story.expect_open("last")
    assert data(story)["answer"] == "好"
    with bpm.db.unit_of_work() as session:
        commands.send_message(session, "reply", correlation="nobody", payload={}, key="other")
        commands.send_message(session, "unheard", correlation="1", payload={}, key="third")
    bpm.work()
    story.expect_open("last")


def test_a_payload_does_not_overwrite_what_is_reserved(bpm: Bpm) -> None:
    bpm.deploy_files(numbered(("wait", message("wait", "intermediateCatchEvent", takes=("ok",))), LAST))
    story = bpm.start("p", by="nurse", nr="1")
    with bpm.db.unit_of_work() as session:
        payload: dict[str, object] = {"initiator": {"id": "x"}, "steps": {}, "outcome": "forged", "_x": 1, "ok": 1}
        commands.send_message(session, "reply", correlation="1", payload=payload, key="k")
    bpm.work()
    story.expect_open("last")
    kept = data(story)
    assert kept["ok"] == 1
    assert "_x" not in kept
    assert kept.get("initiator", {}).get("id") != "x"
    assert kept.get("outcome") != "forged"


def test_a_message_at_a_boundary_interrupts(bpm: Bpm) -> None:
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + starting("f")
        + task("work", "doctor")
        + boundary(
            "got",
            "work",
            '<extensionElements><piyue:message correlation="=nr"/></extensionElements>'
            '<messageEventDefinition messageRef="m"/>',
        )
        + LAST[1]
        + chain("s", "apply", "work", "e")
        + chain("got", "last", "f")
    )
    story = bpm.deploy_files(diagram(body, outside=OUTSIDE) | form("f", "nr")).start("p", by="nurse", nr="1")
    with bpm.db.unit_of_work() as session:
        commands.send_message(session, "reply", correlation="1", key="k")
    bpm.work()
    story.expect_open("last")


def test_a_message_to_an_ended_step_is_nothing(bpm: Bpm) -> None:
    bpm.deploy_files(numbered(("wait", message("wait", "intermediateCatchEvent")), LAST))
    story = bpm.start("p", by="nurse", nr="1")
    story.act("withdraw", "nurse", story.id, reason="不要了")
    with bpm.db.unit_of_work() as session:
        commands.send_message(session, "reply", correlation="1", key="k")
    bpm.work()
    story.expect_state("withdrawn").expect_open()


def test_a_signal_reaches_everybody_who_waits(bpm: Bpm) -> None:
    catch = (
        '<intermediateCatchEvent id="wait" name="w"><signalEventDefinition signalRef="sig"/></intermediateCatchEvent>'
    )
    throw = (
        '<intermediateThrowEvent id="ring" name="r"><signalEventDefinition signalRef="sig"/></intermediateThrowEvent>'
    )
    bpm.deploy_files(numbered(("wait", catch), LAST)).deploy_files(numbered(("ring", throw), key="ringer"))
    stories = [bpm.start("p", by="nurse", nr=str(n)) for n in range(3)]
    bpm.start("ringer", by="doctor", nr="1")
    for story in stories:
        story.expect_open("last")


# -- called processes -------------------------------------------------------------------------------------------------

CALLED = diagram(
    '<startEvent id="s"/><endEvent id="e"/>' + task("review", "doctor") + chain("s", "review", "e"), "called"
)


_LOOK = (
    '<serviceTask id="look" name="look"><extensionElements><piyue:operation name="contracts.scopes.look">'
    '<piyue:input name="given" value="=given"/><piyue:input name="nr" value="=nr"/>'
    '<piyue:output name="found" value="=result.found"/></piyue:operation></extensionElements></serviceTask>'
)
LOOKING = diagram('<startEvent id="s"/><endEvent id="e"/>' + _LOOK + chain("s", "look", "e"), "called")["process.bpmn"]


def calling(mapping: str = "") -> dict[str, str]:
    call = (
        f'<callActivity id="call" name="call" calledElement="called"><extensionElements>{mapping}</extensionElements>'
        "</callActivity>"
    )
    files = numbered(("call", call), LAST, fields=("nr", "result"))
    return files | {"called/called.bpmn": CALLED["process.bpmn"]}


def test_a_called_process_has_steps_of_its_own(bpm: Bpm) -> None:
    story = bpm.deploy_files(calling()).start("p", by="nurse", nr="1").expect_open(("called:review", "doctor"))
    story.approve(by="doctor").expect_open("last").approve(by="hr_head").expect_state("completed")
    assert ("complete", "called:review", "approve") in story.trail


def test_from_a_called_process_one_returns_to_the_step_before_it(bpm: Bpm) -> None:
    story = bpm.deploy_files(calling()).start("p", by="nurse", nr="1")
    story.send_back(by="doctor", to="initiator").expect_open(("apply", "nurse")).submit(by="nurse", nr="2")
    story.expect_open("called:review").approve(by="doctor").expect_open("last")


def test_a_called_process_with_mappings_sees_only_what_is_given(bpm: Bpm) -> None:
    SEEN.clear()
    files = calling('<piyue:input name="given" value="=nr"/><piyue:output name="result" value="=found"/>')
    story = bpm.deploy_files(files | {"called/called.bpmn": LOOKING}).start("p", by="nurse", nr="7")
    story.expect_open("last")
    assert SEEN == [{"given": "7", "nr": None}]


def test_a_called_process_gives_back_only_what_is_mapped(bpm: Bpm) -> None:
    files = calling('<piyue:input name="given" value="=nr"/><piyue:output name="result" value="=found"/>')
    story = bpm.deploy_files(files | {"called/called.bpmn": LOOKING}).start("p", by="nurse", nr="7").expect_open("last")
    kept = data(story)
    assert kept["result"] == "内部结果"
    assert "found" not in kept
    assert "given" not in kept


# -- several instances and loops --------------------------------------------------------------------------------------


def many(inner: str, *, sequential: bool = False) -> str:
    tag = "multiInstanceLoopCharacteristics"
    return f'<{tag} isSequential="{str(sequential).lower()}">{inner}</{tag}>'


EACH = '<loopDataInputRef>items</loopDataInputRef><inputDataItem id="i" name="item"/>'


def listed(sequential: bool, *people: str, more: str = "") -> dict[str, str]:
    """The items come from an operation, so that the test doesn't depend on a form's kinds of fields."""
    gather = (
        '<serviceTask id="gather" name="gather"><extensionElements><piyue:operation name="contracts.scopes.people">'
        '<piyue:output name="items" value="=result.people"/></piyue:operation></extensionElements></serviceTask>'
    )
    step = (
        '<userTask id="sign" name="sign"><extensionElements><piyue:task kind="decide"/>'
        '<piyue:assign rule="expression" value="=item"/></extensionElements></userTask>'
    )
    ITEMS[:] = people
    return line(
        ("gather", gather), ("box", sub("box", ("sign", step), inner=many(EACH + more, sequential=sequential))), LAST
    )


def ids(bpm: Bpm, *people: str) -> list[str]:
    return [str(bpm.person(p)) for p in people]


def test_side_by_side_one_for_each(bpm: Bpm) -> None:
    files = listed(False, *ids(bpm, "doctor", "surgeon", "hr_clerk"))
    story = bpm.deploy_files(files).start("p", by="nurse")
    story.expect_open(("sign", "doctor"), ("sign", "surgeon"), ("sign", "hr_clerk"))
    story.approve(by="surgeon").approve(by="doctor").expect_open(("sign", "hr_clerk")).approve(by="hr_clerk")
    story.expect_open("last")


def test_one_after_the_other(bpm: Bpm) -> None:
    story = bpm.deploy_files(listed(True, *ids(bpm, "doctor", "surgeon"))).start("p", by="nurse")
    story.expect_open(("sign", "doctor")).approve(by="doctor").expect_open(("sign", "surgeon")).approve(by="surgeon")
    story.expect_open("last")


@pytest.mark.parametrize("sequential", [False, True])
def test_for_nobody_it_is_passed(bpm: Bpm, sequential: bool) -> None:
    bpm.deploy_files(listed(sequential)).start("p", by="nurse").expect_open("last")


@pytest.mark.parametrize("sequential", [False, True])
def test_a_completion_condition_ends_it_early(bpm: Bpm, sequential: bool) -> None:
    more = '<completionCondition>steps.sign = "reject"</completionCondition>'
    story = bpm.deploy_files(listed(sequential, *ids(bpm, "doctor", "surgeon", "hr_clerk"), more=more))
    told = story.start("p", by="nurse").reject(by="doctor")
    told.expect_open("last")


@pytest.mark.parametrize("sequential", [False, True])
def test_outputs_come_in_the_order_of_the_items(bpm: Bpm, sequential: bool) -> None:
    more = '<loopDataOutputRef>answers</loopDataOutputRef><outputDataItem id="o" name="answer"/>'
    echo = (
        '<serviceTask id="echo" name="echo"><extensionElements><piyue:operation name="contracts.scopes.look">'
        '<piyue:input name="given" value="=item"/><piyue:output name="answer" value="=result.given"/>'
        "</piyue:operation></extensionElements></serviceTask>"
    )
    people = ids(bpm, "doctor", "surgeon", "hr_clerk")
    files = listed(sequential, *people, more=more)
    files["process.bpmn"] = (
        files["process.bpmn"]
        .replace('<userTask id="sign"', echo + '<userTask id="sign"')
        .replace(flow("sign", "box_finish"), flow("sign", "echo") + flow("echo", "box_finish"))
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    for by in ("doctor", "surgeon", "hr_clerk") if sequential else ("hr_clerk", "doctor", "surgeon"):
        story.approve(by=by)
    story.expect_open("last")
    assert data(story)["answers"] == people
    assert "answer" not in data(story)


def test_a_return_inside_one_instance_leaves_the_others(bpm: Bpm) -> None:
    files = listed(False, *ids(bpm, "doctor", "surgeon"))
    files["process.bpmn"] = (
        files["process.bpmn"]
        .replace('<userTask id="sign"', task("before", "archivist") + '<userTask id="sign"')
        .replace(flow("box_begin", "sign"), flow("box_begin", "before") + flow("before", "sign"))
    )
    story = bpm.deploy_files(files).start("p", by="nurse")
    assert len(story.items()) == 2
    story.approve(by="archivist").approve(by="archivist").expect_open(("sign", "doctor"), ("sign", "surgeon"))
    story.send_back(by="doctor", to="before").expect_open(("before", "archivist"), ("sign", "surgeon"))
    story.approve(by="surgeon").approve(by="archivist").approve(by="doctor").expect_open("last")


def test_a_loop_as_often_as_its_condition_holds(bpm: Bpm) -> None:
    condition = '<loopCondition>steps.sign != "approve"</loopCondition>'
    loop = f"<standardLoopCharacteristics>{condition}</standardLoopCharacteristics>"
    body = (
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + sub("box", ("sign", task("sign", "doctor")), inner=loop)
        + LAST[1]
        + chain("s", "apply", "box", "last", "e")
    )
    story = bpm.deploy_files(diagram(body)).start("p", by="nurse")
    for _ in range(4):
        story.reject(by="doctor").expect_open("sign")
    story.approve(by="doctor").expect_open("last")


# -- ends -------------------------------------------------------------------------------------------------------------

ENDS = '<error id="er" errorCode="E"/><escalation id="es" escalationCode="X"/>'


@pytest.mark.parametrize("kind", ["error", "escalation"])
def test_an_end_inside_is_caught_outside(bpm: Bpm, kind: str) -> None:
    ref = "er" if kind == "error" else "es"
    definition = f'<{kind}EventDefinition {kind}Ref="{ref}"/>'
    inside = (
        '<subProcess id="box" name="box"><startEvent id="bs"/><endEvent id="be"/>'
        '<exclusiveGateway id="bx" default="bx_be"/>'
        f'<endEvent id="bad">{definition}</endEvent>'
        + task("sign", "doctor")
        + chain("bs", "sign", "bx", "be")
        + flow("bx", "bad", 'outcome = "reject"')
        + "</subProcess>"
    )
    body = (
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="f"/>'
        + start_task()
        + inside
        + boundary("oops", "box", definition)
        + task("mend", "surgeon")
        + LAST[1]
        + chain("s", "apply", "box", "last", "e")
        + chain("oops", "mend", "f")
    )
    bpm.deploy_files(diagram(body, outside=ENDS))
    bpm.start("p", by="nurse").approve(by="doctor").expect_open("last")
    bpm.start("p", by="nurse").reject(by="doctor").expect_open("mend").approve(by="surgeon").expect_state("completed")


def test_a_terminate_end_closes_every_branch(bpm: Bpm) -> None:
    files = bpmn(
        '<startEvent id="s"/><endEvent id="e"/><endEvent id="stop"><terminateEventDefinition/></endEvent>'
        '<parallelGateway id="split"/>'
        + start_task()
        + task("a", "doctor")
        + task("b", "surgeon")
        + chain("s", "apply", "split", "a", "stop")
        + chain("split", "b", "e")
    )
    story = bpm.deploy_files(files).start("p", by="nurse").approve(by="doctor").expect_open()
    assert story.instance.state in ("completed", "terminated")
    other = bpm.start("p", by="nurse").approve(by="surgeon").expect_open("a").approve(by="doctor")
    other.expect_state("completed")


def test_a_terminate_end_inside_ends_the_sub_process_alone(bpm: Bpm) -> None:
    inside = (
        '<subProcess id="box" name="box"><startEvent id="bs"/><parallelGateway id="split"/><endEvent id="be"/>'
        '<endEvent id="stop"><terminateEventDefinition/></endEvent>'
        + task("a", "doctor")
        + task("b", "surgeon")
        + chain("bs", "split", "a", "stop")
        + chain("split", "b", "be")
        + "</subProcess>"
    )
    story = bpm.deploy_files(line(("box", inside), LAST)).start("p", by="nurse").approve(by="doctor")
    story.expect_open("last").approve(by="hr_head").expect_state("completed")
