"""The directory (通讯录): people and departments, for pickers and cards."""

import uuid
from typing import Annotated

from fastapi import Depends, Query
from pydantic import BeforeValidator, Field

from api.boxes import Limit
from api.deps import Call, Router, allowed
from api.schemas import Answer, Text
from engine.org import queries

router = Router("通讯录")

Reads = Annotated[Call, Depends(allowed("people:read"))]


class PersonOut(Answer):
    """A person in a list."""

    id: uuid.UUID
    staff_number: str = Field(examples=["10027"])
    name: str = Field(examples=["单晓燕"])
    post: str = Field(examples=["护士"])
    department_id: uuid.UUID
    department: str = Field(examples=["儿科"])


class PeopleOut(Answer):
    """A page of people by pinyin."""

    people: list[PersonOut]
    next_cursor: str | None = Field(examples=["WyJzaGFuIiwgIjAxOTgiXQ=="])


class PartTime(Answer):
    """A part-time place (兼职)."""

    department: str = Field(examples=["质控办"])
    post: str = Field(examples=["质控员"])


def _place(pair: tuple[str, str]) -> PartTime:
    return PartTime(department=pair[0], post=pair[1])


class CardOut(PersonOut):
    """A person's card (名片)."""

    part_time: list[Annotated[PartTime, BeforeValidator(_place, json_schema_input_type=PartTime)]]
    superior: str = Field(examples=["曾淑贞"])
    mobile: str = Field(examples=["13800000027"])
    email: str = Field(examples=["10027@hospital.example"])
    disabled: bool = Field(examples=[False])


class DepartmentOut(Answer):
    """A department of the tree; parents come before their children."""

    id: uuid.UUID
    code: str = Field(examples=["EK"])
    name: str = Field(examples=["儿科"])
    kind: str = Field(
        description="leadership 院领导，office 职能科室，clinical 临床，medical_tech 医技", examples=["clinical"]
    )
    parent_id: uuid.UUID | None
    level: int = Field(examples=[2])
    head_id: uuid.UUID | None
    people: int = Field(examples=[46])


class DepartmentsOut(Answer):
    """All departments."""

    departments: list[DepartmentOut]


@router.get("/people", summary="查找人员")
def search_people(
    call: Reads,
    text: Annotated[Text, Query(max_length=50, description="姓名、拼音、首字母或工号", examples=["sxy"])] = "",
    department_id: Annotated[uuid.UUID | None, Query(description="只找这个部门和它的下级")] = None,
    cursor: Annotated[str | None, Query(max_length=800, description="上一页给出的 next_cursor")] = None,
    limit: Limit = 20,
) -> PeopleOut:
    """Find active people by name, pinyin or staff number."""
    found = queries.search_people(call.session, call.actor, text, department_id, limit, cursor)
    return PeopleOut.model_validate(found)


@router.get("/people/{person_id}", summary="人员名片")
def person_card(call: Reads, person_id: uuid.UUID) -> CardOut:
    """Show a person's card."""
    found = queries.person_card(call.session, call.actor, person_id)
    return CardOut.model_validate(found)


@router.get("/departments", summary="部门树")
def departments(call: Reads) -> DepartmentsOut:
    """List the departments, each with its level."""
    found = queries.departments(call.session, call.actor)
    return DepartmentsOut(departments=[DepartmentOut.model_validate(node) for node in found])
