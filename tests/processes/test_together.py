"""Processes that speak to one another: a reply ends what it answers, a recall reaches who is on leave."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import engine.registry
from engine import clock
from engine.bpm.scenarios import load
from engine.bpm.scenarios.playing import _Stage
from engine.bpm.scenarios.scene import Scene
from engine.db import Database
from tests.dsl import Bpm

PROCESSES = Path(__file__).resolve().parents[2] / "processes"

assert engine.registry  # importing it registers operations and handlers

pytestmark = pytest.mark.backend("sqlite")


class Play:
    """Instances of several processes, acted on in turn; the stories are those of the folders."""

    def __init__(self, db: Database) -> None:
        self.db = db
        folders = sorted(path.parent for path in PROCESSES.glob("*/process.bpmn"))
        self.staff = Bpm(db).deploy(*(folder.name for folder in folders)).staff

    def play(self, process: str, story_name: str, *, until: str | None = None, **data: str) -> Scene:
        """Play a story up to its first act on a step, with some of the start's data changed."""
        text = (PROCESSES / process / "scenarios.yaml").read_text(encoding="utf-8")
        story = next(story for story in load(text) if story.name == story_name)
        for key, value in data.items():
            story.data[key] = value  # type: ignore[index]
        stage = _Stage(self.db, Scene(self.staff))
        stage.start(process, story)
        for act in story.acts:
            if until is not None and act.args.get("step") == until:
                break
            stage.act(act)
        return stage._scene

    def open(self, scene: Scene) -> set[str]:
        with self.db.reading() as session:
            return {step for step, _ in scene.open_items(session)}

    def data(self, scene: Scene) -> dict[str, object]:
        with self.db.reading() as session:
            return scene.data(session)

    def path(self, scene: Scene) -> list[str]:
        with self.db.reading() as session:
            return scene.path(session)


@contextmanager
def frozen() -> Iterator[None]:
    clock.freeze(load("- {name: 甲, start: {by: doctor}, end: {state: running}}")[0].at)
    try:
        yield
    finally:
        clock.freeze(None)


@pytest.fixture
def play(hospital_db: Database) -> Iterator[Play]:
    with frozen():
        yield Play(hospital_db)


def test_a_reply_ends_the_handling_of_the_document_it_answers(play: Play) -> None:
    incoming = play.play("document_incoming", "批示科室承办，同时传阅，办结归档", until="handle")
    other = play.play("document_incoming", "批示科室承办，同时传阅，办结归档", until="handle")
    before, other_before = play.data(incoming), play.data(other)
    assert play.open(incoming) == {"handle", "circulate"}

    number = str(before["register_number"])
    play.play("document_outgoing", "不会签，分管院领导签发，不在院内分发", until="archive", reply_to=number)

    assert play.open(incoming) == {"circulate"}
    assert "replied" in play.path(incoming)
    assert play.data(incoming) == before  # the reply's own title and attachments stay with the reply
    assert play.open(other) == {"handle", "circulate"}
    assert play.data(other) == other_before


def test_a_document_that_answers_nothing_disturbs_nobody(play: Play) -> None:
    incoming = play.play("document_incoming", "批示科室承办，同时传阅，办结归档", until="handle")
    play.play("document_outgoing", "不会签，分管院领导签发，不在院内分发", until="archive")
    assert play.open(incoming) == {"handle", "circulate"}


def test_a_recall_reaches_everybody_on_leave_and_changes_nothing_else(play: Play) -> None:
    on_leave = play.play("leave_request", "人事科把销假退回本人更正", until="report_back")
    waiting = play.play("leave_request", "三天病假只经科室负责人", until="head_review")
    before = play.data(on_leave)

    play.play("notice_circulation", "紧急召回由院办主任、院长依次审批", deadline="2026-03-09")

    assert "end_recall_urged" in play.path(on_leave)
    assert "report_back" in play.open(on_leave)
    assert play.data(on_leave) == before
    assert "recalled" not in play.path(waiting)
