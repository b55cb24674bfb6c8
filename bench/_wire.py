"""Counts what a client says to PostgreSQL: round trips and statements, read off the wire.

A relay between the client and the server reads the client's messages (PostgreSQL 15, chapter 55.7): each Sync or simple
Query is one round trip, each Execute or simple Query one statement, those that begin and end transactions included.
Only the Sync after a BEGIN that opens a pipeline is none: psycopg sends it along without waiting for an answer.
"""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sqlalchemy.engine import make_url

_ROUND_TRIPS, _STATEMENTS = (b"S", b"Q"), (b"E", b"Q")


@contextmanager
def counted(url: str) -> Iterator[tuple[str, "Counter[str]"]]:
    """Yield the URL of the relay and what it counts: `round trips` and `statements`."""
    server = make_url(url)
    count: Counter[str] = Counter()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, server.host, server.port, count), daemon=True).start()
        relay = server.set(port=listening.getsockname()[1])
        # without TLS, so that the messages can be read
        yield relay.update_query_dict({"sslmode": "disable"}).render_as_string(hide_password=False), count


def _accept(listening: socket.socket, host: str | None, port: int | None, count: "Counter[str]") -> None:
    with suppress(OSError):  # closed by the end of `counted`
        while True:
            client, _ = listening.accept()
            server = socket.create_connection((host or "127.0.0.1", port or 5432))
            for pair in ((client, server, count), (server, client, None)):
                threading.Thread(target=_relay, args=pair, daemon=True).start()


def _relay(source: socket.socket, target: socket.socket, count: "Counter[str] | None") -> None:
    messages = _Messages()
    with suppress(OSError), source, target:
        while chunk := source.recv(65_536):
            if count is not None:
                for kind in messages.read(chunk):
                    count["round trips"] += kind in _ROUND_TRIPS
                    count["statements"] += kind in _STATEMENTS
            target.sendall(chunk)


class _Messages:
    """Cuts a stream into messages: a type byte and a length, except the first, which has no type."""

    def __init__(self) -> None:
        self._rest, self._started, self._begun = b"", False, False

    def read(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the types of the messages that this chunk completes."""
        self._rest += chunk
        while len(self._rest) >= (5 if self._started else 4):
            head = 1 if self._started else 0
            end = head + int.from_bytes(self._rest[head : head + 4], "big")
            if len(self._rest) < end:
                return
            if self._started:
                kind, body = self._rest[:1], self._rest[5:end]
                if not (kind == b"S" and self._begun):
                    yield kind
                self._begun = b"\0BEGIN\0" in body or (self._begun and kind in b"BDE")
            self._rest, self._started = self._rest[end:], True
