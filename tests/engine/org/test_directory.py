"""The organisation in memory: what it holds, and that nobody is ever shown a state that isn't the committed one."""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Table, delete, text, update
from sqlalchemy.orm import Session

from engine.db import Base, Database
from engine.org.directory import REVISION, Directory, directory
from engine.org.models import Department, Membership, Person, Role, RoleMember
from tests.factories import org

THERE = uuid.UUID(int=1)
# what the directory doesn't hold of a person: no login makes everybody load it anew
UNSEEN = {"mobile", "mobile_hidden", "email", "password_hash", "pinyin_override"}


def names(found: Directory) -> set[str]:
    return {person.name for person in found.people.values()}


def read(db: Database) -> Directory:
    """Return the directory as somebody who only reads sees it."""
    with db.reading() as session:
        return directory(session)


@pytest.fixture
def ward(committed_db: Database) -> Department:
    """A department with one person, 甲, committed."""
    with committed_db.unit_of_work() as session:
        found = org.department(session, "儿科")
        org.person(session, "甲", of=found)
    return found


def rename(session: Session, name: str) -> None:
    session.execute(update(Person).values(name=name))


# -- what it holds ---------------------------------------------------------------------------------------------------


def test_groups_hold_active_people_by_rank_then_name(session: Session) -> None:
    system = org.department(session, "妇儿系统")
    ward = org.department(session, "儿科", parent=system, code="EK")
    last = org.person(session, "乙", of=ward, post="护士", rank=50)
    gone = org.person(session, "丙", of=ward, post="护士", disabled=True)
    first = org.person(session, "甲", of=system, post="主任", rank=10)
    guest = org.person(session, "丁", rank=20)
    org.part_time(session, guest, ward, "护士")
    org.role(session, "clerk", last, gone, guest, name="文书")
    org.role(session, "clerk", first, of=ward)
    found = directory(session)
    assert [(place.person.name, place.post) for place in found.members[system.id]] == [
        ("甲", "主任"), ("丁", "护士"), ("乙", "护士"),
    ]  # fmt: skip
    assert [place.person.name for place in found.members[ward.id]] == ["丁", "乙"]
    assert [person.name for person in found.holders["护士"]] == ["丁", "乙"]
    assert [(holder.person.name, holder.department_id) for holder in found.role_holders["clerk"]] == [
        ("甲", ward.id), ("丁", None), ("乙", None),
    ]  # fmt: skip
    assert found.roles["clerk"] == "文书"
    assert [entry.name for entry in found.paths[ward.id]] == ["儿科", "妇儿系统"]
    assert found.by_code["EK"] == found.departments[ward.id]
    assert found.by_number[gone.staff_number].disabled
    assert not found.people[last.id].disabled


def test_departments_in_a_circle_don_t_hang_it(session: Session) -> None:
    upper = org.department(session)
    lower = org.department(session, parent=upper)
    upper.parent_id = lower.id
    assert [entry.id for entry in directory(session).paths[lower.id]] == [lower.id, upper.id]


# -- what gives it a new revision --------------------------------------------------------------------------------------


def filled(session: Session) -> None:
    """Put a row into each of its tables."""
    department = org.department(session, id=THERE)
    person = org.person(session, of=department, id=THERE)
    org.part_time(session, person, department)
    org.role(session, "clerk", person)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (model.__table__, column.name)
        for model in (Department, Person, Membership, Role, RoleMember)
        for column in model.__table__.columns
    ],
    ids=str,
)
def test_written_column(session: Session, table: Table, column: str) -> None:
    filled(session)
    before = directory(session)
    session.execute(update(table).values({column: table.c[column]}))  # that it is named is enough
    assert (directory(session).revision == before.revision) is (table.name == "person" and column in UNSEEN)


@pytest.mark.parametrize("model", [Department, Person, Membership, Role, RoleMember])
def test_added_and_deleted_rows(session: Session, model: type[Base]) -> None:
    empty = directory(session).revision
    if model is not Department:
        filled(session)
        for other in (RoleMember, Role, Membership):
            session.execute(delete(other))
    before = directory(session).revision
    added: dict[type[Base], Callable[[], object]] = {
        Department: lambda: org.department(session, id=THERE),
        Person: lambda: org.person(session, of=session.get_one(Department, THERE)),
        Membership: lambda: org.part_time(session, session.get_one(Person, THERE), session.get_one(Department, THERE)),
        Role: lambda: org.role(session, "other"),
        RoleMember: lambda: org.role(session, "other", session.get_one(Person, THERE)),
    }
    added[model]()
    with_it = directory(session).revision
    session.execute(delete(model))
    assert len({empty, before, with_it, directory(session).revision}) == 3 + (model is not Department)


@pytest.mark.backend("postgresql")
def test_truncated(session: Session) -> None:
    filled(session)
    before = directory(session)
    session.execute(text("TRUNCATE role_member"))
    assert before.role_holders["clerk"]
    assert not directory(session).role_holders


# -- whom it is shown to ---------------------------------------------------------------------------------------------


def test_kept_while_nothing_changes(committed_db: Database, ward: Department) -> None:
    first = read(committed_db)
    with committed_db.unit_of_work() as session:
        assert directory(session) is first
    assert read(committed_db) is first


def test_a_transaction_sees_its_own_changes_and_others_don_t(committed_db: Database, ward: Department) -> None:
    with committed_db.unit_of_work() as session:
        rename(session, "乙")
        assert names(directory(session)) == {"乙"}
        assert names(read(committed_db)) == {"甲"}
        rename(session, "丙")
        assert names(directory(session)) == {"丙"}
        session.get_one(Department, ward.id).name = "骨科"
        assert directory(session).departments[ward.id].name == "骨科"  # what is not flushed yet counts
    assert names(read(committed_db)) == {"丙"}


def test_after_a_rollback_no_revision_comes_again(committed_db: Database, ward: Department) -> None:
    """With a counter, the change after a rollback would get the number of the one that was taken back."""
    for name in ("乙", "丙", "丁"):
        with committed_db.unit_of_work() as session:
            rename(session, "没有提交")
            assert names(directory(session)) == {"没有提交"}
            session.rollback()
        with committed_db.unit_of_work() as session:
            rename(session, name)
        assert names(read(committed_db)) == {name}


def test_after_a_savepoint_is_taken_back(session: Session) -> None:
    org.person(session, "甲")
    before = directory(session)
    savepoint = session.begin_nested()
    rename(session, "乙")
    assert "乙" in names(directory(session))
    savepoint.rollback()
    assert directory(session).revision == before.revision
    assert "乙" not in names(directory(session))


def test_databases_don_t_mix(committed_db: Database, ward: Department, session: Session) -> None:
    org.person(session, "别处")
    for _ in range(2):
        assert "别处" in names(directory(session))
        assert names(read(committed_db)) == {"甲"}


def test_many_at_once_load_it_once(committed_db: Database, ward: Department) -> None:
    together = Barrier(8)

    def ask(_: int) -> Directory:
        with committed_db.reading() as session:
            session.connection()
            together.wait(30)
            return directory(session)

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, range(8)))
    assert names(found[0]) == {"甲"}
    assert len({id(one) for one in found}) == 1


@pytest.mark.backend("postgresql")
def test_a_change_in_the_middle_of_loading(committed_db: Database, ward: Department) -> None:
    """The loader has read the departments and waits for the people; meanwhile both change."""

    def waiting(session: Session) -> bool:
        return bool(session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))

    with ThreadPoolExecutor(1) as threads:
        with committed_db.unit_of_work() as session:
            session.execute(text("LOCK TABLE person IN ACCESS EXCLUSIVE MODE"))
            loading = threads.submit(read, committed_db)
            deadline = time.monotonic() + 30
            while not waiting(session) and time.monotonic() < deadline:
                time.sleep(0.01)
            session.execute(update(Department).values(name="新"))
            rename(session, "新")
        found = loading.result(30)
    assert (names(found), found.departments[ward.id].name) == ({"新"}, "新")
    with committed_db.reading() as session:
        assert session.scalar(text(REVISION.sql)) == found.revision
