"""Boxes: whose rows they show, in which order, by pages that neither repeat nor lose a row."""

import base64
import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from engine.bpm.models import Draft, InstanceState, Process
from engine.bpm.queries import Box, Filters, Page, boxes
from engine.errors import Invalid
from engine.org.models import Person
from tests.factories import plans


@pytest.fixture
def me(office: Any) -> Person:
    found: Person = office.person("本人")
    return found


@pytest.fixture
def rows(office: Any, me: Person) -> dict[Box, list[uuid.UUID]]:
    """Seven rows in each of the person's boxes, newest first, and as many of somebody else's."""
    found: dict[Box, list[uuid.UUID]] = {box: [] for box in Box}
    boss = office.person("发起人")
    for n in range(7):
        for person in (office.nobody, me):
            other = office.instance(boss, f"第{n}份")
            made = {
                Box.STARTED: office.instance(person, f"第{n}份"),
                Box.TODO: office.item(other, person),
                Box.READ_TODO: office.item(other, person, kind="read"),
                Box.DONE: office.item(other, person, state="reassigned" if n % 2 else "done", closed_at=office.tick()),
                Box.COPIED: office.copy(other, person, boss, read_at=office.tick() if n % 2 else None),
                Box.DRAFTS: office.added(
                    Draft(person_id=person.id, process_key=office.key, content=b"{}", updated_at=office.tick())
                ),
            }
            office.item(other, person, state="closed", closed_at=office.tick())
            office.item(other, person, state="standby")
        for box, row in made.items():
            found[box].insert(0, row.id)
    return found


@pytest.mark.parametrize("box", Box)
def test_pages_hold_each_own_row_once_newest_first(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], box: Box
) -> None:
    viewer, seen, cursor = office.actor(me), [], None
    for size in (3, 3, 1):
        page = boxes.page(session, viewer, box, cursor=cursor, limit=3)
        assert len(page.rows) == size
        seen += [row.id for row in page.rows]
        cursor = page.next_cursor
    assert cursor is None
    assert seen == rows[box]


@pytest.mark.parametrize("box", Box)
def test_paging_survives_new_rows_and_old_ones_leaving(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], box: Box
) -> None:
    viewer = office.actor(me)
    first = boxes.page(session, viewer, box, limit=3)
    other = office.instance(office.nobody)
    office.item(other, me)
    office.item(other, me, kind="read")
    office.item(other, me, state="done", closed_at=office.tick())
    office.copy(other, me, office.nobody)
    office.instance(me)
    office.added(Draft(person_id=me.id, process_key=office.key, content=b"{}", updated_at=office.tick()))
    second = boxes.page(session, viewer, box, cursor=first.next_cursor, limit=3)
    assert [row.id for row in second.rows] == rows[box][3:6]


@pytest.mark.parametrize("box", Box)
def test_somebody_without_rows_finds_nothing(
    session: Session, office: Any, rows: dict[Box, list[uuid.UUID]], box: Box
) -> None:
    assert boxes.page(session, office.actor(office.person()), box) == Page((), None)


@pytest.mark.parametrize("box", Box)
def test_a_page_costs_the_same_however_long_it_is(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], box: Box, statements: Any
) -> None:
    costs, viewer = [], office.actor(me)
    boxes.page(session, viewer, box)  # the version is parsed once
    for limit in (1, 7):
        with statements(session) as sent:
            assert len(boxes.page(session, viewer, box, limit=limit).rows) == limit
        costs.append(len(sent))
    assert costs == ([3, 3] if box == Box.STARTED else [1, 1])  # where they stand, and what the others wait for


def test_a_row_shows_all_that_the_list_shows(session: Session, office: Any, me: Person) -> None:
    boss = office.person("张院长")
    instance = office.instance(boss, "春节值班", summary="3 天", urgency=2)
    item = office.item(instance, me, urgency=2)
    office.item(instance, office.person("李医生"))
    (row,) = boxes.page(session, office.actor(me), "todo").rows
    assert (row.item_id, row.instance_id, row.process_key, row.step_name) == (item.id, instance.id, office.key, "审核")
    assert (row.title, row.summary, row.applicant, row.urgency) == ("春节值班", "3 天", "张院长", 2)
    assert (row.kind, row.state, row.unread, row.opened_at) == ("decide", "running", True, item.opened_at)
    assert (
        row.department
        == session.execute(
            text("SELECT d.name FROM department d JOIN person p ON p.department_id = d.id WHERE p.name = '张院长'")
        ).scalar()
    )
    item.read_at = office.tick()
    session.flush()
    assert not boxes.page(session, office.actor(me), "todo").rows[0].unread


def test_started_tells_where_it_stands(session: Session, office: Any, me: Person) -> None:
    instance = office.instance(me)
    item = office.item(instance, office.person("甲"))
    for name in "乙丙丁戊己":
        office.added(
            type(item)(
                round_id=item.round_id, instance_id=instance.id, process_key=office.key, kind="decide",
                assignee_id=office.person(name).id, opened_at=item.opened_at, why="",
            )
        )  # fmt: skip
    office.item(instance, office.person("读者"), kind="read")
    office.item(instance, office.person("前任"), state="done", closed_at=office.tick())
    ended = office.instance(me, state="completed")
    newest, oldest = boxes.page(session, office.actor(me), Box.STARTED).rows
    assert (newest.id, newest.now) == (ended.id, ())
    review, reading = oldest.now
    assert (review.handlers, review.total) == (tuple("甲乙丙丁戊"), 6)
    assert (reading.kind, reading.handlers, reading.total) == ("read", (), 0)


def test_drafts_of_items_that_are_gone_are_left_out(session: Session, office: Any, me: Person) -> None:
    item = office.item(office.instance(office.nobody, "休假"), me)
    gone = office.item(office.instance(office.nobody), me, state="closed", closed_at=office.tick())
    for target in (item, gone):
        office.added(Draft(person_id=me.id, item_id=target.id, content=b"{}", updated_at=office.tick()))
    (row,) = boxes.page(session, office.actor(me), Box.DRAFTS).rows
    assert (row.item_id, row.title, row.process_key) == (item.id, "休假", office.key)
    assert boxes.counts(session, office.actor(me)).drafts == 1


NARROWED: list[tuple[Filters, set[str]]] = [
    (Filters(text="100%"), {"涨幅100%"}),
    (Filters(text="_"), {"a_b"}),
    (Filters(text="\\"), {"c\\d"}),
    (Filters(text="A"), {"a_b"}),
    (Filters(text="没有"), set()),
    (Filters(text="  \x00"), {"涨幅100%", "a_b", "c\\d", "涨幅1000"}),
    (Filters(urgency=3), {"a_b"}),
    (Filters(state=InstanceState.COMPLETED), {"c\\d"}),
    (Filters(process="other"), set()),
]


@pytest.mark.parametrize(("filters", "titles"), NARROWED, ids=[str(filters) for filters, _ in NARROWED])
def test_filters(session: Session, office: Any, me: Person, filters: Filters, titles: set[str]) -> None:
    for title in ("涨幅100%", "涨幅1000", "a_b", "c\\d"):
        state = "completed" if title == "c\\d" else "running"
        office.instance(me, title, urgency=3 if title == "a_b" else 0, state=state)
    found = boxes.page(session, office.actor(me), Box.STARTED, filters=filters)
    assert {row.title for row in found.rows} == titles


def test_period_begins_inclusive_and_ends_exclusive(session: Session, office: Any, me: Person) -> None:
    first, second, third = (office.item(office.instance(office.nobody), me) for _ in range(3))
    filters = Filters(since=first.opened_at, until=third.opened_at, process=office.key)
    found = boxes.page(session, office.actor(me), Box.TODO, filters=filters)
    assert [row.id for row in found.rows] == [second.id, first.id]


@pytest.mark.parametrize(
    "wrong",
    [
        {"process": "a\x00"}, {"process": "x" * 61}, {"text": "长" * 51}, {"urgency": 4}, {"urgency": -1},
        {"state": "open"}, {"since": datetime(2024, 1, 1)}, {"until": datetime(1, 1, 1, tzinfo=UTC)},  # noqa: DTZ001
    ],
    ids=str,
)  # fmt: skip
def test_bad_filters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Filters(**wrong)


@pytest.mark.parametrize("limit", [0, -1, 101])
def test_bad_limits_are_refused(session: Session, office: Any, me: Person, limit: int) -> None:
    with pytest.raises(Invalid):
        boxes.page(session, office.actor(me), Box.TODO, limit=limit)


def test_unknown_box_is_refused(session: Session, office: Any, me: Person) -> None:
    with pytest.raises(Invalid):
        boxes.page(session, office.actor(me), "inbox")


def _cursor(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


_ID = uuid.UUID(int=1)  # the same in every process: the cursors are the names of the tests
HOSTILE = [
    "", "x", "====", "é", "\x00", "a" * 5000, "../../etc/passwd", _cursor("todo"), _cursor("todo x"),
    _cursor("todo 1 2"), _cursor(f"started {_ID.hex}"), _cursor(f"todo {_ID}"),
    _cursor("done 99999999999999999999 " + "0" * 32),
    _cursor(f"done 1e9 {_ID.hex}"), _cursor(f"done -{10**18} {_ID.hex}"),
    _cursor(f"todo {_ID.hex}") + "=", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("box", [Box.TODO, Box.DONE])
@pytest.mark.parametrize("cursor", HOSTILE)
def test_hostile_cursors_are_refused(session: Session, office: Any, me: Person, box: Box, cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        boxes.page(session, office.actor(me), box, cursor=cursor)
    assert refusal.value.code == "bad_cursor"


@pytest.mark.backend("sqlite")
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cursor=st.one_of(st.text(max_size=60), st.text(max_size=40).filter(str.isprintable).map(_cursor)))
def test_any_text_as_a_cursor_is_a_page_or_a_refusal(session: Session, office: Any, me: Person, cursor: str) -> None:
    for box in (Box.TODO, Box.DONE):
        with suppress(Invalid):
            assert boxes.page(session, office.actor(me), box, cursor=cursor) == Page((), None)


def test_a_cursor_of_another_box_is_refused(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]]
) -> None:
    cursor = boxes.page(session, office.actor(me), Box.TODO, limit=1).next_cursor
    with pytest.raises(Invalid):
        boxes.page(session, office.actor(me), Box.STARTED, cursor=cursor)


def test_a_cursor_of_another_person_shows_own_rows_only(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]]
) -> None:
    cursor = boxes.page(session, office.actor(office.nobody), Box.TODO, limit=1).next_cursor
    found = boxes.page(session, office.actor(me), Box.TODO, cursor=cursor)
    assert {row.id for row in found.rows} <= set(rows[Box.TODO])


def test_done_orders_by_the_moment_of_handling(session: Session, office: Any, me: Person) -> None:
    early, late = (office.item(office.instance(office.nobody), me, state="done") for _ in range(2))
    late.closed_at = office.tick()
    early.closed_at = late.closed_at + timedelta(microseconds=1)
    session.flush()
    first = boxes.page(session, office.actor(me), Box.DONE, limit=1)
    second = boxes.page(session, office.actor(me), Box.DONE, cursor=first.next_cursor)
    assert [row.id for row in (*first.rows, *second.rows)] == [early.id, late.id]


def test_counts_equal_the_lists(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], statements: Any
) -> None:
    viewer = office.actor(me)
    with statements(session) as sent:
        counts = boxes.counts(session, viewer)
    assert len(sent) == 1
    assert counts == boxes.Counts(todo=7, read_todo=7, copied_unread=4, drafts=7)
    assert boxes.counts(session, office.actor(office.person())) == boxes.Counts(0, 0, 0, 0)


def test_counts_stop_at_their_cap(session: Session, office: Any, me: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    assert boxes.Counts(999, 1000, 0, 7).shown() == {
        "todo": "999", "read_todo": "999+", "copied_unread": "0", "drafts": "7",
    }  # fmt: skip
    template = office.item(office.instance(office.nobody), me)
    values = {c.name: getattr(template, c.name) for c in type(template).__table__.columns if c.name != "id"}
    session.add_all(type(template)(**values) for _ in range(1100))
    session.flush()
    assert boxes.counts(session, office.actor(me)).todo == boxes.CAP + 1


@pytest.mark.backend("postgresql")
@pytest.mark.parametrize(
    ("box", "index"),
    [
        (Box.TODO, "ix_work_item_todo"),
        (Box.READ_TODO, "ix_work_item_read_todo"),
        (Box.DONE, "ix_work_item_done"),
        (Box.STARTED, "ix_instance_initiator"),
        (Box.COPIED, "ix_copy_person"),
        (Box.DRAFTS, "ix_draft_person"),
    ],
)
def test_a_page_walks_its_index_backwards(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], statements: Any, box: Box, index: str
) -> None:
    """Also under a generic plan, which knows no parameters; the planner is told that the tables are large."""
    cursor = boxes.page(session, office.actor(me), box, limit=1).next_cursor
    with statements(session) as sent:
        boxes.page(session, office.actor(me), box, cursor=cursor)
    statement = sent[1]  # after the actor's
    plan = plans.nodes(session, statement)
    assert (index, "Backward") in plans.walks(plan), json.dumps(plan, indent=1)
    assert not [n for n in plan if "Sort" in n["Node Type"]]


@pytest.mark.parametrize("box", Box)
def test_the_processes_of_a_box_are_those_of_its_rows(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], box: Box
) -> None:
    assert set(boxes.box_processes(session, office.actor(me), box)) == {office.key}
    assert boxes.box_processes(session, office.actor(office.person()), box) == {}


def test_a_box_too_long_to_look_through_offers_every_process(
    session: Session, office: Any, me: Person, rows: dict[Box, list[uuid.UUID]], monkeypatch: pytest.MonkeyPatch,
    statements: Any,
) -> None:  # fmt: skip
    every = {office.key, "elsewhere"}
    office.added(Process(key="elsewhere", name="别处的流程"))
    viewer = office.actor(me)
    with statements(session) as sent:
        assert set(boxes.box_processes(session, viewer, Box.TODO)) == {office.key}
    assert len(sent) == 1
    monkeypatch.setattr(boxes, "CAP", 6)
    assert every <= set(boxes.box_processes(session, viewer, Box.TODO))
    with pytest.raises(Invalid):
        boxes.box_processes(session, viewer, "nothing")
