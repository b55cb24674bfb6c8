"""One leader at a time, whatever becomes of the last one."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from engine.db import Database
from workers.leader import Leader


@pytest.fixture
def leaders(committed_db: Database) -> Iterator[tuple[Leader, Leader]]:
    """Two that want to lead."""
    first, second = Leader(committed_db), Leader(committed_db)
    yield first, second
    first.resign()
    second.resign()


@pytest.mark.backend("sqlite")
def test_the_only_worker_leads(leaders: tuple[Leader, Leader]) -> None:
    assert leaders[0].leads()


@pytest.mark.backend("postgresql")
def test_one_leads_until_it_resigns(leaders: tuple[Leader, Leader]) -> None:
    first, second = leaders
    assert first.leads()
    assert first.leads()
    assert not second.leads()
    first.resign()
    assert second.leads()
    assert not first.leads()


@pytest.mark.backend("postgresql")
def test_a_leader_whose_connection_is_lost_is_followed(leaders: tuple[Leader, Leader], committed_db: Database) -> None:
    first, second = leaders
    assert first.leads()
    with committed_db.unit_of_work() as session:
        holder = "SELECT pg_terminate_backend(pid, 10000) FROM pg_locks JOIN pg_database d ON d.oid = database"
        session.execute(text(f"{holder} WHERE locktype = 'advisory' AND datname = current_database()"))
    assert second.leads()
    assert not first.leads()  # it has noticed, and tries again
    second.resign()
    assert first.leads()


@pytest.mark.backend("postgresql")
def test_leading_holds_one_connection_and_following_none(
    leaders: tuple[Leader, Leader], committed_db: Database
) -> None:
    first, second = leaders
    assert first.leads()
    for _ in range(20):
        assert not second.leads()
    assert committed_db.engine.pool.checkedout() == 1  # type: ignore[attr-defined]


@pytest.mark.backend("postgresql")
def test_a_leader_keeps_no_transaction_open(committed_db: Database) -> None:
    leader = Leader(committed_db)
    assert leader.leads()
    assert leader.leads()
    state = (
        "SELECT state FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'advisory' "
        "WHERE a.datname = current_database()"
    )
    with committed_db.reading() as session:
        assert session.scalars(text(state)).all() == ["idle"]
    leader.resign()
