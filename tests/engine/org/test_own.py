"""What people set for themselves: found by their own reading, their mobile number hidden, whatever is imported."""

import pytest
from sqlalchemy.orm import Session

from engine.errors import Invalid
from engine.org.models import Person
from engine.org.own import Own, own, set_own
from engine.org.queries import actor_for, person_card, search_people
from engine.org.staff_import import import_staff
from engine.org.staff_template import staff_workbook
from tests.factories import org


def imported(session: Session, name: str = "曾伟", reading: str = "") -> None:
    department = ["YB", "院办", "职能科室", "", "", "", "10", "在职"]
    row = ["2001", name, "YB", "文书", "", "13800000001", "a@hospital.example", "", "20", "在职", reading]
    import_staff(session, None, staff_workbook([department], [row]))


def found(session: Session, text: str) -> list[str]:
    viewer = org.actor(session)
    return [person.staff_number for person in search_people(session, viewer, text).people]


def test_ones_own_reading_is_found_and_survives_imports(session: Session) -> None:
    imported(session)
    person = session.query(Person).filter_by(staff_number="2001").one()
    me = actor_for(session, person.id)
    set_own(session, me, Own(" ceng  wei ", mobile_hidden=True))
    assert found(session, "cengw") == ["2001"]
    assert found(session, "zengw") == []

    imported(session, name="曾纬", reading="zeng wei")  # another name and another reading by the hospital
    session.refresh(person)
    assert (person.name, person.pinyin_override, person.mobile_hidden) == ("曾纬", "ceng wei", True)
    assert found(session, "cengw") == ["2001"]
    assert found(session, "zengw") == []
    assert own(session, me) == Own("ceng wei", mobile_hidden=True)

    set_own(session, me, Own("", mobile_hidden=True))
    assert found(session, "zengw") == ["2001"]


def test_a_hidden_number_is_shown_to_its_owner_alone(session: Session) -> None:
    imported(session)
    person = session.query(Person).filter_by(staff_number="2001").one()
    me, other, admin = actor_for(session, person.id), org.actor(session), org.actor(session, "system_admin")
    assert person_card(session, other, person.id).mobile == "13800000001"
    set_own(session, me, Own("", mobile_hidden=True))
    for viewer, shown in ((me, "13800000001"), (other, ""), (admin, "")):
        assert person_card(session, viewer, person.id).mobile == shown
    assert person_card(session, other, person.id).email == "a@hospital.example"


@pytest.mark.parametrize("reading", ["曾伟", "zeng1 wei", "a" * 61, "zeng,wei", "<b>"])
def test_what_is_no_reading_is_refused(session: Session, reading: str) -> None:
    me = org.actor(session)
    with pytest.raises(Invalid, match="音节之间用空格") as refusal:
        set_own(session, me, Own(reading, mobile_hidden=False))
    assert refusal.value.errors[0]["place"] == "reading"
    assert own(session, me) == Own("", mobile_hidden=False)
