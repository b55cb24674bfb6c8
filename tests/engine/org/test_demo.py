"""The demo hospital: its size and shape, and that the people of the story stand where the story needs them."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from engine.bpm.assignment import AssignmentContext, resolve
from engine.bpm.extensions import Assign
from engine.db import Database
from engine.org.demo import CAST, DemoStaff, load_demo
from engine.org.directory import directory
from engine.org.identity import actor_for
from engine.org.models import Department, Membership, Person, Role, RoleMember
from engine.org.pinyin import search_keys
from engine.org.queries import departments
from engine.org.roles import ROLES


@pytest.fixture
def session(hospital_db: Database) -> Iterator[Session]:
    with hospital_db.unit_of_work() as session:
        yield session


@pytest.fixture
def staff(session: Session) -> DemoStaff:
    return load_demo(session)


@pytest.fixture
def handlers(session: Session, staff: DemoStaff) -> Callable[..., list[str]]:
    """Resolve rules for a member of the cast to staff numbers."""

    def resolve_for(key: str, *rules: Assign) -> list[str]:
        starter = actor_for(session, staff.person(key))
        context = AssignmentContext(starter.person_id, starter.department_id, None, {}, lambda _: None)
        numbers = {id_: number for number, id_ in staff.people.items()}
        return [numbers[handler.person_id] for handler in resolve(directory(session), rules, context)]

    return resolve_for


def test_size_and_shape(session: Session, staff: DemoStaff) -> None:
    assert len(staff.people) == 1_600
    assert len(staff.departments) == 60
    tree = departments(session, actor_for(session, staff.person("system_admin")))
    assert Counter(node.level for node in tree) == {1: 4, 2: 31, 3: 25}
    assert {node.kind for node in tree} == {"leadership", "office", "clinical", "medical_tech"}
    vacant = select(func.count()).where(Department.head_id.is_(None) | Department.director_id.is_(None))
    assert session.scalar(vacant) == 0


def test_variety(session: Session, staff: DemoStaff) -> None:
    people = session.scalars(select(Person)).all()
    assert sum(person.disabled_at is not None for person in people) == 12
    assert sum(person.superior_id is not None for person in people) > 400
    assert session.scalar(select(func.count()).select_from(Membership)) == 30
    polyphonic = {person.name[0] for person in people} & set("单曾仇解查区朴翟盖缪覃种乐员召")
    assert len(polyphonic) == 15
    assert sum(person.name[:2] in ("欧阳", "尉迟", "令狐", "上官", "诸葛") for person in people) > 10
    assert all(person.pinyin == search_keys(person.name) for person in people)
    assert {person.post for person in people} >= {
        "院长", "副院长", "科主任", "副主任", "护士长", "主治医师", "住院医师", "护士", "技师", "科员", "办公室主任",
        "文书", "档案员", "印章管理员",
    }  # fmt: skip
    heads = set(session.scalars(select(Department.head_id)))
    assert not any(person.disabled_at and person.id in heads for person in people)


def test_roles(session: Session, staff: DemoStaff) -> None:
    assert set(session.scalars(select(Role.code))) == set(ROLES)
    members = Counter(session.scalars(select(RoleMember.role)))
    assert members.pop("doc_reader") == 40
    assert members == dict.fromkeys(set(ROLES) - {"doc_reader"}, 1)


def test_the_cast_is_who_it_says(session: Session, staff: DemoStaff) -> None:
    assert set(CAST) >= {
        "nurse", "head_nurse", "pediatrics_head", "hr_clerk", "vice_director_medical", "hospital_director",
        "office_clerk", "office_director", "archivist", "seal_keeper", "process_admin", "system_admin",
    }  # fmt: skip
    for key, member in CAST.items():
        person = session.get_one(Person, staff.person(key))
        assert (person.staff_number, person.name, person.disabled_at) == (member.staff_number, member.name, None)
        assert member.label
    assert CAST["nurse"].staff_number == "10027"
    assert actor_for(session, staff.person("office_clerk")).roles == {"office_clerk"}


def test_the_nurse_s_way_up(handlers: Callable[..., list[str]]) -> None:
    assert handlers("nurse", Assign("initiator_heads", level=3)) == [
        CAST[key].staff_number for key in ("head_nurse", "pediatrics_head", "vice_director_medical")
    ]
    assert handlers("nurse", Assign("initiator_director")) == [CAST["vice_director_medical"].staff_number]
    assert handlers("hr_clerk", Assign("initiator_head")) == [CAST["hr_head"].staff_number]
    assert handlers("pediatrics_head", Assign("initiator_head")) == [CAST["vice_director_medical"].staff_number]
    assert handlers("vice_director_medical", Assign("initiator_head")) == [CAST["hospital_director"].staff_number]


def test_readers_are_forty_active_people(handlers: Callable[..., list[str]]) -> None:
    assert len(handlers("nurse", Assign("role", role="doc_reader"))) == 40


def test_once_more_changes_nothing(session: Session, staff: DemoStaff) -> None:
    session.get_one(Person, staff.person("nurse")).mobile = "13912345678"
    session.flush()
    assert load_demo(session) == staff
    assert session.get_one(Person, staff.person("nurse")).mobile == "13912345678"


def test_a_missing_member_of_the_cast_comes_back(session: Session, staff: DemoStaff) -> None:
    nurse = session.get_one(Person, staff.person("nurse"))
    nurse.staff_number = "99999"
    session.flush()
    columns = [column for column in Person.__table__.columns if column.name != "version"]
    before = set(session.execute(select(*columns)))
    again = load_demo(session)
    assert len(again.people) == 1_601
    assert session.get_one(Person, again.person("nurse")).name == CAST["nurse"].name
    new = set(session.execute(select(*columns))) - before
    assert [row.staff_number for row in new] == [CAST["nurse"].staff_number], "the others are made alike at every run"
