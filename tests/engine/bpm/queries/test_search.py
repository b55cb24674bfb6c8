"""What process admins and auditors find, and that nobody else does."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from engine.bpm import queries
from engine.bpm.models import Incident, SearchValue
from engine.bpm.queries import FieldFilter, Filters
from engine.errors import EngineError, Forbidden, Invalid
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, Actor
from tests.factories import org

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def admin(session: Session) -> Actor:
    return org.actor(session, ADMIN)


@pytest.mark.parametrize("query", [queries.instances, queries.incidents])
def test_only_admins_and_auditors_search(session: Session, office: Any, query: Callable[..., Any]) -> None:
    office.instance(office.nobody)
    with pytest.raises(Forbidden):
        query(session, office.actor(office.nobody))
    with pytest.raises(Forbidden):
        query(session, org.actor(session, DESIGNER))
    assert query(session, org.actor(session, AUDITOR)) is not None


def test_instances_by_pages_and_filters(session: Session, office: Any, admin: Actor, statements: Any) -> None:
    made = [office.instance(office.nobody, f"第{n}份", state="completed" if n % 2 else "running") for n in range(5)]
    office.item(made[0], office.person("张三"))
    mine = Filters(process=office.key)
    first = queries.instances(session, admin, filters=mine, limit=3)
    with statements(session) as sent:
        second = queries.instances(session, admin, filters=mine, cursor=first.next_cursor, limit=3)
    assert len(sent) == 2
    assert [row.id for row in (*first.rows, *second.rows)] == [row.id for row in reversed(made)]
    assert second.rows[-1].now[0].handlers == ("张三",)
    ended = queries.instances(session, admin, filters=Filters(process=office.key, state="completed", text="第1"))
    assert [row.title for row in ended.rows] == ["第1份"]


def test_instances_by_searchable_fields(session: Session, office: Any, admin: Actor) -> None:
    for days, kind, moment in ((3, "病假", MARCH), (7, "病假单", MARCH.replace(day=9)), (10, "事假", None)):
        row = office.instance(office.nobody, f"{days}天")
        values: list[dict[str, Any]] = [
            {"field": "days", "number": Decimal(days)},
            {"field": "kind", "text": kind},
            {"field": "from", "moment": moment},
        ]
        session.add_all(SearchValue(instance_id=row.id, process_key=office.key, **v) for v in values)
    session.flush()

    def found(*fields: FieldFilter) -> set[str]:
        page = queries.instances(session, admin, filters=Filters(process=office.key), fields=fields)
        return {row.title for row in page.rows}

    assert found(FieldFilter("days", "ge", Decimal(7))) == {"7天", "10天"}
    assert found(FieldFilter("days", "eq", Decimal("3.0"))) == {"3天"}
    assert found(FieldFilter("kind", "eq", "病假")) == {"3天"}
    assert found(FieldFilter("kind", "begins", "病假")) == {"3天", "7天"}
    assert found(FieldFilter("kind", "begins", "%")) == set()
    assert found(FieldFilter("from", "le", MARCH)) == {"3天"}
    assert found(FieldFilter("kind", "begins", "病"), FieldFilter("days", "le", Decimal(5))) == {"3天"}
    with pytest.raises(Invalid):
        queries.instances(session, admin, fields=[FieldFilter("days", "eq", Decimal(1))])


@pytest.mark.parametrize(
    "wrong",
    [
        ("a b", "eq", "x"), ("days", "like", "x"), ("days", "ge", "x"), ("days", "begins", Decimal(1)),
        ("days", "eq", Decimal("NaN")), ("days", "eq", Decimal(10) ** 16), ("days", "eq", "\x00"),
        ("days", "eq", datetime(2026, 1, 1)), ("x" * 61, "eq", "x"),  # noqa: DTZ001
    ],
    ids=str,
)  # fmt: skip
def test_bad_field_filters_are_refused(wrong: tuple[Any, ...]) -> None:
    with pytest.raises(Invalid):
        FieldFilter(*wrong)


def test_incidents_open_and_resolved(session: Session, office: Any, admin: Actor) -> None:
    instance = office.instance(office.nobody, "卡住的申请")
    fine = office.instance(office.nobody)
    values = {"instance_id": instance.id, "step": "review", "kind": "job", "message": "没有印章", "created_at": MARCH}
    opened = office.added(Incident(**values, outbox_id=7))
    mended = office.added(Incident(**values, resolved_at=MARCH, resolved_by=office.nobody.id))
    (row,) = queries.incidents(session, admin, process=office.key).rows
    assert (row.id, row.title, row.kind, row.retryable) == (opened.id, "卡住的申请", "job", True)
    (row,) = queries.incidents(session, admin, process=office.key, resolved=True).rows
    assert (row.id, row.resolved_by, row.retryable) == (mended.id, office.nobody.name, False)
    stuck = queries.instances(session, admin, filters=Filters(process=office.key), stuck=True).rows
    assert [(r.id, r.incident) for r in stuck] == [(instance.id, True)]
    every = queries.instances(session, admin, filters=Filters(process=office.key)).rows
    assert {r.id: r.incident for r in every} == {instance.id: True, fine.id: False}
    with pytest.raises(EngineError):
        queries.incidents(session, admin, cursor="x")
