"""SpiffWorkflow's BPMN parser with our elements in its tables and our extensions read.

Not supported, refused by the linter: signal end events, compensation, links, event and ad-hoc sub-processes,
transactions, complex gateways, multi-instance user tasks, conditional events.
"""

from typing import Any

from lxml import etree
from SpiffWorkflow.bpmn.parser.BpmnParser import BpmnParser
from SpiffWorkflow.bpmn.parser.ProcessParser import ProcessParser
from SpiffWorkflow.bpmn.parser.task_parsers import ScriptTaskParser, TaskParser
from SpiffWorkflow.bpmn.specs.bpmn_process_spec import BpmnProcessSpec

from engine.bpm.extensions import BPMN, PARSERS
from engine.bpm.runtime import specs

_B = f"{{{BPMN}}}"
_CLASSES = {
    "startEvent": specs.StartEvent,
    "endEvent": specs.EndEvent,
    "userTask": specs.UserTask,
    "task": specs.Pass,
    "subProcess": specs.SubProcess,
    "manualTask": specs.ManualTask,
    "exclusiveGateway": specs.ExclusiveGateway,
    "parallelGateway": specs.ParallelGateway,
    "inclusiveGateway": specs.InclusiveGateway,
    "callActivity": specs.CallActivity,
    "scriptTask": specs.ScriptTask,
    "serviceTask": specs.ServiceTask,
    "businessRuleTask": specs.BusinessRuleTask,
    "intermediateCatchEvent": specs.CatchEvent,
    "intermediateThrowEvent": specs.ThrowEvent,
    "boundaryEvent": specs.BoundaryEvent,
    "receiveTask": specs.ReceiveTask,
    "sendTask": specs.SendTask,
    "eventBasedGateway": specs.EventBasedGateway,
}


class _Extended:
    """Mixed into every element parser: extensions, document order, our boundary and multi-instance specs."""

    node: Any
    spec: Any
    task: Any
    bpmn_id: str
    process_parser: Any
    xpath: Any

    def parse_extensions(self, node: Any = None) -> Any:
        """Read the piyue extension; problems are the linter's to report."""
        parse = PARSERS.get(etree.QName(self.node).localname)
        return None if parse is None else parse(self.node)[0]

    def get_position(self, node: Any = None) -> dict[str, float]:
        """Outgoing flows keep the order of the document, not of the drawing."""
        return {"x": 0.0, "y": 0.0}

    def _add_boundary_event(self, children: list[Any]) -> Any:
        split = specs.BoundarySplit(self.spec, self.bpmn_id + specs.SPLIT)
        split.main = self.task.name
        split.connect(self.task)
        for event in children:
            split.connect(self.process_parser.parse_node(event))
        return split

    def _wrap(self, wrapper: Any) -> None:
        original = self.spec.task_specs.pop(self.task.name)
        original.name += " [child]"
        self.spec.task_specs[original.name] = original
        wrapper = wrapper(original.bpmn_id)
        wrapper.task_spec, wrapper.bpmn_id, wrapper.bpmn_name = original.name, original.bpmn_id, original.bpmn_name
        self.task = wrapper

    def _add_multiinstance_task(self, loop: Any) -> None:
        text = {
            name: self._loop_text(loop, name) for name in ("loopCardinality", "loopDataInputRef", "loopDataOutputRef")
        }
        names = {name: loop.find(f"{_B}{name}") for name in ("inputDataItem", "outputDataItem")}
        item = {k: None if n is None else (n.get("name") or n.get("id")) for k, n in names.items()}
        made = specs.SequentialMultiInstance if loop.get("isSequential") == "true" else specs.MultiInstance
        self._wrap(
            lambda name: made(
                self.spec,
                name,
                task_spec="",
                cardinality=text["loopCardinality"],
                data_input=text["loopDataInputRef"],
                data_output=text["loopDataOutputRef"],
                input_item=item["inputDataItem"],
                output_item=item["outputDataItem"],
                condition=self._loop_text(loop, "completionCondition"),
            )
        )

    def _add_loop_task(self, loop: Any) -> None:
        maximum = loop.get("loopMaximum")
        before = loop.get("testBefore", "false") == "true"
        condition = self._loop_text(loop, "loopCondition")
        self._wrap(
            lambda name: specs.StandardLoop(self.spec, name, "", int(maximum) if maximum else None, condition, before)
        )

    @staticmethod
    def _loop_text(loop: Any, name: str) -> str | None:
        node = loop.find(f"{_B}{name}")
        return None if node is None or not (node.text or "").strip() else node.text.strip()


class _NoScript(TaskParser):  # type: ignore[misc]
    """A script task without script text: its operation is in the extension."""

    def create_task(self) -> Any:
        """Create the task; the text, if any, is left unread."""
        return self.spec_class(self.spec, self.bpmn_id, script="", **self.bpmn_attributes)


def _extended(parser: Any) -> Any:
    base = _NoScript if parser is ScriptTaskParser else parser
    return type(parser.__name__, (_Extended, base), {})


class _ProcessSpec(BpmnProcessSpec):  # type: ignore[misc]
    """A process whose helper specs have names that no element can have (an id is an NCName: it has no #)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, spec in list(self.task_specs.items()):
            del self.task_specs[name]
            spec.name = f"#{name}"
            spec._outputs = [f"#{n}" for n in spec._outputs]
            spec._inputs = [f"#{n}" for n in spec._inputs]
            self.task_specs[spec.name] = spec


class _ProcessParser(ProcessParser):  # type: ignore[misc]
    """Finds an activity with boundary events by the split that holds them."""

    def create_spec(self) -> Any:
        """Return the empty process."""
        return _ProcessSpec(name=self.bpmn_id, description=self.get_name(), filename=self.filename)

    def parse_node(self, node: Any) -> Any:
        """Return an element's spec; an activity's split where it has one."""
        split = self.spec.task_specs.get(node.get("id") + specs.SPLIT)
        return super().parse_node(node) if split is None else split


class Parser(BpmnParser):  # type: ignore[misc]
    """The parser of our diagrams."""

    OVERRIDE_PARSER_CLASSES = {
        # of a business rule task the library's own parser knows nothing: it is read like a plain task
        _B + tag: (_extended(BpmnParser.PARSER_CLASSES.get(_B + tag, (TaskParser,))[0]), spec)
        for tag, spec in _CLASSES.items()
    }
    PROCESS_PARSER_CLASS = _ProcessParser

    def __init__(self) -> None:
        super().__init__()
        self.lines: dict[tuple[str, str, str], str] = {}

    def add_lines(self, root: Any) -> None:
        """Remember the ids of the sequence flows by (process or sub-process, source, target)."""
        for line in root.iter(f"{_B}sequenceFlow"):
            key = (line.getparent().get("id"), line.get("sourceRef"), line.get("targetRef"))
            self.lines[key] = line.get("id")

    def owner(self, name: str) -> str:
        """Return the id of the process that a (sub-)process stands in."""
        node = self.process_parsers[name].node
        while node.tag != f"{_B}process":
            node = node.getparent()
        return str(node.get("id"))
