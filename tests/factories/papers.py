"""A process whose form has a file field that the second step may edit, and one that it may not see."""

import json

from tests.dsl import bpmn, chain, start_task, task

FORM = {
    "type": "default",
    "schemaVersion": 19,
    "id": "papers",
    "components": [
        {"type": "filepicker", "key": key, "id": key, "label": key, "multiple": True} for key in ("open", "secret")
    ],
}
PROCESS = bpmn(
    '<startEvent id="s"/><endEvent id="e"/>'
    + start_task().replace('kind="fill"', 'kind="fill" form="papers"')
    + task("check", "head_nurse", kind="fill", inner="").replace(
        'kind="fill"/>',
        'kind="fill" form="papers"/><piyue:field key="open" access="edit"/><piyue:field key="secret" access="hidden"/>',
    )
    + chain("s", "apply", "check", "e"),
    key="papers",
) | {"forms/papers.json": json.dumps(FORM)}
