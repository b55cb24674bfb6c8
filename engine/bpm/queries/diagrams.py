"""Where an instance stands on its diagram (流程图): the path walked, the open steps, who handles them."""

import itertools
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy.orm import Session, undefer

from engine.batch import Batch, Statement
from engine.bpm import definitions, visibility
from engine.bpm.models import Instance
from engine.bpm.queries.trail import Step, ask_steps, awaited, told_steps
from engine.bpm.runtime import Awaited
from engine.org.actor import Actor
from engine.org.directory import REVISION, directory

MAX_ROWS = 5_000
"""Rows of the trail that the path is read from; of a longer one the newest."""
_HANDLERS = 10
_PATHS = Statement("SELECT path FROM action_log WHERE instance_id = :id AND path <> '[]' ORDER BY id DESC LIMIT :most")


@dataclass(frozen=True, slots=True)
class Diagram:
    """The diagram of an instance's version. `walked` holds ids of elements and flows in the order of their first visit;
    those inside a called process have its id before theirs (`review:check`), and so has `called` its file's text.
    `steps` are the open rounds, `awaited` what the instance waits for beside its people.
    """

    xml: str
    called: Mapping[str, str]
    walked: tuple[str, ...]
    open: tuple[str, ...]
    handlers: Mapping[str, tuple[str, ...]]
    steps: tuple[Step, ...]
    awaited: tuple[Awaited, ...]


def diagram(session: Session, viewer: Actor, instance_id: uuid.UUID) -> Diagram:
    """Return the diagram of an instance with its state. Raises NotFound unless the viewer may see the instance."""
    instance = visibility.require(session, viewer, instance_id, undefer(Instance.engine_state))
    version = definitions.version(session, instance.version_id)
    batch = Batch()
    batch.query(_PATHS, {"id": instance_id, "most": MAX_ROWS})
    ask_steps(batch, viewer, instance_id)
    batch.query(REVISION, {})
    paths, *answers, revision = batch.run(session)
    walked = itertools.chain.from_iterable(orjson.loads(row.path) for row in reversed(paths))
    known = told_steps(version.definition, directory(session, revision[0].revision), answers)
    steps = tuple(step for step in known if step.closed_at is None)
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
        steps=steps,
        awaited=awaited(version.definition, instance),
    )
