"""Several prepared statements in one round trip to PostgreSQL, with little time of our own (libpq's pipeline mode).

psycopg's pipeline spends 40 µs of Python on a statement, more than the server needs for most of ours (ADR 0004). This
goes over the same libpq connection and adapts values and rows with the same psycopg, so that a transaction may use
both in turn.
"""

import select
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.adapt import PyFormat, Transformer

Maker = Callable[[Iterable[str]], Callable[[Iterable[Any]], Any]]
Key = tuple[str, tuple[int, ...]]  # the SQL and the types of its parameters

_KEPT = 500  # prepared statements a connection keeps; others are parsed each time
_CHANGED = b"0A000"  # a migration has changed the types of a prepared query's columns
_LOOK = 5_000  # ms between two looks at a silent server


class Wire:
    """The prepared statements of one connection and the way to them."""

    def __init__(self, raw: "psycopg.Connection[Any]") -> None:
        self._pg = raw.pgconn
        self._adapt = Transformer(raw)
        self._names: dict[Key, bytes] = {}
        self._count = 0
        self._poll = select.poll()
        self._poll.register(self._pg.socket, select.POLLIN)

    def run(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        """Send statements with `$1` placeholders; return their results, in order.

        Outside a transaction they are one: all of them or none. Raises psycopg's error for the first that failed, when
        everything was heard.
        """
        dumped = [self._dump(sql, values) for sql, values in statements]
        pg = self._pg
        pg.enter_pipeline_mode()
        try:
            sent: list[tuple[Key, bool]] = []  # with whether it was the preparation
            for key, params, formats in dumped:
                name = self._names.get(key)
                if name is None:
                    name = self._prepare(key)
                    sent.append((key, True))
                pg.send_query_prepared(name, params, formats)
                sent.append((key, False))
            pg.pipeline_sync()
            self._flush()
            results, failed = self._heard(sent)
            pg.exit_pipeline_mode()
        except BaseException:
            pg.finish()  # what is still on its way must not be taken for the answer to something else
            raise
        if failed is not None:
            raise errors.error_from_result(failed)
        return results

    def rows(self, result: Any, maker: Maker) -> list[Any]:
        """Return a result's rows; `maker` is asked with the columns' names for what makes a row of its values."""
        self._adapt.set_pgresult(result)
        make = maker(result.fname(at).decode() for at in range(result.nfields))
        return self._adapt.load_rows(0, result.ntuples, make)

    def _dump(self, sql: str, values: Sequence[Any]) -> tuple[Key, Sequence[Any], Any]:
        params = self._adapt.dump_sequence(values, [PyFormat.AUTO] * len(values))
        return (sql, self._adapt.types or ()), params, self._adapt.formats

    def _prepare(self, key: Key) -> bytes:
        name = b""
        if len(self._names) < _KEPT:
            self._count += 1
            name = self._names[key] = b"w%d" % self._count
        self._pg.send_prepare(name, key[0].encode(), key[1])
        return name

    def _flush(self) -> None:
        """Send everything; read meanwhile, or a server that waits for us to read would never read."""
        while self._pg.flush():
            self._poll.modify(self._pg.socket, select.POLLIN | select.POLLOUT)
            self._poll.poll(_LOOK)
            self._poll.modify(self._pg.socket, select.POLLIN)
            self._pg.consume_input()

    def _heard(self, sent: list[tuple[Key, bool]]) -> tuple[list[Any], Any]:
        results, failed = [], None
        for key, is_preparation in sent:
            result = self._result()
            if result.status == pq.ExecStatus.FATAL_ERROR and failed is None:
                failed = result
                if result.error_field(pq.DiagnosticField.SQLSTATE) == _CHANGED:
                    self._names.pop(key, None)
            if not is_preparation:
                results.append(result)
            elif result.status != pq.ExecStatus.COMMAND_OK:
                self._names.pop(key, None)
            self._next()  # the null that ends a statement's results
        while (end := self._result()).status != pq.ExecStatus.PIPELINE_SYNC:
            failed = failed or end  # the commit at the sync was refused, e.g. by a deferred constraint
            self._next()
        return results, failed

    def _result(self) -> Any:
        result = self._next()
        if result is None:
            raise psycopg.OperationalError("the server closed the connection")
        return result

    def _next(self) -> Any:
        while self._pg.is_busy():
            self._poll.poll(_LOOK)
            self._pg.consume_input()
        return self._pg.get_result()
