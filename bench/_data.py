"""A hospital's load for the benchmarks: people, running instances and open work items, the same at every run.

The rows go in by COPY in the order of time, so that the items of one person lie scattered over the table, as in life.
"""

import itertools
import random
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from psycopg.sql import SQL, Identifier

STAFF = 1_600
MANY = 10_000
"""Open items of the busiest person, to decide and to read each."""
FEW = 10
"""Open items of each quiet person, to decide."""

_ROOT = Path(__file__).resolve().parent.parent
_EPOCH = datetime(2024, 1, 1, tzinfo=UTC)
_PROCESSES = ("leave_request", "purchase_request", "seal_use", "document_incoming", "document_outgoing", "notice")
_DEPARTMENTS = 60
_QUIET = 20
_STATE = 700  # bytes of an instance's engine state


def migrate(url: str) -> None:
    """Bring an empty database to the newest schema."""
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "alembic"))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")


@dataclass(frozen=True, slots=True)
class People:
    """The staff: the busiest person, some with few items, and the others, who share the rest unevenly."""

    busy: uuid.UUID
    quiet: list[uuid.UUID]
    others: list[uuid.UUID]

    @property
    def all(self) -> list[uuid.UUID]:
        """Everybody."""
        return [self.busy, *self.quiet, *self.others]


class Load:
    """Writes `instances` running instances, each with five items to decide and five to read that are open.

    The initiator's item of each is done, and each is copied to one person.
    """

    def __init__(self, connection: "psycopg.Connection[Any]", instances: int) -> None:
        self._connection, self._count = connection, instances
        self._random = random.Random(20_240_501)
        self._made = 0
        staff = [self._id(0) for _ in range(STAFF)]
        self.people = People(staff[0], staff[1 : 1 + _QUIET], staff[1 + _QUIET :])
        self._departments = [self._id(0) for _ in range(_DEPARTMENTS)]
        self._versions = [self._id(0) for _ in _PROCESSES]
        self._instances = [self._id(n) for n in range(instances)]
        self._rounds = [self._id(n) for n in range(instances) for _ in range(3)]

    def write(self) -> None:
        """Write everything, and bring statistics and visibility maps up to date as autovacuum does."""
        self._organisation()
        self._definitions()
        weights = list(itertools.accumulate(self._random.lognormvariate(0, 0.8) for _ in self.people.others))
        busy, quiet = self.people.busy, self.people.quiet
        initiators = self._shared(weights, self._count, [busy] * (self._count // 10))
        copied = self._shared(weights, self._count, [busy] * (self._count // 10))
        deciders = self._shared(weights, 5 * self._count, [busy] * MANY + quiet * FEW)
        readers = self._shared(weights, 5 * self._count, [busy] * MANY)
        self._running(initiators)
        self._items(initiators, deciders, readers)
        self._copies(initiators, copied)
        self._connection.commit()
        self._connection.autocommit = True
        self._connection.execute("VACUUM (ANALYZE)")
        self._connection.autocommit = False

    def _shared(self, weights: list[float], count: int, special: list[uuid.UUID]) -> list[uuid.UUID]:
        chosen = special + self._random.choices(self.people.others, cum_weights=weights, k=count - len(special))
        self._random.shuffle(chosen)
        return chosen

    def _id(self, minute: int) -> uuid.UUID:
        """Return a UUIDv7 of a minute: later ones are greater."""
        self._made += 1
        milliseconds = int(_at(minute).timestamp() * 1000)
        bits = milliseconds << 80 | 7 << 76 | (self._made & 0xFFF) << 64 | 2 << 62 | self._random.getrandbits(62)
        return uuid.UUID(int=bits)

    def _copy(self, table: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> None:
        names = SQL(", ").join(Identifier(name) for name in columns.split())
        statement = SQL("COPY {} ({}) FROM STDIN").format(Identifier(table), names)
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row(row)

    def _organisation(self) -> None:
        departments = ((id_, f"D{n}", f"科室{n}", "clinical", n) for n, id_ in enumerate(self._departments))
        self._copy("department", "id code name kind sort", departments)
        self._copy(
            "person",
            "id staff_number name pinyin department_id post rank mobile email password_hash",
            (
                (id_, str(n), f"职工{n}", f"zhigong{n}", self._departments[n % _DEPARTMENTS], "", 100, "", "", "")
                for n, id_ in enumerate(self.people.all)
            ),
        )

    def _definitions(self) -> None:
        self._copy("process", "key name category", ((key, key, "行政") for key in _PROCESSES))
        versions = ((id_, key, 1, b"", "", _EPOCH, "") for id_, key in zip(self._versions, _PROCESSES, strict=True))
        self._copy("process_version", "id key number files digest deployed_at note", versions)

    def _running(self, initiators: list[uuid.UUID]) -> None:
        self._copy(
            "instance",
            "id process_key version_id title summary initiator_id department_id urgency state version engine_state "
            "data started_at",
            (
                (
                    id_, _process(n), self._versions[n % len(_PROCESSES)], f"职工的第 {n} 份申请", "3 天",
                    initiators[n], self._departments[n % _DEPARTMENTS], _urgency(n), "running", 3,
                    self._random.randbytes(_STATE), b'{"days": 3, "reason": "family"}', _at(n),
                )
                for n, id_ in enumerate(self._instances)
            ),
        )  # fmt: skip
        steps = (("apply", "填写申请", "fill"), ("review", "科室审批", "decide"), ("circulate", "传阅", "read"))
        self._copy(
            "work_round",
            "id instance_id task_id step step_name kind outcome opened_at closed_at",
            (
                (
                    self._rounds[3 * n + task], self._instances[n], task + 1, *steps[task],
                    None if task else "submit", _at(n), None if task else _at(n),
                )
                for n in range(self._count)
                for task in range(3)
            ),
        )  # fmt: skip

    def _items(self, initiators: list[uuid.UUID], deciders: list[uuid.UUID], readers: list[uuid.UUID]) -> None:
        def rows() -> Iterable[tuple[Any, ...]]:
            for n, instance in enumerate(self._instances):
                at, same = _at(n), (instance, _process(n), _urgency(n))
                apply, review, circulate = self._rounds[3 * n : 3 * n + 3]
                yield self._id(n), apply, *same, "fill", initiators[n], "done", "submit", at, at, at
                for five in range(5 * n, 5 * n + 5):
                    yield self._id(n), review, *same, "decide", deciders[five], "open", None, at, None, None
                    read_at = at if five % 2 else None
                    yield self._id(n), circulate, *same, "read", readers[five], "open", None, at, read_at, None

        columns = "id round_id instance_id process_key urgency kind assignee_id state outcome opened_at read_at "
        every = "closed_at why origin opinion position claimed"
        constant = ("科室负责人，因是发起人的直接上级", "assigned", "", 0, False)
        self._copy("work_item", columns + every, (row + constant for row in rows()))

    def _copies(self, initiators: list[uuid.UUID], copied: list[uuid.UUID]) -> None:
        columns = "id instance_id person_id sender_id reason created_at read_at"
        rows = (
            (self._id(n), instance, copied[n], initiators[n], "请知悉", _at(n), _at(n) if n % 2 else None)
            for n, instance in enumerate(self._instances)
        )
        self._copy("copy", columns, rows)


def _at(minute: int) -> datetime:
    return _EPOCH + timedelta(minutes=minute)


def _process(n: int) -> str:
    return _PROCESSES[n % len(_PROCESSES)]


def _urgency(n: int) -> int:
    return int(n % 20 == 0)
