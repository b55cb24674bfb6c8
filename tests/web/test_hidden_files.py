"""A file in a field that is hidden from somebody: nothing of it is told, not even to who has heard of its id."""

import io
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from engine import attachments
from engine.bpm.models import Draft
from engine.settings import Settings
from tests.dsl import Bpm, Story
from tests.factories.papers import PROCESS
from tests.web.conftest import Browser


@pytest.fixture
def papers(bpm: Bpm, client: httpx.Client) -> tuple[Story, str, str]:
    """A request with a file in each field, of which the head nurse sees one, and the ids of both files."""
    settings: Settings = client._transport._inner.app.state.settings  # type: ignore[attr-defined]
    bpm.deploy_files(PROCESS)
    with bpm.db.unit_of_work() as session:
        nurse = bpm.actor("nurse")
        shown, hidden = (
            str(attachments.receive(session, settings, nurse, name, io.BytesIO(b"x")).id)
            for name in ("看得见.txt", "看不见.txt")
        )
    return bpm.start("papers", by="nurse", open=[shown], secret=[hidden]), shown, hidden


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_form_shown_anew_does_not_name_it(
    browser_of: Browser, papers: tuple[Story, str, str], headers: dict[str, str]
) -> None:
    story, open_, hidden = papers
    head, item = browser_of.login("head_nurse"), story.item("head_nurse").id
    form: dict[str, Any] = head.form(f"/items/{item}", f"/items/{item}/complete")
    shown = head.send(f"/items/{item}/form", form | {"open": [open_, hidden]}, 200, headers=headers).text
    assert "看得见.txt" in shown
    assert "看不见.txt" not in shown


def test_neither_does_a_draft_nor_a_refusal(browser_of: Browser, bpm: Bpm, papers: tuple[Story, str, str]) -> None:
    story, _, hidden = papers
    head, item = browser_of.login("head_nurse"), story.item("head_nurse").id
    form: dict[str, Any] = head.form(f"/items/{item}", f"/items/{item}/complete")
    head.send(f"/items/{item}/draft", form | {"open": [hidden]})
    with bpm.db.reading() as session:
        assert hidden in session.scalars(select(Draft.content)).one().decode()
    assert "看不见.txt" not in head.get(f"/items/{item}")
    refused = head.send(f"/items/{item}/complete", form | {"open": [hidden], "_outcome": "submit"}, 404)
    assert "看不见.txt" not in refused.text


def test_those_who_see_the_field_are_told(browser_of: Browser, papers: tuple[Story, str, str]) -> None:
    story = papers[0]
    page = browser_of.login("nurse").get(f"/instances/{story.id}")
    assert "看得见.txt" in page
    assert "看不见.txt" in page
