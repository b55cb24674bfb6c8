"""A listener in the place of WeCom or an OA, for what the sandbox wouldn't do: it answers whatever a test has told."""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from engine.connectors.tokens import Tokens
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.settings import WeComSettings

CORP, AGENT = "wwtest", 1000002
SECRET, CONTACTS_SECRET = "canary-secret-of-the-app", "canary-secret-of-the-contacts"


@dataclass(frozen=True)
class Heard:
    """A request as it came."""

    method: str
    endpoint: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Raw:
    """An answer that isn't JSON with HTTP 200."""

    content: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Broken:
    """The connection ends without an answer."""


class Listener:
    """Listens on a port of this machine; gives out token-1, token-2 …, and to all else what it was told."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.heard: list[Heard] = []
        self.pause = threading.Event()  # gettoken waits for it
        self.pause.set()
        self._answers: defaultdict[str, list[Any]] = defaultdict(list)
        self._lock = threading.Lock()

    def answer(self, endpoint: str, *answers: Any) -> None:
        """Answer the next requests so, and all after them like the last."""
        self._answers[endpoint] = list(answers)

    def count(self, endpoint: str) -> int:
        """Return how often an endpoint was asked."""
        return sum(heard.endpoint == endpoint for heard in self.heard)

    def last(self, endpoint: str) -> Heard:
        """Return the newest request of an endpoint."""
        return [heard for heard in self.heard if heard.endpoint == endpoint][-1]

    def hear(self, heard: Heard) -> Any:
        """Return the answer of one request."""
        with self._lock:
            self.heard.append(heard)
            told = self._answers[heard.endpoint]
            if told:
                return told.pop(0) if len(told) > 1 else told[0]
            number = self.count("gettoken")
        if heard.endpoint == "gettoken":
            self.pause.wait(10)
            return {"errcode": 0, "access_token": f"token-{number}", "expires_in": 7200}
        return {"errcode": 0, "errmsg": "ok"}

    def wecom(self, tokens: Tokens | None = None, **settings: Any) -> WeCom:
        """Return a client that takes this listener for WeCom."""
        given: dict[str, Any] = {"corp_id": CORP, "agent_id": AGENT, "secret": SecretStr(SECRET), "api": self.url}
        return WeCom(WeComSettings(**given | settings), tokens=tokens)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    listener: Listener

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def do_PUT(self) -> None:
        self._do()

    def do_DELETE(self) -> None:
        self._do()

    def _do(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        endpoint = url.path.removeprefix("/cgi-bin/")
        answer = self.listener.hear(Heard(self.command, endpoint, query, dict(self.headers), body))
        if isinstance(answer, Broken):
            self.close_connection = True
            return
        raw = answer if isinstance(answer, Raw) else Raw(json.dumps(answer).encode())
        self.send_response(raw.status)
        for name, value in (*raw.headers, ("Content-Length", str(len(raw.content)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(raw.content)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    request_queue_size = 64  # threads of a test come all at once


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A listener in WeCom's place."""
    server = _Server(("127.0.0.1", 0), _Handler)
    found = Listener(server.server_port)
    server.RequestHandlerClass = type("Handler", (_Handler,), {"listener": found})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()
