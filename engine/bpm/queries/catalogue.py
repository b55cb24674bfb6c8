"""Processes and their versions: what one may start, what is deployed, what differs between two versions."""

import itertools
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lxml import etree
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine import xml
from engine.bpm import definitions
from engine.bpm.commands.start import may_start
from engine.bpm.definitions import Version
from engine.bpm.extensions import BPMN
from engine.bpm.models import Instance, InstanceState, Process, ProcessVersion, WorkRound
from engine.bpm.queries.views import FormView
from engine.errors import Conflict, Forbidden, NotFound
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, Actor
from engine.org.models import Department, Person

_B = f"{{{BPMN}}}"
_LINKS = (f"{_B}incoming", f"{_B}outgoing")  # said again by the flows


@dataclass(frozen=True, slots=True)
class Startable:
    """A process that the viewer may start."""

    key: str
    name: str
    category: str
    documentation: str


@dataclass(frozen=True, slots=True)
class StartPage:
    """The form of a process's first step, empty, and the version it belongs to; `form` is None without a form."""

    process: Startable
    version_id: uuid.UUID
    form: FormView | None


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """A process in the designers' list; `running` counts instances of all versions."""

    key: str
    name: str
    category: str
    version_number: int | None
    deployed_at: datetime | None
    suspended_at: datetime | None
    running: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version of a process; `running` counts the instances that are on it."""

    id: uuid.UUID
    number: int
    deployed_at: datetime
    deployed_by: str | None
    note: str
    current: bool
    running: int


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a diagram: `what` says what changed of it: name, attributes, settings (piyue:…), content."""

    id: str
    type: str
    name: str
    what: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How many running instances of a version stand on a step; `removed` when the newer version has no such step."""

    version_id: uuid.UUID
    step: str
    step_name: str
    instances: int
    removed: bool


@dataclass(frozen=True, slots=True)
class VersionDiff:
    """What differs between two versions, and which running instances it touches. `files`: paths that differ."""

    added: tuple[Element, ...]
    removed: tuple[Element, ...]
    changed: tuple[Element, ...]
    files: tuple[str, ...]
    running: Mapping[uuid.UUID, int]
    standing: tuple[Standing, ...]


def startable(session: Session, viewer: Actor) -> list[tuple[str, tuple[Startable, ...]]]:
    """Return the processes that the viewer may start, by category; suspended ones are left out."""
    ids = session.scalars(
        select(ProcessVersion.id)
        .join(Process, Process.current_version_id == ProcessVersion.id)
        .where(Process.suspended_at.is_(None))
        .order_by(Process.category, Process.key)
    )
    versions = [definitions.version(session, version_id) for version_id in ids]
    codes = _codes(session, viewer)
    found = [_startable(v) for v in versions if may_start(viewer, v.definition.process.starters, codes)]
    return [(category, tuple(group)) for category, group in itertools.groupby(found, key=lambda p: p.category)]


def start_page(session: Session, viewer: Actor, process_key: str) -> StartPage:
    """Return what is filled in to start a process.

    Raises NotFound for an unknown process, Forbidden for who may not start it, Conflict while it is suspended.
    """
    version = definitions.current(session, process_key)
    if not may_start(viewer, version.definition.process.starters, _codes(session, viewer)):
        raise Forbidden(f"您不能发起“{version.definition.name}”", code="not_starter")
    process = session.get_one(Process, process_key)
    if process.suspended_at is not None:
        raise Conflict(f"流程“{process.name}”已停用，暂不能发起", code="process_suspended")
    step, form = version.definition.start_step, None
    if step is not None and (named := version.form(step)) is not None:
        form = FormView.of_step(version, step, named.defaults(), editable=True)
    return StartPage(_startable(version), version.id, form)


def processes(session: Session, viewer: Actor) -> list[ProcessRow]:
    """Return all processes, for designers, process admins and auditors. Raises Forbidden for others."""
    require_designer(viewer)
    running = (
        select(func.count())
        .where(Instance.state == InstanceState.RUNNING, Instance.process_key == Process.key)
        .scalar_subquery()
    )
    statement = (
        select(
            Process.key, Process.name, Process.category, ProcessVersion.number, ProcessVersion.deployed_at,
            Process.suspended_at, running,
        )
        .outerjoin(ProcessVersion, ProcessVersion.id == Process.current_version_id)
        .order_by(Process.category, Process.key)
    )  # fmt: skip
    return [ProcessRow(*row) for row in session.execute(statement)]


def definition_versions(session: Session, viewer: Actor, process_key: str) -> list[VersionRow]:
    """Return the versions of a process, newest first. Raises Forbidden as `processes`, NotFound."""
    require_designer(viewer)
    process = session.get(Process, process_key)
    if process is None:
        raise NotFound("没有这个流程", code="process_not_found")
    on_version = (
        select(Instance.version_id, func.count().label("running"))
        .where(Instance.state == InstanceState.RUNNING, Instance.process_key == process_key)
        .group_by(Instance.version_id)
        .subquery()
    )
    statement = (
        select(
            ProcessVersion.id, ProcessVersion.number, ProcessVersion.deployed_at, Person.name, ProcessVersion.note,
            ProcessVersion.id == process.current_version_id, func.coalesce(on_version.c.running, 0),
        )
        .outerjoin(Person, Person.id == ProcessVersion.deployed_by)
        .outerjoin(on_version, on_version.c.version_id == ProcessVersion.id)
        .where(ProcessVersion.key == process_key)
        .order_by(ProcessVersion.number.desc())
    )  # fmt: skip
    return [VersionRow(*row) for row in session.execute(statement)]


def version_files(session: Session, viewer: Actor, version_id: uuid.UUID) -> Mapping[str, str]:
    """Return the files of a version by path. Raises Forbidden as `processes`, NotFound."""
    require_designer(viewer)
    return definitions.version(session, version_id).files


def version_diff(session: Session, viewer: Actor, old_id: uuid.UUID, new_id: uuid.UUID) -> VersionDiff:
    """Compare two versions of one process by the ids of their elements; layout doesn't count.

    Raises Forbidden as `processes`, NotFound, Conflict for versions of different processes.
    """
    require_designer(viewer)
    old, new = definitions.version(session, old_id), definitions.version(session, new_id)
    if old.key != new.key:
        raise Conflict("两个版本不属于同一个流程，不能比较", code="other_process")
    before, after = dict(_elements(old)), dict(_elements(new))
    paths = sorted(old.files.keys() | new.files.keys())
    running = (
        select(Instance.version_id, func.count())
        .where(Instance.state == InstanceState.RUNNING, Instance.process_key == old.key)
        .where(Instance.version_id.in_((old_id, new_id)))
        .group_by(Instance.version_id)
    )
    standing = (
        select(Instance.version_id, WorkRound.step, WorkRound.step_name, func.count(Instance.id.distinct()))
        .join(WorkRound, WorkRound.instance_id == Instance.id)
        .where(Instance.state == InstanceState.RUNNING, Instance.process_key == old.key)
        .where(Instance.version_id.in_((old_id, new_id)), WorkRound.closed_at.is_(None))
        .group_by(Instance.version_id, WorkRound.step, WorkRound.step_name)
        .order_by(Instance.version_id, WorkRound.step)
    )
    return VersionDiff(
        added=tuple(after[id_].shown() for id_ in after if id_ not in before),
        removed=tuple(before[id_].shown() for id_ in before if id_ not in after),
        changed=tuple(
            after[id_].shown(what) for id_ in after if id_ in before and (what := after[id_].differs(before[id_]))
        ),
        files=tuple(path for path in paths if old.files.get(path) != new.files.get(path)),
        running={old_id: 0, new_id: 0} | dict(session.execute(running).all()),
        standing=tuple(Standing(*row, row.step not in after) for row in session.execute(standing)),
    )


@dataclass(frozen=True, slots=True)
class _Read:
    """What counts of an element: everything but where it is drawn and what hangs below it with an id of its own."""

    id: str
    type: str
    name: str
    attributes: Mapping[str, str]
    settings: bytes
    content: bytes

    def shown(self, what: tuple[str, ...] = ()) -> Element:
        return Element(self.id, self.type, self.name, what)

    def differs(self, other: "_Read") -> tuple[str, ...]:
        parts = ("type", "name", "attributes", "settings", "content")
        return tuple(part for part in parts if getattr(self, part) != getattr(other, part))


def _elements(version: Version) -> Iterator[tuple[str, _Read]]:
    """Yield the processes of a version and their elements by qualified id: those of called ones begin with theirs."""
    for path, text in version.files.items():
        if path.endswith(".bpmn"):
            for process in xml.parse(text, path).iter(f"{_B}process"):
                prefix = "" if path == "process.bpmn" else f"{process.get('id')}:"
                for node in process.iter(f"{_B}*"):
                    if node.get("id") and (node is process or _stands(node)):
                        read = _read(node, f"{prefix}{node.get('id')}")
                        yield read.id, read


def _stands(node: Any) -> bool:
    """Whether an element is one of the flow, not a part of another, as the definition of a timer is."""
    return node.getparent().tag in (f"{_B}process", f"{_B}subProcess", f"{_B}transaction")


def _read(node: Any, qualified: str) -> _Read:
    attributes = {name: value for name, value in node.attrib.items() if name not in ("id", "name")}
    flow = etree.QName(node).localname in ("process", "subProcess", "transaction")
    settings, content = b"", b""
    for child in node:
        if child.tag == f"{_B}extensionElements":
            settings += _canonical(child)
        elif child.tag not in _LINKS and not (flow and child.get("id")):
            content += _canonical(child)
    return _Read(qualified, etree.QName(node).localname, node.get("name", ""), attributes, settings, content)


def _canonical(node: Any) -> bytes:
    text: str = etree.canonicalize(etree.tostring(node, with_tail=False, encoding="unicode"), strip_text=True)
    return text.encode()


def _startable(version: Version) -> Startable:
    process = next(version.definition.root.iter(f"{_B}process"))
    return Startable(
        key=version.key,
        name=version.definition.name,
        category=version.definition.process.category,
        documentation=(process.findtext(f"{_B}documentation") or "").strip(),
    )


def _codes(session: Session, viewer: Actor) -> frozenset[str]:
    return frozenset(session.scalars(select(Department.code).where(Department.id.in_(viewer.departments))))


def require_designer(viewer: Actor) -> None:
    """Raise Forbidden unless the viewer may read process definitions."""
    if not viewer.has(DESIGNER, ADMIN, AUDITOR):
        raise Forbidden("只有流程设计员、流程管理员和审计员可以查看流程定义", code="not_designer")
