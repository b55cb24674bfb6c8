"""Notices: written together, read by their person only."""

import uuid
from dataclasses import dataclass

import pytest
from sqlalchemy.orm import Session

from engine import notices
from engine.batch import Batch
from engine.errors import Invalid
from engine.notices import NewNotice
from engine.org.models import Department, Person


@dataclass
class Somebody:
    """A viewer without roles."""

    person_id: uuid.UUID

    def has(self, *roles: str) -> bool:
        return False


@pytest.fixture
def people(session: Session) -> list[Somebody]:
    """Two members of staff."""
    department = Department(code="D1", name="内科", kind="临床")
    session.add(department)
    session.flush()
    people = [Person(staff_number=f"100{n}", name="某某", department_id=department.id) for n in range(2)]
    session.add_all(people)
    session.flush()
    return [Somebody(person.id) for person in people]


def send(session: Session, to: Somebody, *titles: str) -> None:
    batch = Batch()
    notices.add_many(batch, [NewNotice(to.person_id, "todo", title) for title in titles])
    batch.run(session)


def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_double(session: Session, people: list[Somebody]) -> None:
    me, other = people
    send(session, me, *(f"{n}" for n in range(45)))
    send(session, other, "别人的")
    pages, cursor = [], None
    while True:
        page, cursor = notices.list_notices(session, me, cursor)
        pages.append([notice.title for notice in page])
        if cursor is None:
            break
        send(session, me, "新到的")  # what comes while I turn pages is not mixed in
    assert [title for page in pages for title in page] == [str(n) for n in reversed(range(45))]
    assert [len(page) for page in pages] == [20, 20, 5]


def test_a_full_last_page_has_no_next(session: Session, people: list[Somebody]) -> None:
    send(session, people[0], *("x" for _ in range(notices.PAGE)))
    page, cursor = notices.list_notices(session, people[0])
    assert (len(page), cursor) == (notices.PAGE, None)


@pytest.mark.parametrize("cursor", ["", "abc", "'; DROP TABLE notice", "0" * 33])
def test_a_made_up_cursor_is_refused(session: Session, people: list[Somebody], cursor: str) -> None:
    with pytest.raises(Invalid, match="翻页标记"):
        notices.list_notices(session, people[0], cursor)


def test_reading_marks_my_own_only(session: Session, people: list[Somebody]) -> None:
    me, other = people
    send(session, me, "甲", "乙", "丙")
    send(session, other, "丁")
    mine, _ = notices.list_notices(session, me)
    theirs, _ = notices.list_notices(session, other)
    notices.mark_read(session, me, [mine[0].id, theirs[0].id])
    assert (notices.unread(session, me), notices.unread(session, other)) == (2, 1)
    notices.mark_read(session, me, [])
    assert notices.unread(session, me) == 2
    notices.mark_read(session, me)
    assert (notices.unread(session, me), notices.unread(session, other)) == (0, 1)


def test_reading_again_keeps_the_first_moment(session: Session, people: list[Somebody]) -> None:
    me = people[0]
    send(session, me, "甲")
    notices.mark_read(session, me)
    first = notices.list_notices(session, me)[0][0].read_at
    notices.mark_read(session, me)
    session.expire_all()
    assert notices.list_notices(session, me)[0][0].read_at == first is not None


def test_long_texts_are_cut_and_nothing_is_written_for_nobody(session: Session, people: list[Somebody]) -> None:
    me = people[0]
    batch = Batch()
    notices.add_many(batch, [])
    notices.add_many(batch, [NewNotice(me.person_id, "todo", "长" * 201, "文" * 401)])
    batch.run(session)
    (notice,), _ = notices.list_notices(session, me)
    assert (notice.title, notice.text) == ("长" * 199 + "…", "文" * 399 + "…")
