"""SpiffWorkflow's script engine, replaced whole: what the library would hand to Python is FEEL, or refused."""

from collections.abc import Mapping
from typing import Any

from engine.bpm.runtime.tree import Token
from engine.bpm.runtime.types import RuntimeFault


class FeelScripts:
    """What a workflow calls its script engine: it evaluates FEEL and runs nothing.

    The elements of `specs` ask the flow themselves; this is for whatever of the library's own code still asks.
    """

    def evaluate(self, task: Token, expression: str, external_context: Mapping[str, Any] | None = None) -> Any:
        """Return the plain value of a FEEL expression at a task. Raises RuntimeFault."""
        return task.workflow.flow.evaluate(task, expression, external_context)

    def execute(self, task: Token, script: str, external_context: Mapping[str, Any] | None = None) -> Any:
        """Refuse: no script of a diagram is run. Raises RuntimeFault."""
        raise RuntimeFault("expression", task.workflow.flow.element(task.task_spec), "引擎不运行图里的脚本")

    def call_service(self, task: Token, **given: Any) -> Any:
        """Refuse: operations run as jobs. Raises RuntimeFault."""
        raise RuntimeFault("expression", task.workflow.flow.element(task.task_spec), "引擎不从图里调用服务")
