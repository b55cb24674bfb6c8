"""HTTP as the adapters of OAs speak it: what was never sent, what may have had an effect, and what an answer means."""

import logging
import socket
import ssl
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.connectors.oa.adapters.http import MAX_ANSWER, Answer, Http
from engine.connectors.oa.adapters.protocol import Unknown
from engine.connectors.oa.adapters.site import Site
from engine.outbox import Configuration, Permanent, Transient
from tests.engine.connectors.conftest import Broken, Listener, Raw

PATH = "/todo"
TOKEN = "canary-token-of-the-oa"


Ways = Callable[..., Http]


@pytest.fixture
def http() -> Iterator[Ways]:
    """Ways to addresses, closed at the end."""
    with ExitStack() as made:

        def http(url: str, *, take: Callable[[], None] = lambda: None, **settings: Any) -> Http:
            given = {"code": "oa", "folder": Path(), "kind": "any", "name": "集团 OA", "address": url, "timeout": 0.6}
            return made.enter_context(closing(Http(Site(**given | settings), take)))

        yield http


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does to each connection what no well-behaved one would."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        handle(connection)

        threading.Thread(target=run, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_an_answer_comes_back_whatever_its_status(http: Ways, listener: Listener) -> None:
    listener.answer(PATH, Raw(b'{"message": "no"}', 418))

    answer = http(listener.url).ask("POST", PATH, json={"title": "年假"}, params={"token": TOKEN})

    assert (answer.status, answer.words()) == (418, "no")
    heard = listener.last(PATH)
    assert heard.body.decode() == '{"title":"年假"}'
    assert heard.query == {"token": TOKEN}


def test_what_nobody_listens_for_was_never_sent(http: Ways) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Transient, match="连不上 OA（对方拒绝连接）") as raised:
        http(f"http://127.0.0.1:{port}").ask("POST", PATH)
    assert not isinstance(raised.value, Unknown)


def test_a_connection_that_breaks_after_the_request_leaves_it_open_what_happened(
    http: Ways, listener: Listener
) -> None:
    listener.answer(PATH, Broken())
    with pytest.raises(Unknown, match="不知是否已生效"):
        http(listener.url).ask("POST", PATH)


def test_silence_leaves_it_open_what_happened(http: Ways) -> None:
    over = threading.Event()

    def silent(_: socket.socket) -> None:
        over.wait(10)

    with serving(silent) as url:
        with pytest.raises(Unknown, match="等太久"):
            http(url).ask("POST", PATH)
        over.set()


def test_an_answer_that_trickles_does_not_hold_a_worker_beyond_its_time(http: Ways) -> None:
    over = threading.Event()

    def trickle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not over.wait(0.05):
            connection.sendall(b" ")

    with serving(trickle) as url:
        with pytest.raises(Unknown, match="等太久"):
            http(url, timeout=0.3).ask("POST", PATH)
        over.set()


@pytest.mark.parametrize(
    "answer",
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=", b"x"),
    ],
    ids=["head", "no end of hints", "chunk"],
)
def test_no_part_of_an_answer_may_trickle_beyond_its_time(http: Ways, answer: tuple[bytes, bytes]) -> None:
    over, enough = threading.Event(), 60  # pieces, ten times what there is time for
    beginning, piece = answer
    sent = 0

    def trickle(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(beginning)
        while sent < enough and not over.wait(0.05):
            connection.sendall(piece)
            sent += 1

    with serving(trickle) as url:
        with pytest.raises(Unknown):
            http(url, timeout=0.3).ask("POST", PATH)
        over.set()
    assert sent < enough


@pytest.mark.parametrize("charset", ["idna", "undefined", "punycode", "unicode_escape", "hex", "no-such-charset"])
def test_no_charset_is_a_way_to_hang_or_to_break(http: Ways, listener: Listener, charset: str) -> None:
    """`punycode` takes minutes for a megabyte, `idna` raises whatever one says of errors."""
    listener.answer(PATH, Raw(b'{"name": "a-b"}', headers=(("Content-Type", f"application/json; charset={charset}"),)))
    assert http(listener.url).ask("GET", PATH).json() == {"name": "a-b"}


def test_an_endless_answer_is_not_kept(http: Ways) -> None:
    sent = 0

    def flood(connection: socket.socket) -> None:
        nonlocal sent
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)
            sent += 65536

    with serving(flood) as url, pytest.raises(Unknown):
        http(url, timeout=8).ask("POST", PATH)
    assert sent < 20 * MAX_ANSWER


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (301, Unknown, "最终的地址"),
        (302, Unknown, "转到别处"),
        (400, Permanent, "HTTP 400"),
        (401, Configuration, "用户名、密码"),
        (403, Configuration, "本机的地址"),
        (404, Transient, "检查 address"),
        (405, Transient, "检查 address"),
        (409, Permanent, "HTTP 409"),
        (429, Transient, "HTTP 429"),
        (500, Unknown, "HTTP 500"),
        (502, Unknown, "HTTP 502"),
        (503, Unknown, "HTTP 503"),
    ],
)
def test_a_status_says_whose_turn_it_is(
    http: Ways, listener: Listener, status: int, kind: type[Exception], words: str
) -> None:
    listener.answer(PATH, Raw(b"<html>oops</html>", status, (("Location", "http://127.0.0.1:1/elsewhere"),)))
    with pytest.raises(kind, match=words) as raised:
        http(listener.url).ask("GET", PATH).json()
    assert type(raised.value) is kind
    assert "elsewhere" not in str(raised.value)
    assert listener.count("/elsewhere") == 0


def test_an_oa_that_is_too_busy_says_for_how_long(http: Ways, listener: Listener) -> None:
    listener.answer(PATH, Raw(b"", 429, (("Retry-After", "90"),)))
    with pytest.raises(Transient) as raised:
        http(listener.url).ask("GET", PATH).json()
    assert raised.value.delay == timedelta(seconds=90)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><p>login</p>", b"\x00\xff", b"[" * 100_000, b"OK"])
def test_what_is_no_json_says_nothing(http: Ways, listener: Listener, content: bytes) -> None:
    listener.answer(PATH, Raw(content))
    with pytest.raises(Unknown):
        http(listener.url).ask("GET", PATH).json()


def test_the_words_of_a_refusal_are_quoted_without_what_is_private(http: Ways, listener: Listener) -> None:
    title = "张三的病假"
    listener.answer(PATH, {"message": f"“{title}”\x07\n不对" + "长" * 400})
    answer = http(listener.url).ask("GET", PATH)
    refused = Answer(400, answer.headers, answer.body)

    with pytest.raises(Permanent) as raised:
        refused.json(title)

    assert "“…” 不对" in str(raised.value)
    assert len(str(raised.value)) < 260
    assert title not in str(raised.value)


def test_an_old_oa_answers_in_its_own_charset(http: Ways, listener: Listener) -> None:
    listener.answer(PATH, Raw('{"name": "蓝凌"}'.encode("gbk"), headers=(("Content-Type", "text/plain;charset=GBK"),)))
    assert http(listener.url).ask("GET", PATH).json() == {"name": "蓝凌"}


@pytest.mark.parametrize("path", ["/a\x00b", "/\ud800", "@elsewhere.example/", ".elsewhere.example/"])
def test_no_path_leads_to_another_host(http: Ways, listener: Listener, path: str) -> None:
    taken: list[int] = []
    asked = http(listener.url, take=lambda: taken.append(1))
    with pytest.raises((Permanent, Transient)) as raised:
        asked.ask("GET", path)
    assert type(raised.value) is Permanent
    assert (listener.heard, taken) == ([], [])


def test_a_header_cannot_be_split(http: Ways, listener: Listener) -> None:
    for value in ("a\r\nX-Other: b", "中文", "a\x00"):
        with pytest.raises(Permanent, match="不允许的字符"):
            http(listener.url).ask("GET", PATH, headers={"X-Who": value})
    assert listener.heard == []


def test_a_place_under_the_rate_is_taken_before_each_request(http: Ways, listener: Listener) -> None:
    def none() -> None:
        raise Transient("no place", counted=False)

    with pytest.raises(Transient, match="no place"):
        http(listener.url, take=none).ask("GET", PATH)
    assert listener.heard == []


def test_the_environment_s_proxy_is_not_used(http: Ways, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert http(listener.url).ask("GET", PATH).status == 200


def test_no_token_in_an_address_is_logged_or_told(
    http: Ways, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asked = http(listener.url)
    asked.ask("GET", PATH, params={"token": TOKEN})
    listener.answer(PATH, Broken())
    with pytest.raises(Unknown) as raised:
        asked.ask("GET", PATH, params={"token": TOKEN})
    assert TOKEN not in caplog.text
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None


def test_a_certificate_that_nobody_vouches_for_is_a_matter_of_settings(http: Ways, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    file = tmp_path / "oa.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)

    def shake(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True):
            pass

    with serving(shake) as url, pytest.raises(Configuration, match="证书"):
        http(url.replace("http:", "https:"), timeout=5).ask("GET", PATH)


def test_connections_are_used_again(http: Ways) -> None:
    connections = 0

    def answer(connection: socket.socket) -> None:
        nonlocal connections
        connections += 1
        while connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with serving(answer) as url:
        asked = http(url)
        for _ in range(5):
            assert asked.ask("GET", PATH).json() == {}
        assert connections == 1
