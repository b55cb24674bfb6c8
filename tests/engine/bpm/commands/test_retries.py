"""How often the operation of a step is tried."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.bpm.models import Incident
from engine.bpm.operations import Context, operation
from tests.dsl import Bpm, bpmn, chain, start_task

TRIED: list[str] = []


@operation("tests.retries.fail")
def _fail(session: Session, context: Context, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    TRIED.append(context.key)
    raise RuntimeError("out of paper")


@pytest.mark.parametrize(("retries", "tries"), [("0", 1), ("2", 3), ("10", 11)])
def test_an_operation_is_tried_once_and_its_retries_then_an_admin_is_told(bpm: Bpm, retries: str, tries: int) -> None:
    TRIED.clear()
    work = (
        '<serviceTask id="work" name="取号"><extensionElements>'
        f'<piyue:operation name="tests.retries.fail" retries="{retries}"/></extensionElements></serviceTask>'
    )
    body = '<startEvent id="s"/><endEvent id="e"/>' + start_task() + work + chain("s", "apply", "work", "e")
    story = bpm.deploy_files(bpmn(body)).start("p", by="nurse")
    incidents = select(Incident.kind).where(Incident.instance_id == story.id)
    for tried in range(1, tries + 3):
        with bpm.db.reading() as session:
            assert session.scalars(incidents).all() == (["job"] if tried >= tries else [])
        clock.freeze(clock.now() + timedelta(hours=2))
        bpm.work()
    assert len(TRIED) == tries
