"""Weaver E9's lists of a person (paService): its own items, and as far as they can be told those of ours.

Facts: design 05. A program registers its licence number (许可证号, `appid`) and gets a secret and the server's public
key; with the secret, encrypted, it gets a token; each request names its person, encrypted. Rows of other systems carry
the system's name and no flowid: ours are known by it, and one from another only by title, node and moment.
"""

import base64
import binascii
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from pydantic import BaseModel, ConfigDict, Field

from engine.connectors.oa.adapters import moments
from engine.connectors.oa.adapters.errors import refused
from engine.connectors.oa.adapters.http import Http, clipped, unanswered
from engine.connectors.oa.adapters.protocol import Foreign, Shown, State, Take, Unknown, UnknownPerson
from engine.connectors.oa.adapters.site import Site
from engine.connectors.tokens import Flights, InProcess
from engine.outbox import Configuration

_AUTH, _LISTS = "/api/ec/dev/auth", "/api/workflow/paService"
_REGISTRATION, _TOKEN = "registration", "token"
_REGISTERED = 12 * 3600.0  # seconds after which we register anew
_LASTS = 1800  # seconds of a token
_PAGE, _MAX_PAGES = 100, 100
_OPEN = (("getToDoWorkflowRequestList", State.TODO), ("getToBeReadWorkflowRequestList", State.READ))
_CLOSED = (("getHandledWorkflowRequestList", State.DONE), ("getProcessedWorkflowRequestList", State.FINISHED))
_SPENT = ("token", "登录信息超时", "secret")  # what a refusal says that a new token cures
_NOBODY = ("账号存在异常", "userid", "人员不存在", "用户不存在")


class Pull(BaseModel):
    """How the OA's lists are read (`[pull]`): E9 only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    appid: Annotated[str, Field(min_length=1, pattern=r"^[\x21-\x7e]+$")]  # 许可证号
    system: str = ""  # the name under which the OA has registered us (异构系统名称); "": our items can't be read back
    link: str = "{address}/spa/workflow/static4form/index.html#/main/workflow/req?requestid={request}"
    mobile_link: str = "{address}/spa/workflow/static4mobileform/index.html#/req?requestid={request}"


class PaService:
    """A site's paService. Safe to share between threads. Its methods raise as `Adapter.put` does."""

    def __init__(self, site: Site, pull: Pull, take: Take) -> None:
        self._site, self._pull, self._http = site, pull, Http(site, take)
        self._kept = Flights(InProcess())
        self.reads_back = bool(pull.system)

    def check(self) -> None:
        """Get a token, if there is none."""
        self._token()

    def shown(self, account: str) -> list[Shown]:
        """Return our items that the OA shows as open; none tells its key."""
        return [
            Shown(
                key="",
                account=account,
                state=state,
                title=str(row.get("requestName", "")),
                node=str(row.get("currentNodeName", "")),
                received_at=moments.read(row.get("receiveTime")),
            )
            for name, state in _OPEN
            for row in self._rows(name, account, others=True)
            if row.get("sysName") == self._pull.system
        ]

    def waiting(self, account: str) -> list[Foreign]:
        """Return the OA's own open items of a person."""
        return [self._foreign(row, state) for name, state in _OPEN for row in self._rows(name, account)]

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        """Return the OA's own items that a person has handled since a moment: the lists begin with the newest."""
        found = list[Foreign]()
        for name, state in _CLOSED:
            for row in self._rows(name, account):
                handled_at = moments.read(row.get("operateTime") or row.get("lastOperateTime"))
                if handled_at is not None and handled_at < since:
                    break
                found.append(self._foreign(row, state))
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _foreign(self, row: dict[str, Any], state: State) -> Foreign:
        request, received_at = str(row.get("requestId", "")), moments.read(row.get("receiveTime"))
        if not request or received_at is None:
            raise unanswered("没有 requestId 或 receiveTime")
        about = row.get("workflowBaseInfo")
        return Foreign(
            request_id=request,
            state=state,
            title=str(row.get("requestName", "")),
            workflow=str(about.get("workflowName", "")) if isinstance(about, dict) else "",
            node=str(row.get("currentNodeName", "")),
            sender=str(row.get("lastOperatorName") or row.get("creatorName") or ""),
            received_at=received_at,
            link=self._address(self._pull.link, request),
            mobile_link=self._address(self._pull.mobile_link, request),
            handled_at=None if state.open else moments.read(row.get("operateTime")),
        )

    def _address(self, template: str, request: str) -> str:
        return template.replace("{address}", self._site.address.rstrip("/")).replace("{request}", request)

    def _rows(self, name: str, account: str, *, others: bool = False) -> Iterator[dict[str, Any]]:
        """Yield the rows of a person's list, page by page; `others`: those of other systems too."""
        for page in range(1, _MAX_PAGES + 1):
            asked = {"pageNo": str(page), "pageSize": str(_PAGE), "isNeedOs": str(int(others)), "conditions": "{}"}
            rows = self._list(name, account, asked)
            yield from (row for row in rows if others or not row.get("sysName"))
            if len(rows) < _PAGE:
                return
        raise Unknown(f"OA 里的列表超过 {_MAX_PAGES * _PAGE} 行，没有读完")

    def _list(self, name: str, account: str, asked: dict[str, str]) -> list[dict[str, Any]]:
        token = self._token()
        rows, why = self._asked(name, account, asked, token)
        if why and any(part in why for part in _SPENT):
            self._kept.tokens.drop(_TOKEN, token)
            rows, why = self._asked(name, account, asked, self._token())
        if not why:
            return rows
        if any(part in why for part in _NOBODY):
            raise UnknownPerson(f"OA 里没有这个账号，请在“账号对照”里改正：{clipped(why, account, token)}")
        raise refused(why, account, token, unknown=Configuration)

    def _asked(self, name: str, account: str, asked: dict[str, str], token: str) -> tuple[list[dict[str, Any]], str]:
        """Return a page's rows, and why the OA refuses."""
        _, key = self._registration()
        headers = {"appid": self._pull.appid, "token": token, "userid": _encrypted(key, account)}
        content = self._http.ask("POST", f"{_LISTS}/{name}", form=asked, headers=headers).json(token, account)
        rows = content.get("data") if isinstance(content, dict) else content
        if isinstance(rows, list):
            return [row for row in rows if isinstance(row, dict)], ""
        return [], _words(content)

    def _token(self) -> str:
        return self._kept.get(_TOKEN, self._new_token)

    def _new_token(self) -> tuple[str, float]:
        """Apply for a token; where the OA has another secret by now register anew, once."""
        for attempt in range(2):
            kept = self._kept.get(_REGISTRATION, self._register)
            secret, key = json.loads(kept)
            headers = {"appid": self._pull.appid, "secret": _encrypted(key, secret), "time": str(_LASTS)}
            content = self._http.ask("POST", f"{_AUTH}/applytoken", headers=headers).json(secret)
            if isinstance(content, dict) and isinstance(token := content.get("token"), str) and token:
                return token, _LASTS
            self._kept.tokens.drop(_REGISTRATION, kept)
            if attempt:
                raise refused(_words(content), secret, unknown=Configuration)
        raise AssertionError

    def _register(self) -> tuple[str, float]:
        headers = {"appid": self._pull.appid, "cpk": "123"}  # a key of our own that nothing uses
        content = self._http.ask("POST", f"{_AUTH}/regist", headers=headers).json()
        if not isinstance(content, dict) or not content.get("spk"):
            raise refused(_words(content), unknown=Configuration)
        secret, key = str(content.get("secrit") or content.get("secret") or ""), str(content["spk"])
        _encrypted(key, "")
        return json.dumps([secret, key]), _REGISTERED

    def _registration(self) -> tuple[str, str]:
        secret, key = json.loads(self._kept.get(_REGISTRATION, self._register))
        return secret, key


def _words(content: Any) -> str:
    """Return why the OA refuses; raises Unknown where it doesn't say."""
    words = (content.get("msg") or content.get("message")) if isinstance(content, dict) else None
    if not words:
        raise unanswered("没有列表，也没有说明")
    return str(words)


def _encrypted(key: str, text: str) -> str:
    """Return a text encrypted for the OA, as its Java does it: RSA with PKCS #1 v1.5, in base64."""
    try:
        public = load_der_public_key(base64.b64decode(key))
        if isinstance(public, RSAPublicKey):
            return base64.b64encode(public.encrypt(text.encode(), PKCS1v15())).decode()
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        pass
    raise Configuration("OA 给出的公钥（spk）不能用：请确认它是 E9，并与泛微核对许可证号")
