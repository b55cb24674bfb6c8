"""What no story has shown: flows, outcomes, returns and rules that one would publish without having seen them."""

from collections.abc import Iterator
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import xml
from engine.bpm.definitions import Version
from engine.bpm.extensions import BPMN
from engine.bpm.models import ActionLog, Instance

_B = f"{{{BPMN}}}"


def gaps(session: Session, version: Version) -> list[str]:
    """Return a sentence for each flow that no instance of the process has walked, each outcome, return and rule unused.

    `session` is that of a database in which the stories have been played.
    """
    definition = version.definition
    rows = session.execute(
        select(ActionLog.verb, ActionLog.step, ActionLog.outcome, ActionLog.path, ActionLog.detail)
        .join(Instance, Instance.id == ActionLog.instance_id)
        .where(Instance.process_key == definition.key)
    ).all()
    walked = {element for row in rows for element in orjson.loads(row.path)}
    chosen = {(row.step, row.outcome) for row in rows if row.verb == "complete"}
    returned = {row.step for row in rows if row.verb == "return"}
    found = [f"没有走过的线：{told}（{flow}）" for flow, told in _flows(version) if flow not in walked]
    for step, task in definition.tasks.items():
        name = definition.names[step]
        if not task.start and task.kind != "read":
            unused = [outcome.name for outcome in task.outcomes if (step, outcome.id) not in chosen]
            found += [f"没有选过的结果：{name}（{step}）的“{outcome}”" for outcome in unused]
            if task.returns.targets != () and step not in returned:
                found.append(f"没有退回过的步骤：{name}（{step}）")
    return found + list(_rules(version, [orjson.loads(row.detail) for row in rows if row.verb == "decide"]))


def _rules(version: Version, rulings: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a sentence for each table of the folder's decisions with rules that none of these rulings hit."""
    hit = {
        (hit["decision"], hit["table"], rule) for ruling in rulings for hit in ruling["hits"] for rule in hit["rules"]
    }
    for path, decisions in version.definition.decisions.items():
        for table in decisions.tables:
            missed = [str(n) for n in range(1, len(table.rules) + 1) if (table.decision, table.id, n) not in hit]
            if missed:
                yield f"没有命中过的规则：{table.decision}（{path}）第 {'、'.join(missed)} 条"


def _flows(version: Version) -> Iterator[tuple[str, str]]:
    """Yield each flow as the trail names it, and how a person finds it."""
    definition = version.definition
    for path, text in version.files.items():
        if not path.endswith(".bpmn"):
            continue
        for process in xml.parse(text, path).iter(f"{_B}process"):
            prefix = "" if process.get("id") == definition.key else f"{process.get('id')}:"
            for flow in process.iter(f"{_B}sequenceFlow"):
                source, target = (prefix + flow.get(end, "") for end in ("sourceRef", "targetRef"))
                ends = f"{definition.names.get(source, source)} → {definition.names.get(target, target)}"
                name = flow.get("name")
                yield prefix + flow.get("id", ""), f"{ends}“{name}”" if name else ends
