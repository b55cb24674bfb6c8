"""Assignment rules against the organisation as it is today: which of them find nobody."""

import pytest
from sqlalchemy.orm import Session

from engine.bpm import definitions, lint
from engine.bpm.extensions import Assign
from engine.bpm.vacancies import vacancies
from engine.org.directory import directory
from tests.engine.bpm.lint.diagrams import end, extension, path, process, start, user
from tests.factories import org


@pytest.fixture
def hospital(session: Session) -> Session:
    """儿科 with a head and a head nurse who has left, 药剂科 without anybody, a role of leavers and one of nobody."""
    ward = org.department(session, "儿科", code="EK")
    org.head(session, ward, post="主任")
    leaver = org.person(session, of=ward, post="护士长", disabled=True)
    org.department(session, "药剂科", code="YJ", head_id=leaver.id)
    org.role(session, "pharmacy_secretary", name="药事会秘书")
    org.role(session, "auditor", leaver, name="审计员")
    org.role(session, "ward_clerk", org.person(session, of=ward), of=ward, name="病区文员")
    return session


CASES = [
    (Assign("role", role="pharmacy_secretary"), "角色“药事会秘书”（pharmacy_secretary）没有人担任"),
    (Assign("role", role="auditor", of="departments"), "角色“审计员”（auditor）没有人担任"),
    (Assign("post", post="护士长"), "没有岗位是“护士长”的人"),
    (Assign("post", post="主任", department="YJ"), "科室 YJ 里没有岗位是“主任”的人"),
    (Assign("head", department="EK YJ"), "科室“药剂科”（YJ）没有负责人"),
    (Assign("director", department="EK"), "科室“儿科”（EK）没有分管院领导"),
    (Assign("department", department="YJ"), "科室“药剂科”（YJ）没有成员"),
]


@pytest.mark.parametrize(("rule", "sentence"), CASES)
def test_a_rule_that_finds_nobody_says_where(hospital: Session, rule: Assign, sentence: str) -> None:
    assert list(vacancies(directory(hospital), rule)) == [sentence]


@pytest.mark.parametrize(
    "rule",
    [
        Assign("role", role="ward_clerk", of="initiator"),
        Assign("post", post="主任"),
        Assign("head", department="EK"),
        Assign("department", department="EK"),
        Assign("role", role="gone"),  # refused as unknown elsewhere
        Assign("head", department="=initiator.department_id"),
        Assign("post", post="护士长", department="=departments"),
        Assign("initiator_head"),
        Assign("field", field="readers"),
        Assign("expression", value="=initiator.id"),
    ],
)
def test_a_rule_that_finds_somebody_or_cannot_be_decided_says_nothing(hospital: Session, rule: Assign) -> None:
    assert list(vacancies(directory(hospital), rule)) == []


def test_the_linter_warns_of_steps_starters_and_readers_that_are_nobody(hospital: Session) -> None:
    box = extension(
        '<piyue:process starters="role:auditor department:YJ"/><piyue:readers rule="role" role="pharmacy_secretary"/>'
    )
    step = user("x", extra='<piyue:assign rule="head" department="YJ"/>')
    diagram = process(box, start(), step, end(), path("start", "x", "end"))
    known = definitions.organisation(hospital)
    found = lint.check({"process.bpmn": diagram}, known=known)
    assert {(each.code, each.severity) for each in found} == {("organisation_nobody", "warning")}
    assert {(each.element, each.message.partition("：")[2]) for each in found} == {
        ("leave", "科室“药剂科”（YJ）没有成员"),
        ("leave", "角色“审计员”（auditor）没有人担任"),
        ("leave", "角色“药事会秘书”（pharmacy_secretary）没有人担任"),
        ("x", "科室“药剂科”（YJ）没有负责人"),
    }
    assert lint.check({"process.bpmn": diagram}) == []


def test_roles_and_posts_are_no_expressions() -> None:
    step = user("x", extra='<piyue:assign rule="role" role="=who"/><piyue:assign rule="post" post="=what"/>')
    found = lint.check({"process.bpmn": process(start(), step, end(), path("start", "x", "end"))})
    assert [(each.code, each.severity) for each in found] == [("assign_expression", "error")] * 2
