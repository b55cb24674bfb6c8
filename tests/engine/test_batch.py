"""Batches that go ahead of the caller's transaction: they stand by themselves."""

import pytest

from engine.batch import Batch, Statement
from engine.db import Database
from engine.errors import Unavailable

ADD = Statement("INSERT INTO role (code, name, kind) VALUES (:code, :name, :kind)")
RENAME = Statement("UPDATE role SET name = :name WHERE code = :code")
NAMES = Statement("SELECT name FROM role WHERE code = :code")
ROW = {"code": "porter", "name": "a", "kind": "business"}


def names(db: Database) -> list[str]:
    with db.reading() as session:
        batch = Batch()
        batch.query(NAMES, ROW)
        return [row.name for row in batch.run(session)[0]]


def test_the_answers_come_in_order(committed_db: Database) -> None:
    with committed_db.unit_of_work() as session:
        batch = Batch()
        batch.add(ADD, ROW)
        batch.change(RENAME, ROW | {"name": "b"})
        batch.query(NAMES, ROW)
        changed, found = batch.apart(session)
    assert (changed, [row.name for row in found]) == (1, ["b"])
    assert names(committed_db) == ["b"]


class _Failed(Exception):
    pass


def add_and_fail(db: Database, *, begun: bool) -> None:
    with db.unit_of_work() as session:
        if begun:
            session.connection()
        batch = Batch()
        batch.add(ADD, ROW)
        batch.apart(session)
        raise _Failed


@pytest.mark.backend("postgresql")
def test_it_is_kept_whatever_becomes_of_the_caller(committed_db: Database) -> None:
    with pytest.raises(_Failed):
        add_and_fail(committed_db, begun=False)
    assert names(committed_db) == ["a"]


def test_it_is_part_of_a_transaction_that_has_begun(committed_db: Database) -> None:
    with pytest.raises(_Failed):
        add_and_fail(committed_db, begun=True)
    assert names(committed_db) == []


def test_a_tripwire_keeps_nothing(committed_db: Database) -> None:
    batch = Batch()
    batch.add(ADD, ROW)
    batch.add(RENAME, {"code": "nobody", "name": "b"}, expect=1, why="角色")
    with pytest.raises(Unavailable) as refused, committed_db.unit_of_work() as session:
        batch.apart(session)
    assert refused.value.code == "concurrent_change"
    assert names(committed_db) == []
