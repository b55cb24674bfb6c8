"""Access tokens and tickets of outside systems: kept until they expire, fetched once however many threads ask.

WeCom gives few of them (a ticket 400 times an hour per corp), so the processes of an installation share them in Redis
where there is one. Redis is a convenience: each process keeps its own copy, and goes on alone while Redis is away.
The names of the keys tell corp, application and kind; never a secret.
"""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol, TypeVar

EARLY = 120
"""Seconds before its end at which a token is no longer used."""
_REDIS_SECONDS = 1.0  # for one exchange with Redis
_REDIS_PAUSE = 30.0  # seconds without Redis after it has failed: a frozen one costs a call one second in thirty


T = TypeVar("T")


class Tokens(Protocol):
    """Where tokens are kept, by key."""

    def get(self, key: str) -> str | None:
        """Return what is kept and hasn't expired."""

    def put(self, key: str, value: str, seconds: float) -> None:
        """Keep a value for so many seconds."""

    def drop(self, key: str, value: str) -> None:
        """Forget a value, but not another that has taken its place."""


class InProcess:
    """Tokens of this process alone."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def get(self, key: str) -> str | None:
        """Return what is kept and hasn't expired."""
        value, until = self._kept.get(key, ("", 0.0))
        return value if time.monotonic() < until else None

    def put(self, key: str, value: str, seconds: float) -> None:
        """Keep a value for so many seconds."""
        self._kept[key] = value, time.monotonic() + seconds

    def drop(self, key: str, value: str) -> None:
        """Forget a value, but not another that has taken its place."""
        with self._lock:
            if self._kept.get(key, ("", 0.0))[0] == value:
                del self._kept[key]


class Shared:
    """Tokens that the processes of an installation share in Redis, with a copy in each."""

    def __init__(self, url: str) -> None:
        import redis  # only where there is one: it is slow to import
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        self._own = InProcess()
        self._away_until, self._away = 0.0, redis.RedisError
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=_REDIS_SECONDS,
            socket_connect_timeout=_REDIS_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def get(self, key: str) -> str | None:
        """Return what is kept and hasn't expired."""
        return self._own.get(key) or self._ask(lambda: self._take_over(key))

    def put(self, key: str, value: str, seconds: float) -> None:
        """Keep a value for so many seconds."""
        self._own.put(key, value, seconds)
        self._ask(lambda: self._redis.set(key, value, px=int(seconds * 1000)))

    def drop(self, key: str, value: str) -> None:
        """Forget a value, but not another that has taken its place."""
        self._own.drop(key, value)
        self._ask(lambda: self._redis.get(key) == value and self._redis.delete(key))

    def _take_over(self, key: str) -> str | None:
        both = self._redis.pipeline(transaction=False)
        both.get(key)
        both.pttl(key)
        found, milliseconds = both.execute()
        if found is None or milliseconds <= 0:
            return None
        self._own.put(key, found, milliseconds / 1000)
        return str(found)

    def _ask(self, question: Callable[[], T]) -> T | None:
        if time.monotonic() < self._away_until:
            return None
        try:
            return question()
        except self._away:
            self._away_until = time.monotonic() + _REDIS_PAUSE
            return None


def kept_in(redis_url: str) -> Tokens:
    """Return the tokens of an installation: shared in Redis where its URL is given, otherwise in this process."""
    return Shared(redis_url) if redis_url else InProcess()


class Flights:
    """Fetches what isn't kept, once: who asks meanwhile waits for the same answer, or the same failure."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self._flights: dict[str, Future[str]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, fetch: Callable[[], tuple[str, float]]) -> str:
        """Return the value of a key; `fetch` returns a new one and the seconds for which it is good."""
        if found := self.tokens.get(key):
            return found
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not leads:
            return flight.result()
        try:
            value = self.tokens.get(key)  # of a flight that has landed since
            if value is None:
                value, seconds = fetch()
                self.tokens.put(key, value, max(seconds - EARLY, 1.0))
            flight.set_result(value)
            return value
        except BaseException as error:
            flight.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._flights[key]
