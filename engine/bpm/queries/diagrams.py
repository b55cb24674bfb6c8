"""Where an instance stands on its diagram (流程图): the path walked, the open steps, who handles them."""

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpm import definitions, visibility
from engine.bpm.models import ActionLog
from engine.bpm.queries.trail import Trail
from engine.org.actor import Actor

MAX_ROWS = 5_000
"""Rows of the trail that the path is read from; of a longer one the newest."""
_HANDLERS = 10


@dataclass(frozen=True, slots=True)
class Diagram:
    """The diagram of an instance's version. `walked` holds ids of elements and flows in the order of their first visit;
    those inside a called process have its id before theirs (`review:check`), and so has `called` its file's text.
    """

    xml: str
    called: Mapping[str, str]
    walked: tuple[str, ...]
    open: tuple[str, ...]
    handlers: Mapping[str, tuple[str, ...]]


def diagram(session: Session, viewer: Actor, instance_id: uuid.UUID) -> Diagram:
    """Return the diagram of an instance with its state. Raises NotFound unless the viewer may see the instance."""
    instance = visibility.require(session, viewer, instance_id)
    version = definitions.version(session, instance.version_id)
    newest = select(ActionLog.path).where(ActionLog.instance_id == instance_id, ActionLog.path != "[]")
    paths = session.scalars(newest.order_by(ActionLog.id.desc()).limit(MAX_ROWS)).all()
    walked = itertools.chain.from_iterable(orjson.loads(path) for path in reversed(paths))
    steps = [step for step in Trail(session, viewer, instance).steps() if step.closed_at is None]
    handlers: dict[str, tuple[str, ...]] = {}
    for step in steps:
        names = (person.name for person in step.waiting[:_HANDLERS])
        handlers[step.step] = tuple(dict.fromkeys([*handlers.get(step.step, ()), *names]))
    return Diagram(
        xml=version.files["process.bpmn"],
        called={path: text for path, text in version.files.items() if path.startswith("called/")},
        walked=tuple(dict.fromkeys(walked)),
        open=tuple(dict.fromkeys(step.step for step in steps)),
        handlers=handlers,
    )
