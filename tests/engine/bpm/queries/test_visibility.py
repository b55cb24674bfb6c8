"""Who may see an instance; for everybody else it is as if it didn't exist."""

import uuid
from typing import Any

import pytest
from sqlalchemy.orm import Session

from engine.bpm import visibility
from engine.bpm.extensions import Assign
from engine.bpm.models import Instance
from engine.errors import NotFound
from engine.org.actor import ADMIN, AUDITOR, DESIGNER, SYSTEM_ADMIN
from engine.org.models import Person
from tests.factories import org

INITIATOR = "发起人"


@pytest.fixture
def applicant(office: Any) -> Person:
    found: Person = office.person(INITIATOR)
    return found


@pytest.fixture
def instance(office: Any, applicant: Person) -> Instance:
    found: Instance = office.instance(applicant)
    return found


def test_people_of_the_instance_see_it(session: Session, office: Any, applicant: Person, instance: Instance) -> None:
    handler, former, queued, copied = (office.person() for _ in range(4))
    office.item(instance, handler)
    office.item(instance, former, state="reassigned")
    office.item(instance, queued, state="queued")
    office.copy(instance, copied, applicant)
    for person in (applicant, handler, former, queued, copied):
        assert visibility.may_see(session, office.actor(person), instance.id)
        assert visibility.require(session, office.actor(person), instance.id) is instance


def test_nobody_else_sees_it_and_unknown_ids_answer_alike(
    session: Session, office: Any, applicant: Person, instance: Instance, unknown: uuid.UUID
) -> None:
    other = office.instance(office.nobody)
    office.item(other, office.nobody)
    stranger = office.actor(office.nobody)
    assert not visibility.may_see(session, stranger, instance.id)
    assert not visibility.may_see(session, office.actor(applicant), unknown)
    refusals = []
    for id_ in (instance.id, unknown):
        with pytest.raises(NotFound) as refusal:
            visibility.require(session, stranger, id_)
        refusals.append((refusal.value.code, refusal.value.message, refusal.value.fields))
    assert refusals[0] == refusals[1]


@pytest.mark.parametrize(
    ("role", "sees"),
    [
        (ADMIN, True), (AUDITOR, True), (DESIGNER, False), (SYSTEM_ADMIN, False), ("archivist", True),
        ("hr_clerk", False),
    ],
)  # fmt: skip
def test_roles(session: Session, instance: Instance, role: str, sees: bool) -> None:
    assert visibility.may_see(session, org.actor(session, role), instance.id) is sees


@pytest.fixture
def places(session: Session, applicant: Person) -> dict[str, Any]:
    """A ward below a division, the applicant's own department apart; who is what in it."""
    division = org.department(session, "内科")
    ward = org.department(session, "儿科", parent=division)
    found: dict[str, Any] = {
        "division": division,
        "ward": ward,
        "nurse": org.person(session, of=ward, post="护士"),
        "guest": org.person(session),
        "head": org.head(session, ward),
        "director": org.person(session),
        "clerk": org.person(session),
    }
    org.part_time(session, found["guest"], ward, "护士")
    division.director_id = found["director"].id
    org.role(session, "clerk", found["clerk"], of=ward)
    session.flush()
    return found


RULES = [
    (Assign("role", role="clerk"), {"clerk"}),
    (Assign("role", role="clerk", of="place"), {"clerk"}),
    (Assign("role", role="clerk", of="elsewhere"), set()),
    (Assign("post", post="护士"), {"nurse", "guest"}),
    (Assign("post", post="护士", department="=elsewhere"), set()),
    (Assign("department", department="=place"), {"nurse", "guest", "head"}),
    (Assign("department", department="=above"), {"nurse", "guest", "head"}),
    (Assign("department", department="=elsewhere"), set()),
    (Assign("head", department="=place"), {"head"}),
    (Assign("director", department="=place"), {"director"}),
    (Assign("field", field="place"), {"nurse", "guest", "head"}),
    (Assign("field", field="people"), {"nurse", "director"}),
    (Assign("field", field="missing"), set()),
    (Assign("field_head", field="place"), {"head"}),
    (Assign("expression", value="=people[1]"), {"nurse"}),
    (Assign("expression", value="=1 + place"), set()),
    (Assign("initiator"), {"applicant"}),
    (Assign("initiator_head"), set()),
    (Assign("previous"), set()),
]


@pytest.mark.parametrize(("rule", "named"), RULES, ids=[str(rule) for rule, _ in RULES])
def test_rule_names_whom_assignment_names(
    session: Session, office: Any, applicant: Person, places: dict[str, Any], rule: Assign, named: set[str]
) -> None:
    elsewhere = org.department(session)
    data = (
        f'{{"place": "{places["ward"].id}", "above": "{places["division"].id}", "elsewhere": "{elsewhere.id}",'
        f' "people": ["{places["nurse"].id}", "{places["director"].id}"]}}'
    )
    instance = office.instance(applicant, data=data.encode())
    people = {"applicant": applicant} | {k: v for k, v in places.items() if isinstance(v, Person)}
    found = {
        name for name, person in people.items() if visibility.matches(session, rule, office.actor(person), instance)
    }
    assert found == named


def test_rules_by_code_and_number(session: Session, office: Any, applicant: Person, places: dict[str, Any]) -> None:
    instance, nurse = office.instance(applicant), office.actor(places["nurse"])
    codes = f"{office.nobody.staff_number} {places['nurse'].staff_number}"
    for rule, expected in (
        (Assign("department", department=places["ward"].code), True),
        (Assign("department", department=places["division"].code), True),
        (Assign("department", department="no-such-code"), False),
        (Assign("person", persons=tuple(codes.split())), True),
        (Assign("person", persons=(office.nobody.staff_number,)), False),
    ):
        assert visibility.matches(session, rule, nurse, instance) is expected


def test_asking_costs_few_statements(session: Session, office: Any, instance: Instance, statements: Any) -> None:
    stranger, archivist = office.actor(office.nobody), org.actor(session, "archivist")
    visibility.may_see(session, stranger, instance.id)  # the version is parsed once
    for viewer in (archivist, stranger):
        with statements(session) as sent:
            visibility.may_see(session, viewer, instance.id)
        assert len(sent) == 2  # the instance, and which state of the organisation it is
