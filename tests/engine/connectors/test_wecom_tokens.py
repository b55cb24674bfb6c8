"""Tokens are kept until they expire, shared through Redis where there is one, and had without it where it is away."""

import secrets
import socket
import threading
from collections.abc import Iterator

import pytest
import redis

from engine.connectors.tokens import Flights, InProcess, Shared, Tokens, kept_in
from engine.connectors.wecom.client import js


@pytest.fixture(params=["in this process", "in Redis"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    return kept_in("" if request.param == "in this process" else request.getfixturevalue("redis_url"))


@pytest.fixture
def key() -> str:
    return f"piyue:wecom:test:{secrets.token_hex(8)}"


def test_a_value_is_kept_until_it_expires_or_is_dropped(tokens: Tokens, key: str) -> None:
    assert tokens.get(key) is None
    tokens.put(key, "short", 0.001)
    threading.Event().wait(0.01)
    assert tokens.get(key) is None
    tokens.put(key, "one", 100)
    assert tokens.get(key) == "one"
    tokens.drop(key, "another")
    assert tokens.get(key) == "one"
    tokens.drop(key, "one")
    assert tokens.get(key) is None


def test_processes_share_what_one_has_fetched(redis_url: str, key: str) -> None:
    one, other, third = Shared(redis_url), Shared(redis_url), Shared(redis_url)
    assert Flights(one).get(key, lambda: ("token", 7200.0)) == "token"
    assert Flights(other).get(key, pytest.fail) == "token"
    one.drop(key, "token")
    one.put(key, "newer", 7200)
    other.drop(key, "token")  # found out by itself that it is no longer good
    assert other.get(key) == third.get(key) == "newer"


def test_a_shared_value_lives_as_long_as_it_is_good(redis_url: str, key: str) -> None:
    Flights(Shared(redis_url)).get(key, lambda: ("token", 7200.0))
    kept = redis.Redis.from_url(redis_url).ttl(key)
    assert 7000 < kept <= 7080  # two minutes early


@pytest.fixture
def frozen() -> Iterator[tuple[str, list[socket.socket]]]:
    """The URL of a Redis that takes connections and says nothing, and the connections that it took."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            try:
                while True:
                    taken.append(listening.accept()[0])
            except OSError:
                pass

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0", taken
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
    for each in taken:
        each.close()


def test_a_frozen_redis_is_asked_once_and_then_left_alone(frozen: tuple[str, list[socket.socket]], key: str) -> None:
    url, taken = frozen
    tokens = Shared(url)
    flights = Flights(tokens)
    for number in range(20):
        assert flights.get(f"{key}:{number}", lambda: ("token", 7200.0)) == "token"
        assert tokens.get(f"{key}:{number}") == "token"
        tokens.drop(f"{key}:{number}", "token")
    assert len(taken) == 1


def test_without_redis_a_process_goes_on_alone(key: str) -> None:
    tokens = Shared("redis://127.0.0.1:9/0")
    tokens.put(key, "token", 100)
    assert tokens.get(key) == "token"


def test_a_fetch_that_failed_is_tried_again() -> None:
    flights = Flights(InProcess())

    def fails() -> tuple[str, float]:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            flights.get("key", fails)
    assert flights.get("key", lambda: ("token", 7200.0)) == "token"


def test_the_signature_of_a_page_is_that_of_wecoms_example() -> None:
    ticket = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
    for url in ("http://mp.weixin.qq.com?params=value", "http://mp.weixin.qq.com?params=value#part"):
        assert js.signature(ticket, "Wm3WZYTPz0wzccnW", 1414587457, url) == "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
