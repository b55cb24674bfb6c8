"""Assignment rules: who is found, in which order, and why."""

import uuid
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from engine.bpm.assignment import AssignmentContext, Handler, resolve
from engine.bpm.extensions import RULES, Assign
from engine.org.directory import directory
from engine.org.models import Department, Person
from tests.factories import org


@dataclass
class Hospital:
    """三级科室：临床科室 > 妇儿系统 > 儿科, with heads, a director in charge, and a nurse who starts things."""

    session: Session
    clinical: Department
    system: Department
    ward: Department
    office: Department
    director: Person
    clinical_head: Person
    system_head: Person
    ward_head: Person
    head_nurse: Person
    nurse: Person

    def resolve(
        self,
        *rules: Assign,
        initiator: Person | None = None,
        department: Department | None = None,
        previous: Person | None = None,
        data: dict[str, Any] | None = None,
        values: dict[str, object] | None = None,
        labels: dict[str, str] | None = None,
    ) -> list[Handler]:
        """Resolve rules; `values` are what expressions give."""
        initiator = initiator or self.nurse
        context = AssignmentContext(
            initiator_id=initiator.id,
            initiator_department_id=department.id if department else initiator.department_id,
            previous_id=previous.id if previous else None,
            data=data or {},
            evaluate=lambda expression: (values or {})[expression],
            field_labels=labels or {},
        )
        return resolve(directory(self.session), rules, context)

    def names(self, *rules: Assign, **options: Any) -> list[str]:
        """Resolve rules to names."""
        return [handler.name for handler in self.resolve(*rules, **options)]

    def disable(self, person: Person) -> None:
        """Disable a person."""
        self.session.execute(update(Person).where(Person.id == person.id).values(disabled_at=org.LONG_AGO))


@pytest.fixture
def hospital(session: Session) -> Hospital:
    leaders = org.department(session, "院领导")
    director = org.head(session, leaders, "曾院长", post="副院长", rank=1)
    clinical = org.department(session, "临床科室", director_id=director.id)
    system = org.department(session, "妇儿系统", parent=clinical)
    ward = org.department(session, "儿科", parent=system, code="EK")
    office = org.department(session, "院长办公室", code="YB", kind="office")
    head_nurse = org.person(session, "护士长", of=ward, post="护士长", rank=35)
    return Hospital(
        session,
        clinical,
        system,
        ward,
        office,
        director,
        clinical_head=org.head(session, clinical, "临床头"),
        system_head=org.head(session, system, "系统头"),
        ward_head=org.head(session, ward, "科主任", post="科主任", rank=20),
        head_nurse=head_nurse,
        nurse=org.person(session, "护士甲", of=ward, post="护士", superior_id=head_nurse.id),
    )


def test_persons_in_the_order_of_the_rule(hospital: Hospital) -> None:
    first, second = org.person(hospital.session, "甲"), org.person(hospital.session, "乙")
    rule = Assign("person", persons=(second.staff_number, "nobody", first.staff_number))
    assert hospital.names(rule) == ["乙", "甲"]


def test_role(hospital: Hospital) -> None:
    clerk = org.person(hospital.session, "文书", post="文书", rank=50)
    first = org.person(hospital.session, "副手", rank=10)
    org.role(hospital.session, "office_clerk", clerk, first, name="院办文书")
    assert hospital.resolve(Assign("role", role="office_clerk")) == [
        Handler(first.id, "副手", "因担任角色“院办文书”"),
        Handler(clerk.id, "文书", "文书，因担任角色“院办文书”"),
    ]
    assert hospital.names(Assign("role", role="unknown")) == []


def test_role_for_a_department_takes_the_nearest(hospital: Hospital) -> None:
    session = hospital.session
    everywhere, upper, own = (org.person(session, name) for name in ("全院", "系统", "本科"))
    rule = Assign("role", role="clerk", of="initiator")
    org.role(session, "clerk", everywhere, name="文书")
    assert hospital.names(rule) == ["全院"]
    org.role(session, "clerk", upper, of=hospital.system)
    assert hospital.names(rule) == ["系统"]
    org.role(session, "clerk", own, of=hospital.ward)
    assert hospital.resolve(rule) == [Handler(own.id, "本科", "因担任儿科的角色“文书”")]
    assert hospital.names(rule, department=hospital.office) == ["全院"]
    in_field = Assign("role", role="clerk", of="units")
    assert hospital.names(in_field, data={"units": [str(hospital.office.id), str(hospital.ward.id)]}) == [
        "全院",
        "本科",
    ]
    assert set(hospital.names(Assign("role", role="clerk"))) == {"全院", "系统", "本科"}


def test_post(hospital: Hospital) -> None:
    elsewhere = org.person(hospital.session, "骨科护士长", post="护士长", rank=30)
    second = org.person(hospital.session, "质控员")
    org.part_time(hospital.session, second, hospital.ward, "护士长")
    assert hospital.resolve(Assign("post", post="护士长", department="EK")) == [
        Handler(hospital.head_nurse.id, "护士长", "护士长，因是儿科的护士长"),
        Handler(second.id, "质控员", "因是儿科的护士长"),
    ]
    everywhere = hospital.resolve(Assign("post", post="护士长"))
    assert [handler.person_id for handler in everywhere] == [elsewhere.id, hospital.head_nurse.id, second.id]
    assert everywhere[0].why == "护士长，因岗位是护士长"
    assert hospital.names(Assign("post", post="护士长", department="YB")) == []


def test_department_with_those_below_and_part_time(hospital: Hospital) -> None:
    guest = org.person(hospital.session, "兼职")
    org.part_time(hospital.session, guest, hospital.ward)
    assert hospital.names(Assign("department", department="EK")) == ["科主任", "护士长", "护士甲", "兼职"]
    by_expression = Assign("department", department="=units")
    found = hospital.resolve(by_expression, values={"units": str(hospital.system.id)})
    assert {handler.name for handler in found} == {"系统头", "科主任", "护士长", "护士甲", "兼职"}
    assert {handler.why.rpartition("，")[2] for handler in found} == {"因是妇儿系统的成员"}


def test_head_and_director(hospital: Hospital) -> None:
    assert hospital.resolve(Assign("head", department="EK")) == [
        Handler(hospital.ward_head.id, "科主任", "科主任，因是儿科的负责人")
    ]
    assert hospital.names(Assign("head", department="=list"), values={"list": ["EK", hospital.system.id]}) == [
        "科主任",
        "系统头",
    ]
    assert hospital.resolve(Assign("director", department="EK")) == [
        Handler(hospital.director.id, "曾院长", "副院长，因是儿科的分管领导")
    ]
    assert hospital.names(Assign("head", department="YB")) == []
    assert hospital.names(Assign("director", department="YB")) == []


def test_initiator_and_previous(hospital: Hospital) -> None:
    rules = [Assign("initiator"), Assign("previous")]
    assert hospital.resolve(*rules, previous=hospital.head_nurse) == [
        Handler(hospital.nurse.id, "护士甲", "护士，因是发起人"),
        Handler(hospital.head_nurse.id, "护士长", "护士长，因是上一办理人"),
    ]
    assert hospital.names(*rules) == ["护士甲"]


def test_heads_above_the_initiator_level_by_level(hospital: Hospital) -> None:
    levels = [hospital.resolve(Assign("initiator_head", level=level)) for level in range(1, 7)]
    assert [[(handler.name, handler.why) for handler in level] for level in levels] == [
        [("护士长", "护士长，因是发起人的直接上级")],
        [("科主任", "科主任，因是发起人所在科室儿科的负责人")],
        [("系统头", "因是发起人上级科室妇儿系统的负责人")],
        [("临床头", "因是发起人上级科室临床科室的负责人")],
        [("曾院长", "副院长，因是发起人所在科室儿科的分管领导")],
        [],
    ]
    assert hospital.names(Assign("initiator_heads", level=3)) == ["护士长", "科主任", "系统头"]
    assert hospital.names(Assign("initiator_heads", level=9)) == ["护士长", "科主任", "系统头", "临床头", "曾院长"]


def test_a_head_goes_to_the_next_one_up(hospital: Hospital) -> None:
    first = Assign("initiator_head")
    assert hospital.names(first, initiator=hospital.ward_head) == ["系统头"]
    assert hospital.names(first, initiator=hospital.clinical_head) == ["曾院长"]
    assert hospital.names(first, initiator=hospital.director) == []


def test_who_heads_a_higher_department_is_not_decided_for_by_their_own_people(hospital: Hospital) -> None:
    hospital.system.head_id = hospital.nurse.id
    hospital.nurse.superior_id = None
    hospital.session.flush()
    assert hospital.names(Assign("initiator_head")) == ["临床头"]


def test_the_same_head_of_two_levels_stands_once(hospital: Hospital) -> None:
    hospital.system.head_id = hospital.ward_head.id
    hospital.session.flush()
    assert hospital.names(Assign("initiator_heads", level=3)) == ["护士长", "科主任", "临床头"]


def test_a_superior_who_heads_a_department_above_takes_the_place_of_those_before(hospital: Hospital) -> None:
    hospital.nurse.superior_id = hospital.system_head.id
    hospital.session.flush()
    assert hospital.names(Assign("initiator_heads", level=3)) == ["系统头", "临床头", "曾院长"]


def test_a_vacant_or_disabled_head_keeps_the_level(hospital: Hospital) -> None:
    hospital.nurse.superior_id = None
    hospital.disable(hospital.ward_head)
    hospital.session.flush()
    assert hospital.names(Assign("initiator_head")) == []
    assert hospital.names(Assign("initiator_head", level=2)) == ["系统头"]
    hospital.ward.head_id = None
    hospital.session.flush()
    assert hospital.names(Assign("initiator_head")) == []
    assert hospital.names(Assign("initiator_heads", level=2)) == ["系统头"]


def test_a_disabled_superior_leaves_the_way_to_the_head(hospital: Hospital) -> None:
    hospital.disable(hospital.head_nurse)
    assert hospital.names(Assign("initiator_head")) == ["科主任"]


def test_seen_from_a_part_time_department_its_head_comes_first(hospital: Hospital) -> None:
    office_head = org.head(hospital.session, hospital.office, "院办主任", post="办公室主任")
    assert hospital.resolve(Assign("initiator_head"), department=hospital.office) == [
        Handler(office_head.id, "院办主任", "办公室主任，因是发起人所在科室院长办公室的负责人")
    ]


def test_director_of_the_initiator_and_heads_of_the_previous_handler(hospital: Hospital) -> None:
    assert hospital.resolve(Assign("initiator_director")) == [
        Handler(hospital.director.id, "曾院长", "副院长，因是发起人所在科室儿科的分管领导")
    ]
    assert hospital.resolve(Assign("previous_head"), previous=hospital.head_nurse) == [
        Handler(hospital.ward_head.id, "科主任", "科主任，因是上一办理人所在科室儿科的负责人")
    ]
    assert hospital.names(Assign("previous_head", level=2), previous=hospital.head_nurse) == ["系统头"]
    assert hospital.names(Assign("previous_head")) == []


def test_field_of_people_and_departments(hospital: Hospital) -> None:
    clerk = org.head(hospital.session, hospital.office, "主任")
    data = {"readers": [str(clerk.id), str(hospital.ward.id), str(uuid.uuid4()), "x", None, 7]}
    found = hospital.resolve(Assign("field", field="readers"), data=data, labels={"readers": "传阅{对象}"})
    assert [(handler.name, handler.why) for handler in found] == [
        ("主任", "因在“传阅{对象}”中选定"),
        ("科主任", "科主任，因是“传阅{对象}”中儿科的成员"),
        ("护士长", "护士长，因是“传阅{对象}”中儿科的成员"),
        ("护士甲", "护士，因是“传阅{对象}”中儿科的成员"),
    ]
    assert hospital.names(Assign("field", field="readers"), data={"readers": str(clerk.id)}) == ["主任"]
    assert hospital.names(Assign("field", field="missing")) == []


def test_heads_of_the_departments_of_a_field(hospital: Hospital) -> None:
    data = {"units": [str(hospital.ward.id), str(hospital.office.id)]}
    assert hospital.resolve(Assign("field_head", field="units"), data=data, labels={"units": "承办科室"}) == [
        Handler(hospital.ward_head.id, "科主任", "科主任，因是“承办科室”中儿科的负责人")
    ]


def test_expression(hospital: Hospital) -> None:
    values: dict[str, object] = {
        "[a, b]": [str(hospital.nurse.id), str(hospital.ward_head.id)],
        "one": hospital.nurse.id,
    }
    assert hospital.resolve(Assign("expression", value="=[a, b]"), values=values) == [
        Handler(hospital.nurse.id, "护士甲", "护士，因由流程按条件选定"),
        Handler(hospital.ward_head.id, "科主任", "科主任，因由流程按条件选定"),
    ]
    assert hospital.names(Assign("expression", value="=one"), values=values) == ["护士甲"]
    assert hospital.names(Assign("expression", value="=x"), values={"x": {"no": "list"}}) == []


def test_rules_are_united_in_order_without_duplicates_or_disabled_people(hospital: Hospital) -> None:
    hospital.disable(hospital.head_nurse)
    rules = [Assign("initiator_director"), Assign("initiator"), Assign("department", department="EK")]
    found = hospital.resolve(*rules)
    assert [handler.name for handler in found] == ["曾院长", "护士甲", "科主任"]
    assert found[1].why == "护士，因是发起人"


def test_nobody_for_no_rules(hospital: Hospital) -> None:
    assert hospital.resolve() == []


def test_why_fits_its_column(hospital: Hospital) -> None:
    found = hospital.resolve(
        Assign("field", field="f"), data={"f": str(hospital.nurse.id)}, labels={"f": "很长的名称" * 60}
    )
    assert len(found[0].why) == 200


def test_every_rule_of_the_vocabulary_is_known(hospital: Hospital) -> None:
    for rule in sorted(RULES):
        hospital.resolve(Assign(rule, value="=x"), values={"x": None})


def test_five_hundred_readers_and_a_head(hospital: Hospital) -> None:
    session = hospital.session
    units = [org.department(session) for _ in range(10)]
    people = [
        Person(staff_number=f"R{number}", name=f"读者{number}", pinyin=f"r{number:04}", department_id=unit.id)
        for number, unit in enumerate(units * 50)
    ]
    session.add_all(people)
    session.flush()
    rules = [Assign("field", field="readers"), Assign("field_head", field="readers"), Assign("initiator_head")]
    found = hospital.resolve(*rules, data={"readers": [str(unit.id) for unit in units]})
    assert [handler.name for handler in found] == [
        *(f"读者{number}" for first in range(10) for number in range(first, 500, 10)),
        "护士长",
    ]
