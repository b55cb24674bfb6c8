"""A running instance: the agenda of automatic steps, the data scopes, and how tokens move.

`Flow` is the top process, `SubFlow` a (sub-)process inside it; both hold a tree of tokens. One call of the runtime
loads a Flow from its state, applies one event, runs the agenda until only people, timers, messages and jobs are waited
for, and saves it again. Nothing here reads the clock, the database or a file.
"""

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from SpiffWorkflow.bpmn.specs.event_definitions import (
    CycleTimerEventDefinition,
    ErrorEventDefinition,
    EscalationEventDefinition,
    MessageEventDefinition,
    NoneEventDefinition,
)
from SpiffWorkflow.bpmn.util.subworkflow import BpmnSubWorkflow
from SpiffWorkflow.bpmn.workflow import BpmnWorkflow

from engine.bpm.extensions import EventExtension, RuleUse, is_reserved
from engine.bpm.runtime import specs, timing, visits
from engine.bpm.runtime.scripts import FeelScripts
from engine.bpm.runtime.tree import (
    COMPLETED,
    READY,
    WAITING,
    Token,
    common_ancestor,
    move,
    subtree,
    tidy,
)
from engine.bpm.runtime.types import Data, Ruling, RuntimeFault, Thrown
from engine.feel import FeelError, to_plain

_SCRIPTS = FeelScripts()
STEP_BUDGET = 1000  # automatic steps in one go; a real process takes some tens


class SubFlow(BpmnSubWorkflow):  # type: ignore[misc]
    """A sub-process or called process inside a flow; `local` is its own scope, None where it shares its parent's."""

    def __init__(self, spec: Any, parent_task_id: int, flow: "Flow", local: Data | None) -> None:
        self.spec = spec
        self.parent_task_id = parent_task_id
        self.top_workflow = flow
        self.flow = flow
        self.local = local
        self.last_data: Data | None = None
        self.passed: list[Any] | None = None  # user tasks on the way to its ends: targets of a return
        self.tasks: dict[int, Token] = {}
        self.task_tree = _root(self)


class Flow(BpmnWorkflow):  # type: ignore[misc]
    """The top process of an instance."""

    def __init__(self, definition: Any, data: Data, now: datetime) -> None:
        # the base class would predict the whole tree; only what is open exists here
        self.definition = definition
        self.spec = definition.spec
        self.subprocess_specs = definition.subprocess_specs
        self.subprocesses: dict[int, SubFlow] = {}
        self.flow = self
        self.local: Data = data
        self.last_data: Data | None = None
        self.tasks: dict[int, Token] = {}
        self.task_tree = _root(self)
        self.now = now
        self.last_id = 0
        self.agenda: deque[Token] = deque()
        self.path: list[str] = []
        self.thrown: list[Thrown] = []
        self.rulings: list[Ruling] = []
        self.undone: list[int] = []

    @property
    def script_engine(self) -> FeelScripts:
        """What the library asks for expressions and scripts."""
        return _SCRIPTS

    # -- tokens -----------------------------------------------------------------------------------------------------

    def workflows(self) -> list[Any]:
        """Return the top process and everything inside it."""
        return [self, *self.subprocesses.values()]

    def find(self, token_id: int) -> Token | None:
        """Find a token in any (sub-)process."""
        for workflow in self.workflows():
            if token_id and (token := workflow.tasks.get(token_id)) is not None:
                return token  # type: ignore[no-any-return]
        return None

    def open(self, token_id: int) -> Token:
        """Return an unfinished token; raises LookupError."""
        token = self.find(token_id)
        if token is None or not token.is_open:
            raise LookupError(f"task {token_id} is not open")
        return token

    def open_tokens(self) -> dict[int, Token]:
        """Return every unfinished token by id."""
        return {t.id: t for w in self.workflows() for t in w.tasks.values() if t.is_open}

    def token(self, workflow: Any, spec: Any, parent: Token) -> Token:
        """Make a token that has not arrived yet."""
        self.last_id += 1
        return Token(workflow, spec, parent, WAITING, self.last_id)

    def spread(self, source: Token, parent: Token, outputs: list[Any], enter: str | None = None) -> None:
        """Send a token to each output, all below `parent`, then let them arrive.

        `enter`: a sub-process that it arrives at starts at this spec inside.
        """
        enter = enter or source.internal_data.get("enter")
        tokens = []
        for spec in outputs:
            token = self.token(source.workflow, spec, parent)
            token.data = source.data
            token.internal_data = {"from": source.task_spec.name} | ({"enter": enter} if enter else {})
            tokens.append(token)
            if (line := self.definition.line(source.task_spec, spec)) is not None:
                self.path.append(line)
        for token in tokens:
            if token.id in token.workflow.tasks:
                token.task_spec._update(token)

    def walked(self, token: Token) -> None:
        """Note the element on the path."""
        self.path.append(self.element(token.task_spec))

    def element(self, spec: Any) -> str:
        """Return the qualified element id of a spec."""
        return str(self.definition.qualified(spec))

    def finish(self, token: Token, outputs: list[Any]) -> None:
        """Complete a token and pass it on; the visit stays in the tree only where it is needed."""
        spec, workflow, parent = token.task_spec, token.workflow, token.parent
        self.walked(token)
        if isinstance(parent.task_spec, specs.Repeated) and spec.name == parent.task_spec.task_spec:
            self.drop(token, tidying=False)
            parent.task_spec.run_left(self, parent, token)
            return
        self._close_rivals(token)
        token._set_state(COMPLETED)
        back = token.internal_data.get("jump")
        if back is not None:
            outputs = [workflow.spec.task_specs[back[0]]]
        if visits.is_target(token):
            visits.take_over(token)
        self.spread(token, token, outputs, back[1] if back is not None else None)
        tidy(token, visits.keeps)

    def _close_rivals(self, token: Token) -> None:
        """Close what this completion rules out: boundary events of an activity, the other events of a gateway."""
        parent, spec = token.parent, token.task_spec
        holder = parent.task_spec
        if isinstance(holder, specs.BoundarySplit):
            interrupting = isinstance(spec, specs.BoundaryEvent) and spec.cancel_activity
            for rival in parent.children:
                event = isinstance(rival.task_spec, specs.BoundaryEvent) and rival._state == WAITING
                activity = rival.task_spec.name == holder.main
                if rival is not token and (
                    (event and (interrupting or spec.name == holder.main)) or (activity and interrupting)
                ):
                    self.drop(rival, tidying=False)
        elif isinstance(holder, specs.EventBasedGateway):
            for rival in parent.children:
                if rival is not token:
                    self.drop(rival, tidying=False)

    def merge(self, arrived: list[Token], carrier: Token) -> None:
        """Join: one of the arrived tokens goes on, from the lowest common ancestor of all; the others are used up."""
        top = common_ancestor(arrived)
        left = carrier.parent
        move(carrier, top)  # first, so that `top` keeps a child while the branches go
        for token in arrived:
            if token is not carrier:
                self.drop(token)
        if left is not top:
            tidy(left, visits.keeps)
        tidy(top, visits.keeps)
        carrier._set_state(READY)
        self.agenda.append(carrier)

    def drop(self, token: Token, *, tidying: bool = True) -> None:
        """Remove a token with everything below it, sub-processes included."""
        parent = token.parent
        for node in subtree(token):
            self._drop_inside(node)
            del node.workflow.tasks[node.id]
        parent._children.remove(token.id)
        if tidying:
            tidy(parent, visits.keeps)

    def _drop_inside(self, node: Token) -> None:
        inside = self.subprocesses.pop(node.id, None)
        if inside is not None:
            for token in inside.tasks.values():
                self._drop_inside(token)
            inside.tasks.clear()

    def clear(self, workflow: Any) -> None:
        """Remove every token of a (sub-)process."""
        for child in workflow.task_tree.children:
            self.drop(child)

    def ended(self, token: Token) -> None:
        """A token reaches an end event: note what it passed, as far as the other ends of its sub-process agree."""
        workflow = token.workflow
        workflow.last_data = token.data
        if workflow is not self:
            passed = visits.passed_inside(token)
            workflow.passed = passed if workflow.passed is None else [v for v in workflow.passed if v in passed]

    def enter(self, token: Token, name: str, local: Data | None) -> None:
        """Start a sub-process below a token, or let it go on at the spec that a return or jump leads to."""
        workflow = SubFlow(self.subprocess_specs[name], token.id, self, local)
        self.subprocesses[token.id] = workflow
        workflow.task_tree.data = token.data
        at = token.internal_data.pop("enter", None)
        outputs = workflow.spec.start.outputs if at is None else [workflow.spec.task_specs[at]]
        self.spread(workflow.task_tree, workflow.task_tree, outputs)

    # -- running ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run until nothing automatic is left: agenda first, then joins that nothing can reach, then ended insides."""
        budget = STEP_BUDGET
        while True:
            while self.agenda:
                token = self.agenda.popleft()
                if token.workflow.tasks.get(token.id) is not token or token._state != READY:
                    continue  # dropped meanwhile
                budget -= 1
                if budget < 0:
                    raise RuntimeFault(
                        "budget", self.element(token.task_spec), f"连续自动执行超过 {STEP_BUDGET} 步，流程可能是死循环"
                    )
                token.task_spec.run_token(self, token)
            if not (self._release_inclusive() or self._leave_ended()):
                return

    def _release_inclusive(self) -> bool:
        for workflow in self.workflows():
            joins: dict[str, list[Token]] = {}
            elsewhere: set[str] = set()
            for token in workflow.tasks.values():
                if not token.is_open:
                    continue
                spec = token.task_spec
                if isinstance(spec, specs.InclusiveGateway) and token._state == WAITING:
                    joins.setdefault(spec.name, []).append(token)
                elif isinstance(spec, specs.BoundaryEvent) and token._state == WAITING:
                    continue  # an event that has not happened is no token
                elif isinstance(token.parent.task_spec, specs.EventBasedGateway | specs.Repeated):
                    elsewhere.add(token.parent.task_spec.name)
                else:
                    elsewhere.add(spec.name)
            for name, tokens in joins.items():
                arrived: dict[str, Token] = {}
                for token in tokens:
                    arrived.setdefault(token.internal_data["from"], token)
                others = elsewhere | (joins.keys() - {name})
                if not self.definition.still_coming(workflow.spec, name, set(arrived), others):
                    first = list(arrived.values())
                    self.merge(first, first[-1])
                    return True
        return False

    def _leave_ended(self) -> bool:
        for token_id, workflow in list(self.subprocesses.items()):
            if not any(t.is_open for t in workflow.tasks.values()):
                token = self.find(token_id)
                assert token is not None
                token.data = workflow.last_data or token.data
                if workflow.local is not None:
                    token.internal_data["local"] = workflow.local
                token.task_spec.left(self, token, self.subprocesses.pop(token_id))
                return True
        return False

    # -- events -----------------------------------------------------------------------------------------------------

    def start_timer(self, token: Token, definition: Any) -> None:
        """Set the due moment of a timer event."""
        element = self.element(token.task_spec)
        cycle = isinstance(definition, CycleTimerEventDefinition)
        due, left, every = timing.due(
            definition.expression, cycle, self.now, lambda t: self.evaluate(token, t), element
        )
        token.internal_data = {**token.internal_data, "due": due.isoformat()}
        if cycle:
            token.internal_data |= {"left": left, "every": every}

    def happen(self, token: Token, payload: Mapping[str, Any]) -> None:
        """A waiting event happens: its token goes on; a repeating boundary event stays armed.

        Of what it brings, the names that the diagram declares join the data.
        """
        if payload:
            expected = self.definition.expected(token.task_spec)
            self.write(token.workflow, {k: v for k, v in payload.items() if k in expected})
        spec = token.task_spec
        inner = token.internal_data
        stays = isinstance(spec, specs.BoundaryEvent) and not spec.cancel_activity
        if "every" in inner:
            left = inner["left"]
            stays = stays and left != 1
            if stays:
                due = timing.later(datetime.fromisoformat(inner["due"]), inner["every"])
                token.internal_data = {**inner, "due": due.isoformat(), "left": left - 1 if left else 0}
        elif "due" in inner:
            stays = False
        if stays:
            self.walked(token)
            self.spread(token, token.parent, spec.outputs)
        else:
            self.finish(token, spec.outputs)

    def throw(self, token: Token, definition: Any) -> None:
        """Throw a message or signal out of the instance, an escalation up to the nearest boundary that catches it."""
        if isinstance(definition, EscalationEventDefinition):
            self._up(token.workflow, definition, EscalationEventDefinition)
        elif not isinstance(definition, NoneEventDefinition):
            kind = "message" if isinstance(definition, MessageEventDefinition) else "signal"
            extension: EventExtension = token.task_spec.extensions
            payload = {name: self.value(token, value) for name, value in extension.outputs}
            self.thrown.append(Thrown(kind, definition.name, self.text(token, extension.correlation), payload))

    def raise_error(self, token: Token, code: str | None) -> None:
        """An error end event: the nearest boundary error event around takes it, else the instance is stuck."""
        element = self.element(token.task_spec)
        if not self._up(token.workflow, code, ErrorEventDefinition):
            raise RuntimeFault("error", element, f"错误“{code}”没有边界错误事件来接")

    def fail_job(self, token: Token, code: str) -> bool:
        """A job refused with an error code; False where nothing catches it."""
        return self._caught(token, code, ErrorEventDefinition) or self._up(token.workflow, code, ErrorEventDefinition)

    def _up(self, workflow: Any, thrown: Any, kind: type[Any]) -> bool:
        code: str | None = thrown.code if isinstance(thrown, EscalationEventDefinition) else thrown
        while workflow is not self:
            holder = self.find(workflow.parent_task_id)
            assert holder is not None
            if isinstance(holder.parent.task_spec, specs.Repeated):
                if self._caught(holder.parent, code, kind):
                    return True
            elif self._caught(holder, code, kind):
                return True
            workflow = holder.workflow
        return False

    def _caught(self, activity: Token, code: str | None, kind: type) -> bool:
        split = activity.parent
        if not isinstance(split.task_spec, specs.BoundarySplit):
            return False
        for event in split.children:
            spec = event.task_spec
            if not isinstance(spec, specs.BoundaryEvent) or event._state != WAITING:
                continue
            definition: Any = spec.event_definition
            if isinstance(definition, kind) and getattr(definition, "code", None) in (None, code):
                self.happen(event, {})
                return True
        return False

    # -- data -------------------------------------------------------------------------------------------------------

    def _scopes(self, workflow: Any) -> list[Data]:
        """Return the scopes from the innermost out."""
        found = []
        while True:
            if workflow.local is not None:
                found.append(workflow.local)
            if workflow is self:
                return found
            holder = self.find(workflow.parent_task_id)
            assert holder is not None
            if isinstance(holder.task_spec, specs.CallActivity) and holder.task_spec.isolated:
                return found
            workflow = holder.workflow

    def scope(self, token: Token, inside: Mapping[str, Any] | None = None) -> Data:
        """Return everything an expression at this token may read; `inside`: names over those of its scope."""
        names: Data = {}
        steps: Data = {}
        own = token.internal_data.get("local") or {}
        for layer in (*reversed(self._scopes(token.workflow)), own, inside or {}):
            names |= layer
            steps |= layer.get("steps", {})
        return names | {"steps": steps} | token.data

    def write(self, workflow: Any, values: Mapping[str, Any]) -> None:
        """Write to the innermost scope of a (sub-)process; the engine's own names are never overwritten."""
        self._scopes(workflow)[0].update((name, value) for name, value in values.items() if not is_reserved(name))

    def decided(self, workflow: Any, step: str, outcome: str) -> None:
        """Note in the innermost scope how a step ended; `steps` shows those of the outer scopes too."""
        scope = self._scopes(workflow)[0]
        scope["steps"] = {**scope.get("steps", {}), step: outcome}

    def rule(self, token: Token, use: RuleUse | None) -> None:
        """Let the decision that a business rule task names decide; its value joins the data as plain values.

        Raises RuntimeFault where it has no answer for a reason; a table that matches nothing answers null.
        """
        element = self.element(token.task_spec)
        found = None if use is None else self.definition.decisions.get(use.path)
        if use is None or found is None or use.decision not in found.names:
            raise RuntimeFault("decision", element, "没有这一步要用的决策")
        names = self.scope(token)
        try:
            given = {name: self._value(names, text) for name, text in use.inputs} or names
            wanted = {name: given.get(name) for name in found.inputs(use.decision)}  # what isn't there is null
            decided = found.decide(use.decision, wanted)
            result = to_plain(decided.value)
        except FeelError as error:
            raise RuntimeFault("decision", element, f"决策“{use.decision}”没有结果：{error.message}") from error
        if decided.value is None and decided.messages:
            reasons = "；".join(decided.messages)
            raise RuntimeFault("decision", element, f"决策“{use.decision}”没有结果：{reasons}")
        self.write(token.workflow, {use.result: result})
        self.rulings.append(Ruling(element, use.decision, result, decided.hits))

    def _value(self, names: Data, text: str) -> Any:
        """Evaluate `=FEEL` over names to a FEEL value, or take the text as it is."""
        return self.definition.expression(text[1:]).evaluate(names) if text.startswith("=") else text

    def evaluate(self, token: Token, text: str, inside: Mapping[str, Any] | None = None) -> Any:
        """Evaluate FEEL at a token; a mistake is a fault of that element. `inside`: names beside its scope."""
        try:
            return to_plain(self.definition.expression(text).evaluate(self.scope(token, inside)))
        except FeelError as error:
            raise RuntimeFault(
                "expression", self.element(token.task_spec), f"表达式“{text}”：{error.message}"
            ) from error

    def condition(self, token: Token, text: str, inside: Mapping[str, Any] | None = None) -> bool:
        """Evaluate a condition; null counts as not fulfilled (DMN 1.5, 10.3.2.8)."""
        return self.evaluate(token, text, inside) is True

    def value(self, token: Token, text: str, inside: Mapping[str, Any] | None = None) -> Any:
        """Evaluate `=FEEL`, or take the text as it is."""
        return self.evaluate(token, text[1:], inside) if text.startswith("=") else text

    def text(self, token: Token, text: str) -> str:
        """The same as text."""
        value = self.value(token, text)
        return "" if value is None else str(value)


def _root(workflow: Any) -> Token:
    return Token(workflow, workflow.spec.start, None, COMPLETED, 0)
