"""A small app of the corp, for tests of the stand-in by itself: it sends, takes callbacks, lets members in."""

import json
import queue
import threading
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from lxml import etree

from engine.settings import ROOT
from sandbox.wecom import callbacks, constants, crypto, wire
from sandbox.wecom.records import Callback
from sandbox.wecom.server import Running

SDK = ROOT / "node_modules/@wecom/jssdk/dist/wecom.global.prod.js"
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data: blob:"
PAGE = "<!doctype html><html lang=zh-CN><meta charset=utf-8><title>{0}</title><h1>{0}</h1>"
SIGNED = "s3cret"
Answer = tuple[int, str, bytes, dict[str, str]]  # status, type, content, headers


class SmallApp:
    """The app 1000002 at an address of its own. `events` are the fields of the callbacks that came, in their order."""

    def __init__(self, sandbox: Running) -> None:
        self.sandbox, self.events = sandbox, queue.Queue[dict[str, Any]]()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        found = self.ask("gettoken", corpid=constants.CORP_ID, corpsecret=constants.AGENT_SECRET)
        self.token = found["access_token"]
        callback = Callback(f"{self.url}/callback", constants.CALLBACK_TOKEN, constants.CALLBACK_AES_KEY)
        callbacks.configure(sandbox.state, constants.AGENT_ID, callback)
        sandbox.control.agent(
            agentid=constants.AGENT_ID, domains=[urlsplit(self.url).netloc], home_url=f"{self.url}/home"
        )

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def ask(self, endpoint: str, body: Mapping[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """Call the server API; return the answer, whatever its errcode."""
        address = f"{self.sandbox.url}/cgi-bin/{endpoint}?{urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(address, data), timeout=10) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def call(self, endpoint: str, body: Mapping[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """Call the server API with the app's token; it must agree."""
        found = self.ask(endpoint, body, access_token=self.token, **query)
        assert found["errcode"] == 0, found
        return found

    def send(self, kind: str, content: Mapping[str, Any], *userids: str) -> dict[str, Any]:
        """Send a message."""
        body = {"touser": "|".join(userids), "agentid": constants.AGENT_ID, "msgtype": kind, kind: content}
        return self.call("message/send", body)

    def update(self, code: str, *userids: str, **what: Any) -> None:
        """Update a card: button={"replace_name": …} or template_card=…"""
        body = {"userids": list(userids), "agentid": constants.AGENT_ID, "response_code": code, **what}
        self.call("message/update_template_card", body)

    def heard(self) -> dict[str, Any]:
        """Return the next callback's fields."""
        return self.events.get(timeout=10)

    def _sign(self, url: str, agent: bool) -> dict[str, str]:
        found = self.call("ticket/get", type="agent_config") if agent else self.call("get_jsapi_ticket")
        text = f"jsapi_ticket={found['ticket']}&noncestr=n0nce&timestamp=1414587457&url={url}"
        return {"timestamp": "1414587457", "nonceStr": "n0nce", "signature": sha1(text.encode()).hexdigest()}

    def _page(self, path: str, query: Mapping[str, str]) -> Answer:
        def html(title: str) -> Answer:
            text = PAGE.format(title) + ("<script src=/sdk.js></script>" if path == "/sdk" else "")
            return 200, "text/html; charset=utf-8", text.encode(), {"Content-Security-Policy": POLICY}

        match path:
            case "/wecom/go":
                back = quote(f"{self.url}/landed?{urlencode({'next': query['next']})}", "")
                login = f"login_type=CorpApp&appid={constants.CORP_ID}&agentid={constants.AGENT_ID}&redirect_uri={back}"
                address = f"{self.sandbox.url}/wwlogin/sso/login?{login}&state=a1"
                return 302, "text/plain", b"", {"Location": address}
            case "/landed":
                who = self.call("auth/getuserinfo", code=query["code"])["userid"]
                return html(f"{who} 打开 {query['next']}")
            case "/sdk.js":
                return 200, "text/javascript", SDK.read_bytes(), {}
            case "/sign":
                return 200, "application/json", json.dumps(self._sign(query["url"], "agent" in query)).encode(), {}
            case "/file.pdf":
                status = 200 if query.get("key") == SIGNED else 401
                return status, "application/pdf", b"%PDF-1.7 the file", {}
        return html(path)

    def _callback(self, query: Mapping[str, str], body: bytes) -> bytes:
        encrypted = wire.parsed(body)["Encrypt"] if body else query["echostr"]
        parts = (constants.CALLBACK_TOKEN, query["timestamp"], query["nonce"], encrypted)
        assert crypto.signature(*parts) == query["msg_signature"]
        text, receiver = crypto.decrypt(constants.CALLBACK_AES_KEY, encrypted)
        assert receiver == constants.CORP_ID
        if not body:
            return text
        self.events.put(_fields(text))
        return b""

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        app = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if parts.path == "/callback":
                    answer: Answer = 200, "text/plain", app._callback(query, body), {}
                else:
                    answer = app._page(parts.path, query)
                status, kind, content, headers = answer
                self.send_response(status)
                for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(OSError):  # whoever asked has gone
                    self.wfile.write(content)

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        return Handler


def _fields(text: bytes) -> dict[str, Any]:
    """Return an event's fields; under `chosen` the option ids by question."""
    event = etree.fromstring(text)
    chosen = {
        str(item.findtext("QuestionKey")): [o.text for o in item.iter("OptionId")]
        for item in event.iter("SelectedItem")
    }
    return {child.tag: child.text for child in event} | {"chosen": chosen}
