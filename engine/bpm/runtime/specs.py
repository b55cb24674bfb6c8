"""What each BPMN element does when a token arrives and when it runs (BPMN 2.0.2, clause 13).

The classes replace SpiffWorkflow's in its parser's tables. Nothing is predicted: children exist when their parent is
done. `_update` is SpiffWorkflow's name for "a token has arrived"; `run_token` is what an automatic element does when
its turn on the agenda comes. `flow` is the running instance (`flow.Flow`).
"""

from abc import ABC, abstractmethod
from typing import Any

from SpiffWorkflow.bpmn.specs import defaults
from SpiffWorkflow.bpmn.specs.control import BoundaryEventSplit as SpiffBoundarySplit
from SpiffWorkflow.bpmn.specs.event_definitions import (
    ErrorEventDefinition,
    MessageEventDefinition,
    NoneEventDefinition,
    SignalEventDefinition,
    TerminateEventDefinition,
)
from SpiffWorkflow.bpmn.specs.event_definitions.timer import TimerEventDefinition

from engine.bpm.runtime.tree import COMPLETED, READY, STARTED, WAITING, Token
from engine.bpm.runtime.types import RuntimeFault

SPLIT = "#events"  # ends the name of the split that holds an activity and its boundary events


class Node:
    """What all elements share: on arrival an element goes to the agenda, when it runs it passes the token on."""

    outputs: list[Any]
    manual: bool
    extensions: Any = None
    name: str
    bpmn_id: str | None

    def _update(self, token: Token) -> None:
        token._set_state(READY)
        if not self.manual:
            token.workflow.flow.agenda.append(token)

    def run_token(self, flow: Any, token: Token) -> None:
        """Do the element's work; by default pass the token to every output."""
        flow.finish(token, self.outputs)


class Pass(Node, defaults.NoneTask):  # type: ignore[misc]
    """A plain task (bpmn:task): nothing to do."""

    manual = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.manual = False


class UserTask(Node, defaults.UserTask):  # type: ignore[misc]
    """A user task: waits for its round of work items."""


class ManualTask(Node, defaults.ManualTask):  # type: ignore[misc]
    """A manual task is handled like a user task."""


class Job(Node):
    """A service or script task: waits for its registered operation."""

    def _update(self, token: Token) -> None:
        token._set_state(WAITING)


class ServiceTask(Job, defaults.ServiceTask):  # type: ignore[misc]
    """A service task (服务任务)."""


class ScriptTask(Job, defaults.ScriptTask):  # type: ignore[misc]
    """A script task names an operation too; script text is never run."""


class BusinessRuleTask(Pass):
    """A business rule task: the decision that it names decides at once, and the token goes on with the result."""

    def run_token(self, flow: Any, token: Token) -> None:
        """Decide, then go on."""
        flow.rule(token, self.extensions)
        flow.finish(token, self.outputs)


class ExclusiveGateway(Node, defaults.ExclusiveGateway):  # type: ignore[misc]
    """One way on: the first flow whose condition holds, else the default."""

    def run_token(self, flow: Any, token: Token) -> None:
        """Choose the way."""
        flow.finish(token, choose(flow, token, self, first_only=True))


def choose(flow: Any, token: Token, spec: Any, *, first_only: bool) -> list[Any]:
    """Return the outputs whose conditions hold, or the default; without either the instance can't go on."""
    chosen, default = [], []
    for condition, name in spec.cond_task_specs:
        target = spec._wf_spec.task_specs[name]
        if condition is None:
            default.append(target)
        elif flow.condition(token, condition.args[0]):
            chosen.append(target)
            if first_only:
                break
    if not (chosen or default):
        raise RuntimeFault("gateway", flow.element(spec), "没有一条流出线的条件成立，也没有默认流出线")
    return chosen or default


class ParallelGateway(Node, defaults.ParallelGateway):  # type: ignore[misc]
    """Waits for one token on each incoming flow, of this round; then starts every outgoing flow."""

    def _update(self, token: Token) -> None:
        if len(self._inputs) == 1:
            super()._update(token)
            return
        token._set_state(WAITING)
        arrived: dict[str, Token] = {}
        for other in token.workflow.tasks.values():
            if other.task_spec is self and other._state == WAITING:
                arrived.setdefault(other.internal_data["from"], other)
        if len(arrived) == len(set(self._inputs)):
            token.workflow.flow.merge(list(arrived.values()), token)


class InclusiveGateway(Node, defaults.InclusiveGateway):  # type: ignore[misc]
    """Waits until no token elsewhere can still reach an incoming flow that has none; then every flow that holds."""

    def _update(self, token: Token) -> None:
        if len(self._inputs) == 1:
            super()._update(token)
        else:
            token._set_state(WAITING)  # decided when nothing else can move

    def run_token(self, flow: Any, token: Token) -> None:
        """Choose the ways."""
        if len(self.outputs) == 1:
            flow.finish(token, self.outputs)
        else:
            flow.finish(token, choose(flow, token, self, first_only=False))


class EventBasedGateway(Node, defaults.EventBasedGateway):  # type: ignore[misc]
    """Opens all its events; the first to happen closes the others."""

    def connect(self, child: Any) -> None:
        """Connect an event; each keeps its own definition and due date."""
        self._outputs.append(child.name)
        child._connect_notify(self)

    def run_token(self, flow: Any, token: Token) -> None:
        """Open the events below this visit, which stays to hold them together."""
        flow.walked(token)
        token._set_state(COMPLETED)
        flow.spread(token, token, self.outputs)


class StartEvent(Node, defaults.StartEvent):  # type: ignore[misc]
    """A none start event."""


class Throw(Node):
    """A throwing event; what is thrown reaches waiting instances through the outbox, errors go up at once."""

    event_definition: Any

    def run_token(self, flow: Any, token: Token) -> None:
        """Throw, then go on."""
        flow.throw(token, self.event_definition)
        flow.finish(token, self.outputs)


class ThrowEvent(Throw, defaults.IntermediateThrowEvent):  # type: ignore[misc]
    """An intermediate throw event."""


class SendTask(Throw, defaults.SendTask):  # type: ignore[misc]
    """A send task throws its message."""


class EndEvent(Node, defaults.EndEvent):  # type: ignore[misc]
    """The token ends here; terminate ends all tokens of the (sub-)process, an error leaves it."""

    def run_token(self, flow: Any, token: Token) -> None:
        """End the token by the kind of event."""
        definition = self.event_definition
        flow.ended(token)
        flow.walked(token)
        if isinstance(definition, TerminateEventDefinition):
            flow.clear(token.workflow)
        elif isinstance(definition, ErrorEventDefinition):
            flow.raise_error(token, definition.code)
        else:
            if not isinstance(definition, NoneEventDefinition):
                flow.throw(token, definition)
            if token.id in token.workflow.tasks:  # an escalation may have interrupted this sub-process
                flow.drop(token)


class Catch(Node):
    """A catching event: waits for its timer, message or signal."""

    event_definition: Any

    def _update(self, token: Token) -> None:
        definition = self.event_definition
        flow = token.workflow.flow
        token._set_state(WAITING)
        if isinstance(definition, TimerEventDefinition):
            flow.start_timer(token, definition)
        elif isinstance(definition, NoneEventDefinition):
            super()._update(token)
        elif isinstance(definition, MessageEventDefinition | SignalEventDefinition):
            correlation = flow.text(token, self.extensions.correlation)
            token.internal_data = {"correlation": correlation} if correlation else {}


class CatchEvent(Catch, defaults.IntermediateCatchEvent):  # type: ignore[misc]
    """An intermediate catch event."""


class ReceiveTask(Catch, defaults.ReceiveTask):  # type: ignore[misc]
    """A receive task waits for its message."""


class BoundaryEvent(Catch, defaults.BoundaryEvent):  # type: ignore[misc]
    """An event on the border of an activity."""


class BoundarySplit(Node, SpiffBoundarySplit):  # type: ignore[misc]
    """Holds an activity and its boundary events together while the activity is open."""

    main: str

    def _update(self, token: Token) -> None:
        token._set_state(COMPLETED)
        token.workflow.flow.spread(token, token, self.outputs)


class SubProcess(Node, defaults.SubWorkflowTask):  # type: ignore[misc]
    """An embedded sub-process; it shares the data of its parent."""

    def _update(self, token: Token) -> None:
        token._set_state(STARTED)
        token.workflow.flow.enter(token, self.spec, self.local(token))

    def local(self, token: Token) -> dict[str, Any] | None:
        """Return the local scope: that of a multi-instance's child, or none."""
        return token.internal_data.get("local")

    def left(self, flow: Any, token: Token, workflow: Any) -> None:
        """Go on after the last token inside has ended."""
        if workflow.passed and workflow.local is None:
            token.internal_data["passed"] = workflow.passed
        flow.finish(token, self.outputs)


class CallActivity(SubProcess, defaults.CallActivity):  # type: ignore[misc]
    """A called process; with inputs or outputs it has a scope of its own, otherwise it shares the data."""

    @property
    def isolated(self) -> bool:
        """Whether the called process sees only what it is given."""
        return bool(self.extensions.inputs or self.extensions.outputs)

    def local(self, token: Token) -> dict[str, Any] | None:
        """Evaluate the inputs; who started the instance is known inside too."""
        flow, own = token.workflow.flow, super().local(token)
        if not self.isolated:
            return own
        given = {n: flow.value(token, v) for n, v in self.extensions.inputs}
        return {"initiator": flow.local.get("initiator"), **(own or {}), **given}

    def left(self, flow: Any, token: Token, workflow: Any) -> None:
        """Write the outputs to the caller's data."""
        if self.extensions.outputs:
            results = {n: flow.value(token, v, workflow.local) for n, v in self.extensions.outputs}
            if isinstance(token.parent.task_spec, MultiInstance):
                token.internal_data["local"].update(results)  # one of several: its output item is collected
            else:
                flow.write(token.workflow, results)
        super().left(flow, token, workflow)


class Repeated(Node, ABC):
    """An activity that runs several times (multi-instance, loop): a wrapper around its child spec."""

    task_spec: str

    def start_run(self, flow: Any, token: Token, index: int, local: dict[str, Any] | None = None) -> None:
        """Start one run: in a scope of its own, or on the shared data."""
        spec = token.workflow.spec.task_specs[self.task_spec]
        run = flow.token(token.workflow, spec, token)
        run.data = token.data
        run.internal_data = {"i": index} if local is None else {"i": index, "local": local}
        spec._update(run)

    @abstractmethod
    def run_left(self, flow: Any, token: Token, run: Token) -> None:
        """React to the end of one run, whose token has just left the tree."""


class MultiInstance(Repeated, defaults.ParallelMultiInstanceTask):  # type: ignore[misc]
    """Parallel or sequential multi-instance over a list or a number."""

    sequential = False

    def _update(self, token: Token) -> None:
        flow = token.workflow.flow
        if self.data_input is not None:
            items = flow.scope(token).get(self.data_input)
            if not isinstance(items, list):
                raise RuntimeFault("expression", flow.element(self), f"多实例的输入“{self.data_input}”不是列表")
        else:
            count = flow.evaluate(token, self.cardinality)
            if not (isinstance(count, int) and 0 <= count <= 1000):
                raise RuntimeFault("expression", flow.element(self), "多实例的次数不是 0 到 1000 的整数")
            items = list(range(1, count + 1))
        token._set_state(STARTED)
        token.internal_data = {"items": items, "done": 0, "out": [None] * len(items)}
        if not items:
            flow.finish(token, self.outputs)
        for index, item in enumerate(items[:1] if self.sequential else items):
            self._start_item(flow, token, index, item)

    def _start_item(self, flow: Any, token: Token, index: int, item: Any) -> None:
        named = {self.input_item: item} if self.input_item else {}
        self.start_run(flow, token, index, {"loopCounter": index + 1, **named})

    def run_left(self, flow: Any, token: Token, run: Token) -> None:
        """Collect the output, then end or go on; the condition reads what the run has left, its `outcome` too."""
        inner = token.internal_data
        inner["done"] += 1
        if self.output_item is not None:
            inner["out"][run.internal_data["i"]] = run.internal_data["local"].get(self.output_item)
        total, done = len(inner["items"]), inner["done"]
        counted = {"numberOfInstances": total, "numberOfCompletedInstances": done}
        enough = self.condition is not None and flow.condition(run, self.condition, counted)
        if done == total or enough:
            for child in token.children:
                flow.drop(child)
            if self.data_output is not None:
                flow.write(token.workflow, {self.data_output: [o for o in inner["out"] if o is not None]})
            flow.finish(token, self.outputs)
        elif self.sequential:
            self._start_item(flow, token, done, inner["items"][done])


class SequentialMultiInstance(MultiInstance):
    """One after the other."""

    sequential = True


class StandardLoop(Repeated, defaults.StandardLoopTask):  # type: ignore[misc]
    """Repeats while its condition holds, at most `maximum` times."""

    def _again(self, flow: Any, token: Token, done: int) -> bool:
        if self.maximum is not None and done >= self.maximum:
            return False
        return self.condition is None or bool(flow.condition(token, self.condition, {"loopCounter": done}))

    def _update(self, token: Token) -> None:
        flow = token.workflow.flow
        token._set_state(STARTED)
        token.internal_data = {"done": 0}
        if self.test_before and not self._again(flow, token, 0):
            flow.finish(token, self.outputs)
        else:
            self.start_run(flow, token, 0)

    def run_left(self, flow: Any, token: Token, run: Token) -> None:
        """Count, then end or go on; what was decided in the run is the `outcome` from here on."""
        token.data = run.data
        token.internal_data["done"] = done = token.internal_data["done"] + 1
        if self._again(flow, token, done):
            self.start_run(flow, token, done)
        else:
            flow.finish(token, self.outputs)
