"""Short ways to write the diagrams of the contracts, and to look at what isn't a work item."""

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from engine.bpm.models import Incident, Timer, WorkItem, WorkRound
from tests.dsl import Bpm, Item, Story, chain, start_task

MONDAY = datetime(2026, 3, 2, 1, tzinfo=UTC)  # 9:00 in the hospital


def diagram(body: str, key: str = "p", extension: str = "", outside: str = "") -> dict[str, str]:
    """Return the files of a process; `outside` are messages, signals, errors beside it."""
    return {
        "process.bpmn": '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<definitions xmlns="http://www.omg.org/spec/BPMN/20100524/MODEL" '
        'xmlns:piyue="urn:piyue:bpmn" id="d" targetNamespace="urn:test">'
        f'{outside}<process id="{key}" name="{key}" isExecutable="true">'
        f"<extensionElements>{extension}</extensionElements>{body}</process></definitions>"
    }


def line(*elements: tuple[str, str], key: str = "p", extension: str = "", outside: str = "") -> dict[str, str]:
    """Return a process of the initiator's step and then these (id, xml) in a row."""
    names = [name for name, _ in elements]
    return diagram(
        '<startEvent id="s"/><endEvent id="e"/>'
        + start_task()
        + "".join(xml for _, xml in elements)
        + chain("s", "apply", *names, "e"),
        key,
        extension,
        outside,
    )


def starting(form_name: str, *, inner: str = "") -> str:
    """Return the initiator's step with a form."""
    return (
        '<userTask id="apply" name="apply"><extensionElements>'
        f'<piyue:task kind="fill" start="true" form="{form_name}"/>'
        f'<piyue:assign rule="initiator"/>{inner}</extensionElements></userTask>'
    )


def form(name: str, *fields: str | tuple[str, str], required: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a form file of text fields, or of (key, form-js type)."""
    components: list[dict[str, Any]] = []
    for given in fields:
        key, kind = (given, "textfield") if isinstance(given, str) else given
        component: dict[str, Any] = {"type": kind, "id": f"field_{len(components)}", "key": key, "label": key}
        if key in required:
            component["validate"] = {"required": True}
        components.append(component)
    text = json.dumps({"schemaVersion": 19, "id": f"form_{name}", "type": "default", "components": components})
    return {f"forms/{name}.json": text}


def timer(text: str, kind: str = "timeDuration") -> str:
    """Return a timer's definition."""
    return f"<timerEventDefinition><{kind}>{text}</{kind}></timerEventDefinition>"


def boundary(name: str, host: str, inner: str, *, interrupting: bool = True) -> str:
    """Return a boundary event."""
    cancels = str(interrupting).lower()
    return f'<boundaryEvent id="{name}" attachedToRef="{host}" cancelActivity="{cancels}">{inner}</boundaryEvent>'


def sub(name: str, *elements: tuple[str, str], inner: str = "") -> str:
    """Return an embedded sub-process with these (id, xml) in a row."""
    names = [one for one, _ in elements]
    body = "".join(xml for _, xml in elements) + chain(f"{name}_begin", *names, f"{name}_finish")
    ends = f'<startEvent id="{name}_begin"/><endEvent id="{name}_finish"/>'
    return f'<subProcess id="{name}" name="{name}">{inner}{ends}{body}</subProcess>'


def by_task_id(story: Story, step: str) -> int:
    """Return the engine's id of the open task at a step."""
    with story.bpm.db.reading() as session:
        found = session.scalar(
            select(WorkRound.task_id).where(
                WorkRound.instance_id == story.id, WorkRound.step == step, WorkRound.closed_at.is_(None)
            )
        )
    assert found is not None
    return found


def timers(story: Story) -> dict[str, datetime]:
    """Return the running timers: element to due moment."""
    with story.bpm.db.reading() as session:
        rows = session.scalars(select(Timer).where(Timer.instance_id == story.id))
        return {row.element: row.due_at for row in rows}


def incidents(story: Story, *, resolved: bool = False) -> list[str]:
    """Return the kinds of the instance's open incidents, or of the mended ones."""
    with story.bpm.db.reading() as session:
        when = Incident.resolved_at.is_not(None) if resolved else Incident.resolved_at.is_(None)
        return list(session.scalars(select(Incident.kind).where(Incident.instance_id == story.id, when)))


def row(bpm: Bpm, item: Item) -> WorkItem:
    """Return an item's row."""
    with bpm.db.reading() as session:
        found = session.get(WorkItem, item.id)
        assert found is not None
        return found


def data(story: Story) -> dict[str, Any]:
    """Return the instance's data."""
    return dict(json.loads(story.instance.data))
