"""The figures of the legacy OAs for monitoring."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine import clock, outbox
from engine.connectors.oa.models import OACheck
from engine.org.demo import CAST
from tests.api.test_metrics import TOKEN, ask
from tests.dsl import Bpm, dates
from tests.factories.oa_shelf import shelf, shelves
from tests.factories.outbox import NOON

LEAVE = {"leave_type": "事假", "reason": "家中有事"} | dates(3, 4)


@pytest.fixture(autouse=True)
def _noon() -> Iterator[None]:
    clock.freeze(NOON)
    yield
    clock.freeze(None)


def _labels(given: dict[str, str]) -> list[str]:
    return [given[name] for name in ("site", "kind", "state") if name in given]


def figures(bpm: Bpm, folder: Path) -> dict[str, float]:
    """Return what is told of OAs, by name and labels."""
    text = ask(bpm.db, folder, TOKEN, authorization=f"Bearer {TOKEN}").text
    return {
        " ".join([sample.name.removeprefix("piyue_oa_"), *_labels(sample.labels)]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("piyue_oa_")
    }


def test_each_oa_has_its_figures(bpm: Bpm, tmp_path: Path) -> None:
    assert figures(bpm, tmp_path) == {}
    bpm.deploy("leave_request")
    with shelves(bpm):
        story = bpm.start("leave_request", by="nurse", **LEAVE)
        shelf(bpm).strangers = {CAST["pediatrics_head"].staff_number}
        bpm.start("leave_request", by="doctor", **LEAVE)
        with bpm.db.unit_of_work() as session:
            given = {"state": "done", "started_at": NOON, "by": "nightly", "missing": 3, "ghost": 1, "stale": 0}
            session.add(OACheck(id=uuid.uuid4(), site="ekp", repaired=2, **given))
            outbox.pause(session, bpm.actor("process_admin"), "oa.ekp", "维护")
        story.approve("head_nurse")
        clock.freeze(NOON + timedelta(minutes=10))
        found = figures(bpm, tmp_path)
    assert found == {
        "shown ekp todo": 1, "shown ekp read": 0, "behind ekp": 1, "behind_oldest_seconds ekp": 600, "dead ekp": 1,
        "unmapped ekp": 1, "differences ekp missing": 3, "differences ekp ghost": 1, "differences ekp stale": 0,
        "differences ekp repaired": 2, "checked_seconds ekp": 600,
    }  # fmt: skip
