"""Document numbers (文号): agency word, year in 〔 〕, serial number (GB/T 9704-2012, 7.2.5).

No two alike, and no hole without an entry in the ledger.
"""

import re
import uuid
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.audit import record
from engine.batch import Batch, Statement
from engine.documents.models import DocumentNumber
from engine.errors import Conflict, Forbidden, Invalid, NotFound
from engine.org.actor import ADMIN, AUDITOR, Actor
from engine.org.models import Person

OFFICE = "office_clerk"  # 院办文书 keeps the ledger
_NEXT = Statement(
    "INSERT INTO number_series (word, year, last) VALUES (:word, :year, 1) "
    "ON CONFLICT (word, year) DO UPDATE SET last = number_series.last + 1 RETURNING last"
)


def allocate(session: Session, *, word: str, year: int, instance_id: uuid.UUID, request: str, now: datetime) -> str:
    """Give the next number of a word and year to an instance; returns e.g. `仁医发〔2026〕12号`.

    The series' row is locked until the transaction ends, so a rollback leaves no hole. The same `request` again gives
    the same number. Raises Invalid for an unusable word or year.
    """
    if not re.fullmatch(r"[\u4e00-\u9fffA-Za-z]{1,20}", word):
        raise Invalid(f"机关代字“{word[:40]}”不可用：只用汉字或字母，最多 20 个", code="number_word")
    if not 2000 <= year <= 2100:
        raise Invalid(f"年份 {year} 不可用", code="number_year")
    given = session.scalar(select(DocumentNumber.text).where(DocumentNumber.request == request))
    if given is not None:
        return given
    batch = Batch()
    batch.query(_NEXT, {"word": word, "year": year})
    number = batch.run(session)[0][0].last
    text = f"{word}〔{year}〕{number}号"
    session.add(
        DocumentNumber(
            word=word, year=year, number=number, text=text, instance_id=instance_id, request=request, given_at=now
        )
    )
    session.flush()
    return text


def void(session: Session, actor: Actor, text: str, *, reason: str) -> DocumentNumber:
    """Mark a number as void (作废) with a reason; it stays in the ledger and is never given again.

    Raises Forbidden unless the actor keeps the ledger or is a process admin, NotFound, Conflict where it is void
    already, Invalid without a usable reason.
    """
    if not actor.has(OFFICE, ADMIN):
        raise Forbidden("只有院办文书和流程管理员可以作废文号", code="not_office")
    row = session.scalar(select(DocumentNumber).where(DocumentNumber.text == text).with_for_update())
    if row is None:
        raise NotFound(f"台账里没有文号“{text[:80]}”", code="number_not_found")
    if row.voided_at is not None:
        who = session.scalar(select(Person.name).where(Person.id == row.voided_by)) or "命令行"
        at = row.voided_at.astimezone(clock.LOCAL)
        raise Conflict(f"文号“{text}”已由{who}于 {at:%m-%d %H:%M} 作废", code="number_void")
    if not reason.strip() or len(reason) > 200:
        raise Invalid("请填写作废原因（最多 200 字）", code="void_reason")
    row.voided_at, row.voided_by, row.void_reason = clock.now(), actor.person_id, reason.strip()
    detail = {"text": text, "reason": row.void_reason, "instance": str(row.instance_id)}
    record(session, actor, "number_void", detail, at=row.voided_at)
    return row


def ledger(session: Session, viewer: Actor, *, word: str, year: int) -> list[DocumentNumber]:
    """Return every number of a word and year in order, void ones with their reasons (断号 report).

    Raises Forbidden unless the viewer keeps the ledger, is a process admin or an auditor.
    """
    if not viewer.has(OFFICE, ADMIN, AUDITOR):
        raise Forbidden("只有院办文书、流程管理员和审计员可以查看文号台账", code="not_office")
    rows = select(DocumentNumber).where(DocumentNumber.word == word, DocumentNumber.year == year)
    return list(session.scalars(rows.order_by(DocumentNumber.number)))
