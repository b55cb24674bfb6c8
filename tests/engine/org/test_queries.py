"""Who is asking, who is found, what a card shows."""

import base64
import uuid

import pytest
from sqlalchemy.orm import Session

from engine.errors import Invalid, NotFound
from engine.org.actor import AUDITOR, SYSTEM_ADMIN, Actor
from engine.org.models import Department
from engine.org.queries import actor_for, department_names, departments, names, person_card, search_people
from tests.factories import org


@pytest.fixture
def viewer(session: Session) -> Actor:
    return org.actor(session, name="某人", staff_number="V1")


def found(session: Session, viewer: Actor, text: str, department: Department | None = None) -> list[str]:
    """Return the names that a search finds."""
    page = search_people(session, viewer, text, department.id if department else None)
    return [person.name for person in page.people]


def test_actor_has_roles_and_departments_with_those_above(session: Session) -> None:
    top = org.department(session)
    middle = org.department(session, parent=top)
    ward = org.department(session, "儿科", parent=middle)
    other_top = org.department(session)
    other = org.department(session, parent=other_top)
    third = org.department(session)
    person = org.person(session, "单静", of=ward)
    org.part_time(session, person, other)
    org.part_time(session, person, third)
    org.role(session, AUDITOR, person)
    org.role(session, "clerk", person)
    assert actor_for(session, person.id) == Actor(
        person.id,
        "单静",
        ward.id,
        "儿科",
        frozenset({AUDITOR, "clerk"}),
        frozenset({ward.id, middle.id, top.id, other.id, other_top.id, third.id}),
    )


def test_a_role_for_one_department_gives_no_rights(session: Session) -> None:
    person = org.person(session)
    org.role(session, SYSTEM_ADMIN, person, of=org.department(session))
    assert actor_for(session, person.id).roles == frozenset()


def test_nobody_is_no_actor(session: Session) -> None:
    for id_ in (uuid.uuid4(), org.person(session, disabled=True).id):
        with pytest.raises(NotFound):
            actor_for(session, id_)


@pytest.mark.parametrize(
    "text",
    [
        "单",
        "静",
        "单静",
        " 单 静 ",
        "shanjing",
        "Shan Jing",
        "shanj",
        "sj",
        "danjing",
        "jing",
        "ZX12",
        "zx1",
        "ＺＸ１２",
    ],
)
def test_found_by_name_pinyin_initials_or_number(session: Session, viewer: Actor, text: str) -> None:
    org.person(session, "单静", staff_number="ZX1234")
    assert found(session, viewer, text) == ["单静"]


@pytest.mark.parametrize("text", ["hanjing", "静单", "X1234", "1234", "%", "_", "\\", "单%", "\x00x", "\ud800x", "'"])
def test_not_found(session: Session, viewer: Actor, text: str) -> None:
    org.person(session, "单静", staff_number="ZX1234")
    assert found(session, viewer, text) == []


def test_disabled_people_are_not_found(session: Session, viewer: Actor) -> None:
    org.person(session, "单静", disabled=True)
    assert found(session, viewer, "单静") == []


def test_search_within_a_department_and_below(session: Session, viewer: Actor) -> None:
    upper = org.department(session)
    ward = org.department(session, parent=upper)
    org.person(session, "单静", of=ward)
    guest = org.person(session, "单明")
    org.part_time(session, guest, ward)
    org.person(session, "单远")
    assert found(session, viewer, "单", upper) == ["单静", "单明"]
    assert found(session, viewer, "", ward) == ["单静", "单明"]


def test_pages_are_complete_and_sorted_by_pinyin(session: Session, viewer: Actor) -> None:
    ward = org.department(session, "心内科")
    for name in ("朱一", "曾二", "安三", "曾二", "单四"):
        org.person(session, name, of=ward, post="护士")
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        page = search_people(session, viewer, "", ward.id, limit=2, cursor=cursor)
        seen += [person.name for person in page.people]
        assert all((person.department, person.post) == ("心内科", "护士") for person in page.people)
        cursor = page.next_cursor
    assert seen == ["安三", "单四", "曾二", "曾二", "朱一"]
    assert cursor is None
    assert len(search_people(session, viewer, "", ward.id, limit=5).people) == 5
    assert search_people(session, viewer, "", ward.id, limit=5).next_cursor is None


def encoded(text: str) -> str:
    """Return a text as a cursor is encoded."""
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", *map(encoded, ("[]", '["a"]', '["a","b"]', "[1,2]", "null", "x", "9"))]
)
def test_a_cursor_of_one_s_own_making_is_refused(session: Session, viewer: Actor, cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        search_people(session, viewer, "", cursor=cursor)
    assert refusal.value.code == "bad_cursor"


def test_departments_as_a_tree(session: Session) -> None:
    second = org.department(session, "临床", sort=2)
    first = org.department(session, "职能", sort=1)
    ward = org.department(session, "儿科", parent=second)
    closed = org.department(session, "撤销科", parent=second, disabled_at=org.LONG_AGO)
    org.person(session, of=closed)
    nurse = org.person(session, of=ward)
    org.person(session, of=ward, disabled=True)
    tree = departments(session, actor_for(session, nurse.id))
    assert [(node.name, node.level, node.parent_id, node.people) for node in tree] == [
        ("职能", 1, None, 0),
        ("临床", 1, None, 0),
        ("儿科", 2, second.id, 1),
    ]
    assert tree[0].id == first.id


def test_card(session: Session, viewer: Actor) -> None:
    ward, office = org.department(session, "儿科"), org.department(session, "质控办")
    chief = org.person(session, "护士长", of=ward)
    nurse = org.person(session, "单静", of=ward, post="护士", mobile="13800000001", superior_id=chief.id)
    org.part_time(session, nurse, office, "质控员")
    card = person_card(session, viewer, nurse.id)
    assert (card.name, card.department, card.post, card.part_time, card.superior, card.mobile, card.disabled) == (
        "单静", "儿科", "护士", (("质控办", "质控员"),), "护士长", "13800000001", False,
    )  # fmt: skip
    with pytest.raises(NotFound):
        person_card(session, viewer, uuid.uuid4())


def test_numbers_of_who_has_left_are_for_system_admins(session: Session, viewer: Actor) -> None:
    left = org.person(session, "走了", disabled=True, mobile="13800000001", email="a@b.cn")
    card = person_card(session, viewer, left.id)
    assert (card.name, card.mobile, card.email, card.disabled) == ("走了", "", "", True)
    assert person_card(session, org.actor(session, SYSTEM_ADMIN), left.id).mobile == "13800000001"


def test_names(session: Session, viewer: Actor) -> None:
    active, left = org.person(session, "甲"), org.person(session, "乙", disabled=True)
    assert names(session, viewer, [active.id, left.id, active.id, uuid.uuid4()]) == {active.id: "甲", left.id: "乙"}
    assert names(session, viewer, []) == {}
    ward = org.department(session, "儿科")
    assert department_names(session, viewer, [ward.id, uuid.uuid4()]) == {ward.id: "儿科"}
