"""The stand-in asked by the real wechatpy, and an app that takes its callbacks with wechatpy's own cryptography."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import xmltodict  # type: ignore[import-untyped]
from wechatpy.enterprise import WeChatClient
from wechatpy.enterprise.crypto import WeChatCrypto
from wechatpy.exceptions import WeChatClientException

from sandbox.wecom import constants
from sandbox.wecom.server import Running

NURSE, HEAD_NURSE, DIRECTOR = "10027", "10026", "10025"  # of the demo hospital


class Client(WeChatClient):  # type: ignore[misc]
    """wechatpy as it is, sent to another address."""

    def __init__(self, url: str, secret: str) -> None:
        self.API_BASE_URL = f"{url}/cgi-bin/"
        super().__init__(constants.CORP_ID, secret, timeout=10, auto_retry=False)

    def fetch_access_token(self) -> Any:
        """Ask the stand-in instead of the address that wechatpy has in its source."""
        return self._fetch_access_token(
            f"{self.API_BASE_URL}gettoken", {"corpid": self.corp_id, "corpsecret": self.secret}
        )

    def refused(self, path: str, data: Any = None, **params: Any) -> int:
        """Call an endpoint that must refuse; return the errcode."""
        return refusal(lambda: self.post(path, data=data) if data is not None else self.get(path, params=params))


def refusal(call: Callable[[], object]) -> int:
    """Return the errcode of a call that must be refused."""
    with pytest.raises(WeChatClientException) as refused:
        call()
    return int(refused.value.errcode)


class App(ThreadingHTTPServer):
    """An app's endpoint for callbacks. `answers` are used up in turn: a status, seconds to wait, or a passive reply."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.crypto = WeChatCrypto(constants.CALLBACK_TOKEN, constants.CALLBACK_AES_KEY, constants.CORP_ID)
        self.events: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.answers: list[int | float | bytes] = []

    def handle_error(self, *_: Any) -> None:
        """Say nothing where wechatpy refuses what came; the connection is closed without an answer."""

    @property
    def url(self) -> str:
        """Where the callbacks go."""
        return f"http://127.0.0.1:{self.server_port}/callback"

    def event(self, number: int = 0) -> dict[str, Any]:
        """Return an event by its place, once it is there."""
        deadline = time.monotonic() + 30
        while len(self.events) <= number:
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.01)
        return self.events[number]


class _Handler(BaseHTTPRequestHandler):
    server: App

    def do_GET(self) -> None:
        q = self._query()
        told = self.server.crypto.check_signature(q["msg_signature"], q["timestamp"], q["nonce"], q["echostr"])
        self._answer(200, told.encode() if isinstance(told, str) else told)

    def do_POST(self) -> None:
        q, body = self._query(), self.rfile.read(int(self.headers["Content-Length"]))
        text = self.server.crypto.decrypt_message(body, q["msg_signature"], q["timestamp"], q["nonce"])
        self.server.bodies.append(body)
        self.server.events.append(xmltodict.parse(text)["xml"])
        answer = self.server.answers.pop(0) if self.server.answers else 200
        if isinstance(answer, float):
            time.sleep(answer)
        self._answer(answer if isinstance(answer, int) else 200, answer if isinstance(answer, bytes) else b"")

    def _query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def _answer(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            pass  # the sender has given up

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def client(wecom_sandbox: Running) -> Client:
    """wechatpy with the app's secret."""
    return Client(wecom_sandbox.url, constants.AGENT_SECRET)


@pytest.fixture
def contacts(wecom_sandbox: Running) -> Client:
    """wechatpy with the secret of the contact synchronisation."""
    return Client(wecom_sandbox.url, constants.CONTACTS_SECRET)


@pytest.fixture
def app(wecom_sandbox: Running) -> Iterator[App]:
    """An app that the stand-in's callbacks go to."""
    server = App()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    wecom_sandbox.call(server.url)
    wecom_sandbox.control.limits(callback_pause=0.0)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
