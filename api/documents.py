"""The ledger of document numbers (文号台账)."""

import uuid
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import Field

from api.deps import Call, Router, allowed
from api.schemas import Answer, Body, Opinion, Text
from engine.documents import numbering

router = Router("文号台账")

Word = Annotated[Text, Query(min_length=1, max_length=40, description="机关代字", examples=["仁医发"])]
Year = Annotated[int, Query(ge=2000, le=2100, description="年份", examples=[2026])]


class NumberOut(Answer):
    """A number of the ledger and its fate."""

    id: uuid.UUID
    word: str = Field(examples=["仁医发"])
    year: int = Field(examples=[2026])
    number: int = Field(examples=[12])
    text: str = Field(examples=["仁医发〔2026〕12号"])
    instance_id: uuid.UUID
    given_at: datetime
    voided_at: datetime | None
    void_reason: str = Field(examples=["文件重复，不再印发"])


class Ledger(Answer):
    """Every number of a word and year, in order."""

    numbers: list[NumberOut]


class VoidBody(Body):
    """Which number (文号) is void, and why."""

    text: Text = Field(min_length=1, max_length=80, examples=["仁医发〔2026〕12号"])
    reason: Opinion


@router.get("/document-numbers", summary="一个机关代字一年的文号，含作废")
def ledger(call: Annotated[Call, Depends(allowed("documents:read"))], word: Word, year: Year) -> Ledger:
    """List the ledger."""
    found = numbering.ledger(call.session, call.actor, word=word, year=year)
    return Ledger(numbers=[NumberOut.model_validate(row) for row in found])


@router.post("/document-numbers/void", summary="作废一个文号")
def void(call: Annotated[Call, Depends(allowed("documents:write"))], body: VoidBody) -> NumberOut:
    """Mark a number as void; it is never given again."""
    return NumberOut.model_validate(numbering.void(call.session, call.actor, body.text, reason=body.reason))
