"""One way to WeCom: wechatpy's endpoints on an HTTP exchange of our own.

wechatpy 1.8.18 knows the endpoints, but its exchange asks for tokens without end when one is refused, sends an empty
file when it repeats an upload, keys its cache by a part of the secret, knows only the public host for two calls, waits
without a limit, doesn't say that it sends JSON, and raises errors with tokens in their URLs. So `_request`, through
which all endpoints go, is written anew here. All calls go to one host: requests is asked once by which proxy and with
which certificates, and the calls go over urllib3's pool beneath it, for a third of the time; no redirection is
followed, no cookie kept, nothing repeated by itself.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlencode

import requests
import urllib3
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3.filepost import encode_multipart_formdata
from wechatpy.enterprise import WeChatClient

from engine.connectors.tokens import Flights
from engine.connectors.wecom.client import apis, errors
from engine.connectors.wecom.client.errors import Later, WeComError
from engine.connectors.wecom.settings import WeComSettings

TIMEOUT = (3.0, 10.0)
"""Seconds to connect, and between two bytes of the answer."""
_TIMEOUT = urllib3.Timeout(connect=TIMEOUT[0], read=TIMEOUT[1])
_TRIES = 3  # of a call that WeCom is too busy for
_PAUSE = 0.2  # seconds between them
_POOL = 32  # connections that are kept
_FROM = re.compile(r"from ip: ?([0-9A-Fa-f.:]+)")

T = TypeVar("T")
Answer = dict[str, Any]


class Wire(WeChatClient):
    """The calls that are made with one secret: the application's, or the contact synchronisation's.

    `name` tells the two apart among the tokens of an application; `take` waits for a place under the limit of calls.
    Every endpoint raises WeComError, or what `take` does, and nothing else.
    """

    agent = apis.Agent()
    appchat = apis.Chats()
    media = apis.Media()
    message = apis.Messages()
    misc = apis.Misc()
    oauth = apis.OAuth()
    tickets = apis.Tickets()
    user = apis.Users()

    def __init__(
        self, settings: WeComSettings, name: str, secret: SecretStr, flights: Flights, take: Callable[[], object]
    ) -> None:
        super().__init__(settings.corp_id, "", timeout=TIMEOUT, auto_retry=False)
        self.API_BASE_URL = f"{settings.api.rstrip('/')}/cgi-bin/"
        self._secret, self._flights, self._take = secret, flights, take
        self._key = f"piyue:wecom:{settings.corp_id}:{settings.agent_id}:{name}"
        api = requests.Request("GET", self.API_BASE_URL).prepare()
        way = self._http.merge_environment_settings(self.API_BASE_URL, {}, stream=False, verify=None, cert=None)
        adapter = HTTPAdapter(pool_maxsize=_POOL)
        self._pool = adapter.get_connection_with_tls_context(api, way["verify"], way["proxies"], way["cert"])
        self._path = adapter.request_url(api, way["proxies"])  # a proxy without a tunnel is told the whole address

    @property
    def access_token_key(self) -> str:
        """The key of the access token: corp, application, name."""
        return f"{self._key}:token"

    @property
    def access_token(self) -> str:
        """An access token that should be good."""
        return self._flights.get(self.access_token_key, self._new_token)

    def ticket(self, kind: str, ask: Callable[[], Answer]) -> str:
        """Return a JS-SDK ticket of a kind, the kept one or what `ask` answers."""
        return self._flights.get(f"{self._key}:ticket:{kind}", lambda: _lasting(ask(), "ticket", "get_jsapi_ticket"))

    def download(self, endpoint: str, params: Mapping[str, str]) -> bytes:
        """Return the bytes of a file."""

        def fetch(token: str) -> bytes:
            response = self._send("get", endpoint, {**params, "access_token": token})
            if "Content-Disposition" in response.headers:
                return response.data
            _read(response, endpoint)  # it says why there is no file
            raise errors.unreadable(endpoint)

        return self._with_token(fetch)

    def _request(
        self,
        method: str,
        url_or_endpoint: str,
        *,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
    ) -> Answer:
        endpoint = url_or_endpoint
        body = None if data is None else json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")

        def call(token: str) -> Answer:
            query = {**(params or {}), "access_token": token}
            return self._patiently(lambda: _read(self._send(method, endpoint, query, body, files), endpoint), files)

        return self._with_token(call, once=files is not None)

    def _with_token(self, call: Callable[[str], T], *, once: bool = False) -> T:
        """Make a call; where its token isn't good any more once again with a fresh one, unless it is for `once`."""
        token = self.access_token
        try:
            return call(token)
        except WeComError as error:
            if error.errcode not in errors.TOKEN:
                raise
            self._flights.tokens.drop(self.access_token_key, token)
            if once:
                raise Later("企业微信的访问令牌失效，已换新", errcode=error.errcode) from None
        return call(self.access_token)

    def _patiently(self, call: Callable[[], Answer], files: object = None) -> Answer:
        """Make a call; where WeCom is busy a few times, but a file is sent once."""
        for _ in range(0 if files else _TRIES - 1):
            try:
                return call()
            except WeComError as error:
                if error.errcode != errors.BUSY:
                    raise
                time.sleep(_PAUSE)
        return call()

    def _new_token(self) -> tuple[str, float]:
        params = {"corpid": self.corp_id, "corpsecret": self._secret.get_secret_value()}
        answer = self._patiently(lambda: _read(self._send("get", "gettoken", params, counts=False), "gettoken"))
        return _lasting(answer, "access_token", "gettoken")

    def _send(
        self,
        method: str,
        endpoint: str,
        params: Mapping[str, Any],
        body: bytes | None = None,
        files: Mapping[str, tuple[str, bytes]] | None = None,
        *,
        counts: bool = True,
    ) -> urllib3.BaseHTTPResponse:
        if counts:
            self._take()
        kind = "application/json; charset=utf-8"
        if files is not None:
            body, kind = encode_multipart_formdata(files)
        try:
            response = self._pool.urlopen(
                method.upper(),
                f"{self._path}{endpoint}?{urlencode(params)}",
                body=body,
                headers={} if body is None else {"Content-Type": kind},
                timeout=_TIMEOUT,
                retries=False,
                redirect=False,
                assert_same_host=False,
            )
        except urllib3.exceptions.HTTPError as error:
            why = type(error).__name__
        else:
            if response.status != 200:
                raise errors.by_status(response.status, endpoint)
            return response
        raise errors.unreached(endpoint, why)  # out here, so that the other, with its URL, isn't even its context


def _read(response: urllib3.BaseHTTPResponse, endpoint: str) -> Answer:
    try:
        answer = json.loads(response.data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not isinstance(code := answer.get("errcode", 0), int):
        raise errors.unreadable(endpoint)
    if code:
        _refuse(code, endpoint, str(answer.get("errmsg")))
    return answer


def _refuse(code: int, endpoint: str, errmsg: str) -> NoReturn:
    address = _FROM.search(errmsg) if code == 60020 else None
    raise errors.by_code(code, endpoint, f"：{address[1]}" if address else "")


def _lasting(answer: Answer, name: str, endpoint: str) -> tuple[str, float]:
    value, seconds = answer.get(name), answer.get("expires_in", 7200)
    if not isinstance(value, str) or not value or not isinstance(seconds, int):
        raise errors.unreadable(endpoint)
    return value, seconds


class _Unsecret(logging.Filter):
    """urllib3 logs addresses with their query, in which WeCom wants tokens and secrets."""

    _QUERY = re.compile(r"\?\S+")

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._QUERY.sub("?…", record.getMessage()), ()
        return True


logging.getLogger("urllib3.connectionpool").addFilter(_Unsecret())
