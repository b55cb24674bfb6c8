"""What may be started by whom, and what differs between two versions."""

import uuid
from typing import Any

import pytest

from engine.bpm import definitions, queries
from engine.errors import Conflict, Forbidden, NotFound
from tests.dsl import Bpm, bpmn, chain, start_task, task

BODY = '<startEvent id="s"/>' + start_task() + '<endEvent id="e"/>'


def process(key: str, starters: str, category: str = "行政") -> dict[str, str]:
    extension = f'<piyue:process starters="{starters}" category="{category}"/>'
    return bpmn(BODY + chain("s", "apply", "e"), key, extension)


def test_who_may_start_what(bpm: Bpm) -> None:
    bpm.deploy_files(process("for_all", "everyone", "人事")).deploy_files(process("for_hr", "role:hr_clerk"))
    bpm.deploy_files(process("for_ward", "department:EK")).deploy_files(process("stopped", "everyone"))
    with bpm.db.unit_of_work() as session:
        definitions.suspend(session, bpm.actor("designer"), "stopped", suspended=True)

    def keys(who: str) -> dict[str, list[str]]:
        with bpm.db.reading() as session:
            return {c: [p.key for p in found] for c, found in queries.startable(session, bpm.actor(who))}

    assert keys("surgeon") == {"人事": ["for_all"]}
    assert keys("hr_clerk") == {"人事": ["for_all"], "行政": ["for_hr"]}
    assert keys("nurse") == {"人事": ["for_all"], "行政": ["for_ward"]}
    with bpm.db.reading() as session:
        assert queries.start_page(session, bpm.actor("nurse"), "for_ward").process.name == "for_ward"
        for key, refusal in (("for_hr", Forbidden), ("stopped", Conflict), ("unknown", NotFound)):
            with pytest.raises(refusal):
                queries.start_page(session, bpm.actor("nurse"), key)


def test_start_page_has_an_empty_form_to_fill(bpm: Bpm) -> None:
    bpm.deploy("leave_request")
    with bpm.db.reading() as session:
        form = queries.start_page(session, bpm.actor("nurse"), "leave_request").form
    assert form is not None
    assert (form.form, form.step, form.rights.of("reason")) == ("leave", "apply", "edit")


def versions(bpm: Bpm, key: str, who: str = "designer") -> list[queries.VersionRow]:
    with bpm.db.reading() as session:
        return queries.definition_versions(session, bpm.actor(who), key)


@pytest.fixture
def two(bpm: Bpm) -> tuple[uuid.UUID, uuid.UUID]:
    """Two versions of a process with an instance on each."""
    old = task("review", "nurse") + task("sign", "surgeon")
    new = task("review", "nurse", inner='<piyue:round policy="all"/>').replace('name="review"', 'name="审核"')
    start, end = '<startEvent id="s"/>' + start_task(), '<endEvent id="e"/>'
    bpm.deploy_files(bpmn(start + old + end + chain("s", "apply", "review", "sign", "e")))
    bpm.start("p", "doctor").approve("nurse")
    bpm.start("p", "doctor")
    bpm.deploy_files(bpmn(start + new + task("file", "hr_head") + end + chain("s", "apply", "review", "file", "e")))
    bpm.start("p", "doctor")
    newest, oldest = versions(bpm, "p")
    return oldest.id, newest.id


def test_versions_tell_how_many_run_on_them(bpm: Bpm, two: tuple[uuid.UUID, uuid.UUID]) -> None:
    rows = [(v.number, v.current, v.running) for v in versions(bpm, "p")]
    assert rows == [(2, True, 1), (1, False, 2)]
    with bpm.db.reading() as session:
        (row,) = queries.processes(session, bpm.actor("process_admin"))
    assert (row.key, row.version_number, row.running) == ("p", 2, 3)


def test_diff_names_elements_and_whom_it_touches(bpm: Bpm, two: tuple[uuid.UUID, uuid.UUID], statements: Any) -> None:
    with bpm.db.reading() as session:
        diff = queries.version_diff(session, bpm.actor("designer"), *two)
    assert {(e.id, e.type) for e in diff.added} == {
        ("file", "userTask"), ("review_file", "sequenceFlow"), ("file_e", "sequenceFlow"),
    }  # fmt: skip
    assert {e.id for e in diff.removed} == {"sign", "review_sign", "sign_e"}
    assert [(e.id, e.name, e.what) for e in diff.changed] == [("review", "审核", ("name", "settings"))]
    assert diff.files == ("process.bpmn",)
    assert diff.running == {two[0]: 2, two[1]: 1}
    standing = {(s.version_id, s.step): (s.instances, s.removed) for s in diff.standing}
    assert standing == {(two[0], "review"): (1, False), (two[0], "sign"): (1, True), (two[1], "review"): (1, False)}


def test_layout_is_no_difference(bpm: Bpm) -> None:
    plain = bpmn(BODY + chain("s", "apply", "e"))
    spaced = {"process.bpmn": plain["process.bpmn"].replace("<endEvent", "\n  <endEvent").replace("></", ">\n</")}
    bpm.deploy_files(plain).deploy_files(spaced)
    newest, oldest = versions(bpm, "p")
    with bpm.db.reading() as session:
        diff = queries.version_diff(session, bpm.actor("auditor"), oldest.id, newest.id)
    assert (diff.added, diff.removed, diff.changed) == ((), (), ())


def test_definitions_are_for_designers(bpm: Bpm, two: tuple[uuid.UUID, uuid.UUID]) -> None:
    with bpm.db.reading() as session:
        nurse = bpm.actor("nurse")
        for call in (
            lambda: queries.definition_versions(session, nurse, "p"),
            lambda: queries.version_diff(session, nurse, *two),
            lambda: queries.processes(session, nurse),
        ):
            with pytest.raises(Forbidden):
                call()
        with pytest.raises(NotFound):
            queries.definition_versions(session, bpm.actor("designer"), "unknown")
        with pytest.raises(NotFound):
            queries.version_diff(session, bpm.actor("designer"), two[0], uuid.uuid4())


def test_files_of_a_version_are_for_designers(bpm: Bpm, two: tuple[uuid.UUID, uuid.UUID], unknown: uuid.UUID) -> None:
    with bpm.db.reading() as session:
        first, second = (queries.version_files(session, bpm.actor("designer"), id_) for id_ in two)
        assert first["process.bpmn"] != second["process.bpmn"]
        with pytest.raises(Forbidden):
            queries.version_files(session, bpm.actor("nurse"), two[0])
        with pytest.raises(NotFound):
            queries.version_files(session, bpm.actor("designer"), unknown)


def test_versions_of_different_processes_do_not_compare(bpm: Bpm, two: tuple[uuid.UUID, uuid.UUID]) -> None:
    bpm.deploy_files(process("other", "everyone"))
    (other,) = versions(bpm, "other")
    with bpm.db.reading() as session, pytest.raises(Conflict):
        queries.version_diff(session, bpm.actor("designer"), two[0], other.id)
