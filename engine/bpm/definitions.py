"""Versions of processes (流程定义): deploy after lint, keep every version, load each once per server process."""

import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from threading import Lock

import orjson
import zstandard
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock, xml
from engine.audit import record
from engine.bpm import assignment, lint, runtime
from engine.bpm.extensions import BPMN
from engine.bpm.forms import Form
from engine.bpm.models import Process, ProcessVersion
from engine.bpm.operations import operation_names
from engine.bpm.vacancies import vacancies
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.org.actor import ADMIN, DESIGNER, Actor
from engine.org.directory import directory

MAX_FILES = 100
MAX_BYTES = 4 * 1024 * 1024
BESIDE = ("README.md", "scenarios.yaml")
"""Files that are not run, but kept with a version."""
_PATH = re.compile(r"process\.bpmn|(called|forms|decisions)/[\w.-]{1,80}\.(bpmn|json|dmn)|README\.md|scenarios\.yaml")


@dataclass(frozen=True, slots=True)
class Version:
    """A deployed version, ready to run: its graph and its forms.

    `labels` name the forms' fields; `shown_by` are the names that title, summary and urgency are made of.
    """

    id: uuid.UUID
    key: str
    number: int
    definition: runtime.Definition
    forms: Mapping[str, Form]
    files: Mapping[str, str]
    labels: Mapping[str, str]
    shown_by: frozenset[str]

    def form(self, step: str) -> Form | None:
        """Return the form of a step."""
        name = self.definition.tasks[step].form
        return None if name is None else self.forms[name]


_cache: dict[uuid.UUID, Version] = {}
_lock = Lock()


def version(session: Session, version_id: uuid.UUID) -> Version:
    """Return a version by id; parsed once per server process."""
    found = _cache.get(version_id)
    if found is None:
        row = session.get(ProcessVersion, version_id)
        if row is None:
            raise NotFound("没有这个流程版本", code="version_not_found")
        found = _build(row.id, row.key, row.number, unpack(row.files))
        with _lock:
            _cache[version_id] = found
    return found


def current(session: Session, key: str) -> Version:
    """Return the version that new instances of a process run on."""
    row = session.get(Process, key)
    if row is None or row.current_version_id is None:
        raise NotFound(f"没有流程“{key}”", code="process_not_found")
    return version(session, row.current_version_id)


def _build(version_id: uuid.UUID, key: str, number: int, files: Mapping[str, str]) -> Version:
    forms = {
        path.removeprefix("forms/").removesuffix(".json"): Form.load(text, place=path)
        for path, text in files.items()
        if path.startswith("forms/") and path.endswith(".json")
    }
    definition = runtime.load(files)
    shown = (definition.process.title, definition.process.summary, definition.process.urgency)
    used = [definition.expression(text[1:]) for text in shown if text.startswith("=")]
    return Version(
        id=version_id,
        key=key,
        number=number,
        definition=definition,
        forms=forms,
        files=files,
        labels=assignment.labels(forms.values()),
        shown_by=frozenset().union(*(e.names | e.possible_names for e in used)),
    )


def deploy(
    session: Session, actor: Actor | None, files: Mapping[str, str | bytes], *, note: str = ""
) -> ProcessVersion:
    """Check the files of a process and make them its newest version (部署); running instances stay on theirs.

    `files` maps paths (`process.bpmn`, `forms/x.json`, …) to texts. The same files again give the version that exists,
    which is not `fresh` then; what only explains a process (README.md, scenarios.yaml) makes no new version. The
    warnings that didn't hinder it are the row's `findings`.
    Raises Forbidden without the designer's role, Invalid (code `lint`, `findings`) where the linter finds an error.
    """
    if actor is not None and not actor.has(DESIGNER, ADMIN):
        raise Forbidden("只有流程设计员可以部署流程", code="not_designer")
    texts = checked_files(files)
    run = {path: text for path, text in texts.items() if path not in BESIDE}
    digest = hashlib.sha256(orjson.dumps(run, option=orjson.OPT_SORT_KEYS)).hexdigest()
    key = _key(texts)
    newest = session.scalar(
        select(ProcessVersion).where(ProcessVersion.key == key).order_by(ProcessVersion.number.desc()).limit(1)
    )
    if newest is not None and newest.digest == digest:
        return newest
    findings = lint.check(texts, known=organisation(session))
    if any(f.severity == "error" for f in findings):
        first = next(f for f in findings if f.severity == "error")
        raise Invalid(f"流程有错误，没有部署：{first.message}", code="lint", findings=[f.as_dict() for f in findings])
    definition = runtime.load(texts)
    process = session.get(Process, key, with_for_update=True)
    if process is None:
        process = Process(key=key, name=definition.name)
        session.add(process)
        session.flush()
    row = ProcessVersion(
        key=key,
        number=1 + (newest.number if newest else 0),
        files=pack(texts),
        digest=digest,
        deployed_by=None if actor is None else actor.person_id,
        deployed_at=clock.now(),
        note=note[:400],
    )
    session.add(row)
    session.flush()
    process.name, process.category = definition.name, definition.process.category
    process.current_version_id = row.id
    row.fresh, row.findings = True, tuple(findings)
    detail = {"key": key, "name": process.name, "number": row.number, "note": row.note}
    record(session, actor, "deploy", detail, at=row.deployed_at)
    return row


def _key(texts: Mapping[str, str]) -> str:
    """Return the id of the executable process: the key of the definition."""
    root = xml.parse(texts["process.bpmn"], "process.bpmn")
    for process in root.iter(f"{{{BPMN}}}process"):
        if process.get("isExecutable", "true") == "true" and process.get("id"):
            return str(process.get("id"))
    raise Invalid("process.bpmn 里没有可执行的流程", code="bpmn_no_process")


def suspend(session: Session, actor: Actor, key: str, *, suspended: bool) -> Process:
    """Stop or allow new instances of a process (停用、启用); running ones go on."""
    if not actor.has(DESIGNER, ADMIN):
        raise Forbidden("只有流程设计员可以停用或启用流程", code="not_designer")
    process = session.get(Process, key, with_for_update=True)
    if process is None:
        raise NotFound(f"没有流程“{key}”", code="process_not_found")
    if (process.suspended_at is not None) == suspended:
        raise Conflict(f"流程“{process.name}”已经是{'停用' if suspended else '启用'}状态", code="already")
    now = clock.now()
    process.suspended_at = now if suspended else None
    detail = {"key": key, "name": process.name}
    record(session, actor, "suspend" if suspended else "resume", detail, at=now)
    return process


def checked_files(files: Mapping[str, str | bytes]) -> dict[str, str]:
    """Return the files as texts; raises Invalid for odd paths, too many or too large ones, and what isn't UTF-8."""
    if not files or "process.bpmn" not in files:
        raise Invalid("缺少 process.bpmn", code="bpmn_missing")
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_BYTES:
        raise Invalid(f"文件太多或太大：最多 {MAX_FILES} 个文件，合计 4 MB", code="files_too_large")
    texts = {}
    for path, content in files.items():
        if not _PATH.fullmatch(path):
            accepted = "process.bpmn、forms/*.json、called/*.bpmn、decisions/*.dmn"
            raise Invalid(f"不认识的文件“{path[:100]}”：只接受 {accepted}", code="file_path")
        try:
            texts[path] = content.decode() if isinstance(content, bytes) else content
        except UnicodeDecodeError as error:
            raise Invalid(f"{path} 不是 UTF-8 文本，请另存为 UTF-8", code="not_utf8") from error
    return texts


def organisation(session: Session) -> lint.Known:
    """Return the names that a definition may refer to, for the linter, and which rules find nobody today."""
    found = directory(session)
    return lint.Known(
        operations=frozenset(operation_names()),
        roles=frozenset(found.roles),
        departments=frozenset(code for code, each in found.by_code.items() if not each.disabled),
        persons=frozenset(number for number, each in found.by_number.items() if not each.disabled),
        processes=frozenset(session.scalars(select(Process.key))),
        vacancies=partial(vacancies, found),
    )


def pack(files: Mapping[str, str]) -> bytes:
    """Return the files as the bytes that a version keeps."""
    return zstandard.compress(orjson.dumps(dict(files)))


def unpack(content: bytes) -> dict[str, str]:
    """Return the files of a version."""
    found: dict[str, str] = orjson.loads(zstandard.decompress(content, max_output_size=16 * MAX_BYTES))
    return found
