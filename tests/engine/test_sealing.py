"""The seals: what is taken from the trail, added to it or moved in it is found."""

from collections.abc import Callable

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.orm import Session

from engine import audit, clock, sealing
from engine.bpm.models import ActionLog
from engine.db import Database
from engine.sealing import Seal
from tests.conftest import AUDIT_KEY


def write(db: Database, *verbs: str) -> None:
    with db.unit_of_work() as session:
        for verb in verbs:
            audit.record(session, None, verb, {}, at=clock.now())


def sealed(db: Database) -> sealing.Proof:
    with db.reading() as session:
        return sealing.verify(session)


@pytest.fixture
def db(committed_db: Database) -> Database:
    """A trail of six rows under two seals, and a seventh."""
    for verbs in (("a", "b", "c"), ("d", "e", "f"), ("g",)):
        write(committed_db, *verbs)
        if verbs != ("g",):
            assert sealing.seal(committed_db) is False
    return committed_db


def test_what_is_sealed_is_proved_and_what_is_young_is_counted(db: Database) -> None:
    assert sealed(db) == sealing.Proof(sealed=6, unsealed=1, wrong=[])
    assert sealing.seal(db) is False
    assert sealing.seal(db) is False  # nothing new: no seal of nothing
    assert sealed(db) == sealing.Proof(sealed=7, unsealed=0, wrong=[])
    with db.reading() as session:
        assert session.scalars(select(Seal.rows).order_by(Seal.number)).all() == [3, 3, 1]


def ids(session: Session) -> list[int]:
    return list(session.scalars(select(ActionLog.id).order_by(ActionLog.id)))


def taken(session: Session) -> None:
    session.execute(delete(ActionLog).where(ActionLog.id == ids(session)[1]))


def edited(session: Session) -> None:
    session.execute(update(ActionLog).where(ActionLog.id == ids(session)[4]).values(opinion="x"))


def signed_anew(session: Session) -> None:
    row = audit.log_row(AUDIT_KEY, instance_id=None, verb="z", at=clock.now())
    session.execute(update(ActionLog).where(ActionLog.id == ids(session)[2]).values(row))


def swapped(session: Session) -> None:
    one, two = ids(session)[:2]
    for old, new in ((one, -1), (two, one), (-1, two)):
        session.execute(update(ActionLog).where(ActionLog.id == old).values(id=new))


def put_between(session: Session) -> None:
    last = ids(session)[3]
    session.execute(delete(ActionLog).where(ActionLog.id == last))
    session.execute(
        insert(ActionLog).values(id=last, **audit.log_row(AUDIT_KEY, instance_id=None, verb="z", at=clock.now()))
    )


def put_before(session: Session) -> None:
    row = session.execute(select(ActionLog.__table__).where(ActionLog.id == ids(session)[0])).mappings().one()
    session.execute(insert(ActionLog).values(dict(row) | {"id": 0}))  # the code doesn't cover the id


def a_seal_taken(session: Session) -> None:
    session.execute(delete(Seal).where(Seal.number == 1))


def a_seal_forged(session: Session) -> None:
    session.execute(update(Seal).where(Seal.number == 2).values(mac=b"x" * 32))


CHANGES = (taken, edited, signed_anew, swapped, put_between, put_before, a_seal_taken, a_seal_forged)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_is_found(db: Database, change: Callable[[Session], None]) -> None:
    with db.unit_of_work() as session:
        change(session)
    assert sealed(db).wrong


def test_rows_taken_with_their_seals_are_found_by_an_anchor(db: Database) -> None:
    with db.reading() as session:
        anchor = sealing.head(session) or ""
        assert sealing.verify(session, anchor).wrong == []
    with db.unit_of_work() as session:
        session.execute(delete(Seal).where(Seal.number == 2))
        session.execute(delete(ActionLog).where(ActionLog.id.in_(ids(session)[3:])))
    assert sealed(db) == sealing.Proof(sealed=3, unsealed=0, wrong=[])
    with db.reading() as session:
        assert [anchor in problem for problem in sealing.verify(session, anchor).wrong] == [True]


def test_an_old_trail_is_sealed_by_parts(committed_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "ROWS", 2)
    monkeypatch.setattr(audit, "CHUNK", 1)
    write(committed_db, "a", "b", "c", "d", "e")
    assert [sealing.seal(committed_db) for _ in range(4)] == [True, True, False, False]
    assert sealed(committed_db) == sealing.Proof(sealed=5, unsealed=0, wrong=[])


@pytest.mark.backend("postgresql")
def test_a_row_on_its_way_is_waited_for(committed_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "_PATIENCE", 0.0)
    with committed_db.unit_of_work() as slow:
        audit.record(slow, None, "slow", {}, at=clock.now())
        slow.execute(text("SELECT 1"))  # its row has an id now
        write(committed_db, "fast")
        assert sealing.seal(committed_db) is False
        with committed_db.reading() as session:
            assert sealing.head(session) is None
    assert sealing.seal(committed_db) is False
    assert sealed(committed_db) == sealing.Proof(sealed=2, unsealed=0, wrong=[])
