"""A parsed version of a process, shared by all its instances: never changed after it is loaded."""

import re
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from SpiffWorkflow.bpmn.parser.ValidationException import ValidationException

from engine import feel, xml
from engine.bpm import decisions
from engine.bpm.extensions import BPMN, ProcessExtension, RuleUse, TaskExtension, parse_process
from engine.bpm.runtime import specs
from engine.bpm.runtime.parser import Parser
from engine.errors import Invalid

_B = f"{{{BPMN}}}"
_DECISIONS = re.compile(r"decisions/[^/]+\.dmn")

# The parser recurses along the flows, some three frames an element; the linter allows 400. Set once, for all threads:
# changing it while another thread compiles breaks that one (CPython 3.11).
sys.setrecursionlimit(max(sys.getrecursionlimit(), 3_000))


class Definition:
    """The graph of a version with its extensions: what the runtime and the commands ask of a diagram."""

    def __init__(
        self, parser: Parser, process_id: str, root: Any, process: Any, rules: Mapping[str, decisions.Decisions]
    ) -> None:
        self.key = process_id
        self.name = process.get("name") or process_id
        self.root = root
        self.process: ProcessExtension = parse_process(process)[0]
        self.spec: Any = parser.get_spec(process_id)
        self.subprocess_specs: dict[str, Any] = parser.get_subprocess_specs(process_id)
        self._prefix = {s.name: "" for s in (self.spec, *self.subprocess_specs.values())}
        for name in self.subprocess_specs:
            owner = parser.owner(name)
            self._prefix[name] = "" if owner == process_id else f"{owner}:"
        self._lines = parser.lines
        self._expressions: dict[str, feel.Expression] = {}
        self._coming: dict[tuple[str, str], dict[str, frozenset[str]]] = {}
        self.tasks: dict[str, TaskExtension] = {}
        self.names: dict[str, str] = {}
        self.ends: set[str] = set()  # end events of the process itself, those with a name
        self.operations: dict[str, Any] = {}
        self.decisions = rules  # by path
        self.rules: dict[str, RuleUse] = {}
        # What bears another name inside: in a called process by its id, items of lists under "": each a name, what it
        # is made of (FEEL or a literal), and the element that gives it.
        self.given: dict[str, list[tuple[str, str, str]]] = {}
        self._thrown: dict[tuple[type, str], frozenset[str]] = {}
        self._entries: dict[str, tuple[str, str]] = {}
        for workflow in (self.spec, *self.subprocess_specs.values()):
            for spec in workflow.task_specs.values():
                self._index(workflow, spec)

    def _index(self, workflow: Any, spec: Any) -> None:
        if spec.bpmn_id is None or spec.name.endswith(" [child]"):
            return
        step = self.qualified(spec)
        self.names[step] = spec.bpmn_name or spec.bpmn_id
        if isinstance(spec, specs.UserTask | specs.ManualTask):
            self.tasks[step] = spec.extensions
        if isinstance(spec, specs.EndEvent) and workflow is self.spec and spec.bpmn_name:
            self.ends.add(step)
        if isinstance(spec, specs.Job):
            self.operations[step] = spec.extensions
        if isinstance(spec, specs.BusinessRuleTask) and spec.extensions is not None:
            self.rules[step] = spec.extensions
        if isinstance(spec, specs.CallActivity):
            self.given.setdefault(spec.spec, []).extend((n, v, step) for n, v in spec.extensions.inputs)
        if isinstance(spec, specs.MultiInstance) and spec.input_item and spec.data_input:
            self.given.setdefault("", []).append((spec.input_item, f"={spec.data_input}", step))
        if isinstance(spec, specs.Throw | specs.EndEvent):
            carried = frozenset(name for name, _ in spec.extensions.outputs)
            self._thrown[_event(spec)] = self._thrown.get(_event(spec), frozenset()) | carried
        split = spec.name + specs.SPLIT
        self._entries[step] = (workflow.name, split if split in workflow.task_specs else spec.name)

    def qualified(self, spec: Any) -> str:
        """Return an element's id, with the called process before it where it is one (`called:review`)."""
        return f"{self._prefix[spec._wf_spec.name]}{spec.bpmn_id or spec.name.removesuffix(specs.SPLIT)}"

    def entry(self, step: str) -> tuple[str, str] | None:
        """Return (process, spec) through which a token enters an element: its boundary split where it has one."""
        return self._entries.get(step)

    def line(self, source: Any, target: Any) -> str | None:
        """Return the qualified id of the sequence flow between two specs; None inside helper specs."""
        line = self._lines.get((source._wf_spec.name, source.bpmn_id or "", target.bpmn_id or _main(target)))
        return None if line is None else self._prefix[source._wf_spec.name] + line

    def expression(self, text: str) -> feel.Expression:
        """Return the compiled expression."""
        found = self._expressions.get(text)
        if found is None:
            found = self._expressions[text] = feel.compile(text)
        return found

    def expected(self, spec: Any) -> frozenset[str]:
        """Return what a catching event may bring: its `piyue:input`, and what this version throws by its name."""
        return self._thrown.get(_event(spec), frozenset()) | frozenset(spec.extensions.expected)

    @property
    def start_step(self) -> str | None:
        """The initiator's step (发起人节点), completed by starting the process."""
        return next((step for step, task in self.tasks.items() if task.start), None)

    def still_coming(self, workflow: Any, join: str, arrived: set[str], elsewhere: set[str]) -> bool:
        """Whether a token elsewhere can reach an empty incoming flow of an inclusive join and none that has arrived.

        BPMN 2.0.2, 13.4.3: paths that don't visit the join itself.
        """
        key = (workflow.name, join)
        sources = self._coming.get(key)
        if sources is None:
            sources = self._coming[key] = {i: _upstream(workflow, i, join) for i in workflow.task_specs[join]._inputs}
        full = frozenset[str]().union(*(sources[i] for i in arrived))
        empty = frozenset[str]().union(*(s for i, s in sources.items() if i not in arrived))
        return bool((elsewhere & empty) - full)

    @cached_property
    def fields(self) -> frozenset[str]:
        """Names of the searchable fields."""
        return frozenset(name for name, _ in self.process.searchable)


def _event(spec: Any) -> tuple[type, str]:
    """Return kind and name of a message or signal."""
    return type(spec.event_definition), spec.event_definition.name


def _main(spec: Any) -> str:
    return str(spec.main) if isinstance(spec, specs.BoundarySplit) else ""


def _upstream(workflow: Any, start: str, join: str) -> frozenset[str]:
    """Specs from which a path leads to `start` (an input of the join) without visiting the join."""
    found, stack = set(), [start]
    while stack:
        name = stack.pop()
        if name in found or name == join:
            continue
        found.add(name)
        stack.extend(workflow.task_specs[name]._inputs)
    return frozenset(found)


def _check_ids(root: Any, path: str) -> None:
    """Refuse the one kind of id that the library's parser takes for a helper of its own."""
    for element in root.iter():
        if element.get("id", "").endswith(".BoundaryEventSplit"):
            raise Invalid(
                f"{path} 第 {element.sourceline} 行：元素 id“{element.get('id')}”不可用，请换一个 id",
                code="bpmn_refused",
            )


def load(files: Mapping[str, str | bytes]) -> Definition:
    """Parse `process.bpmn`, the other .bpmn files that it calls, and the decisions that its rule tasks name.

    Raises Invalid with file and line where a parser refuses one; the linter finds most before.
    """
    parser = Parser()
    main: tuple[Any, Any] | None = None
    try:
        for path, content in files.items():
            if not path.endswith(".bpmn"):
                continue
            root = xml.parse(content, path)
            _check_ids(root, path)
            parser.add_bpmn_xml(root, filename=path)
            parser.add_lines(root)
            if path == "process.bpmn":
                process = next((p for p in root.iter(f"{_B}process") if p.get("isExecutable", "true") == "true"), None)
                if process is not None:
                    main = (root, process)
        if main is None:
            raise Invalid("process.bpmn 里没有可执行的流程", code="bpmn_no_process")
        rules = {path: decisions.read(files, path) for path in files if _DECISIONS.fullmatch(path)}
        return Definition(parser, main[1].get("id"), *main, rules)
    except ValidationException as error:
        place = f"{error.file_name or 'process.bpmn'}" + (f" 第 {error.line_number} 行" if error.line_number else "")
        raise Invalid(f"{place}：流程图无法解析（{error.args[0]}）", code="bpmn_refused") from error
    except (RecursionError, KeyError, AttributeError, TypeError) as error:
        raise Invalid(f"流程图无法解析（{type(error).__name__}: {error}）", code="bpmn_refused") from error
