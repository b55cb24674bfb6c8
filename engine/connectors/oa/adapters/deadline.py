"""Connections on which a whole exchange has one end: httpx's own times are those of each piece.

An answer whose head, hints or chunks came a byte at a time would never end, and hold its thread for good.
"""

import math
import threading
import time
from collections.abc import Iterable
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

_PIECE = 16 * 1024  # bytes that are written at once


class _Exchange(threading.local):
    """What a thread is about: an exchange is one thread's from its first byte to its last."""

    end = math.inf


_exchange = _Exchange()


def begin(seconds: float) -> float:
    """Give this thread's exchange so long from now; return its end by the monotonic clock."""
    _exchange.end = time.monotonic() + seconds
    return _exchange.end


class Transport(httpx.HTTPTransport):
    """httpx's transport over such connections, straight to the other side; `begin` is called before each request."""

    def __init__(self, trusted: SSLContext, kept: int) -> None:
        super().__init__(verify=trusted, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            trusted, max_connections=None, max_keepalive_connections=kept, keepalive_expiry=30,
            network_backend=_Network(),
        )  # fmt: skip


class _Network(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*args, **options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for piece in _pieces(buffer):
            self._stream.write(piece, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, over: type[httpcore.TimeoutException]) -> float | None:
    left = _exchange.end - time.monotonic()
    if left <= 0:
        raise over
    return timeout if left == math.inf else min(left, math.inf if timeout is None else timeout)


def _pieces(buffer: bytes) -> Iterable[bytes]:
    return (buffer[at : at + _PIECE] for at in range(0, len(buffer), _PIECE))
