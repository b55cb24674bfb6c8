"""Clients of the OAs' stand-in that aren't the product's own adapters: zeep on the WSDL, httpx for the rest."""

import base64
from collections.abc import Mapping
from typing import Any

import httpx
import zeep
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key
from lxml import etree

from sandbox.oa import constants
from sandbox.oa.records import Row
from sandbox.oa.server import Running

NURSE, HEAD_NURSE, STRANGER = "10027", "10026", "99999"
LANDRAY_SOAP = "/landray/sys/webservice/sysNotifyTodoWebService"
LANDRAY_REST = "/landray/api/sys-notify/sysNotifyTodoRestService"
LANDRAY = "http://webservice.notify.sys.kmss.landray.com/"
WEAVER_SOAP = "/weaver/services/OfsTodoDataWebService"
_TYPES = {"sendTodo": "Send", "updateTodo": "Update", "getTodo": "Get"}


def http(oa: Running, **more: Any) -> httpx.Client:
    """Return a client of everything at the stand-in's address."""
    return httpx.Client(base_url=oa.url, trust_env=False, verify=False, timeout=10, **more)


def ask(oa: Running, method: str, path: str, **more: Any) -> httpx.Response:
    """Ask once, over a connection of its own."""
    with http(oa) as client:
        return client.request(method, path, **more)


class Landray:
    """The web service of Landray, as its WSDL tells."""

    def __init__(self, oa: Running, *, user: str = constants.LANDRAY_USER, password: str = "") -> None:
        self._client = zeep.Client(f"{oa.url}{LANDRAY_SOAP}?wsdl")
        header = etree.Element("{http://sys.webservice.client}RequestSOAPHeader")
        etree.SubElement(header, "{http://sys.webservice.client}user").text = user
        # its children are in the same namespace, as the header of the product has them
        etree.SubElement(header, "{http://sys.webservice.client}password").text = password or constants.LANDRAY_PASSWORD
        self._header = header

    def call(self, operation: str, **fields: Any) -> tuple[int, str]:
        """Call an operation; return its state and message. Raises zeep's Fault."""
        kind = self._client.get_type(f"{{{LANDRAY}}}notifyTodo{_TYPES.get(operation, 'Remove')}Context")
        result = self._client.service[operation](kind(**fields), _soapheaders=[self._header])
        return result.returnState, result.message or ""


class Weaver:
    """The web service of Weaver, as its WSDL tells."""

    def __init__(self, oa: Running) -> None:
        self.client = zeep.Client(f"{oa.url}{WEAVER_SOAP}?wsdl")

    def call(self, operation: str, content: Any) -> Any:
        """Call an operation with what goes into in0; return out."""
        return self.client.service[operation](content)


class E9:
    """A program that has registered with Weaver E9 and has a token."""

    def __init__(self, oa: Running, account: str) -> None:
        self._oa, self._account = oa, account
        told = self._post("/weaver/api/ec/dev/auth/regist", {"cpk": "a key that nothing uses"})
        key = load_der_public_key(base64.b64decode(told["spk"]))
        assert isinstance(key, rsa.RSAPublicKey)
        self._key, self._secret = key, str(told["secret"])
        self.token = ""

    def apply(self, secret: str | None = None, **headers: str) -> Any:
        """Ask for a token, and use it from now on."""
        encrypted = self._encrypted(self._secret if secret is None else secret)
        told = self._post("/weaver/api/ec/dev/auth/applytoken", {"secret": encrypted, **headers})
        self.token = told.get("token", "")
        return told

    def lists(self, name: str, **fields: str) -> Any:
        """Ask for a person's list."""
        headers = {"token": self.token, "userid": self._encrypted(self._account)}
        return self._post(f"/weaver/api/workflow/paService/{name}", headers, fields)

    def _post(self, path: str, headers: Mapping[str, str], fields: Mapping[str, str] | None = None) -> Any:
        headers = {"appid": constants.WEAVER_APPID, **headers}
        return ask(self._oa, "POST", path, headers=headers, data=fields).json()

    def _encrypted(self, text: str) -> str:
        return base64.b64encode(self._key.encrypt(text.encode(), padding.PKCS1v15())).decode()


class Seeyon:
    """A REST user of Seeyon, with a token."""

    def __init__(self, oa: Running) -> None:
        self._oa = oa
        self.token = self.log_in(constants.SEEYON_PASSWORD)

    def log_in(self, password: str) -> str:
        """Return what the OA gives as a token."""
        login = {"userName": constants.SEEYON_USER, "password": password}
        return str(ask(self._oa, "POST", "/seeyon/seeyon/rest/token", json=login).json()["id"])

    def ask(self, operation: str, content: Any) -> httpx.Response:
        """Ask with the token."""
        path = f"/seeyon/seeyon/rest/thirdpartyPending/{operation}"
        return ask(self._oa, "POST", path, params={"token": self.token}, json=content)

    def refused(self, operation: str, content: Any) -> str:
        """Ask for what must be refused; return why."""
        told = self.ask(operation, content).json()
        assert told["success"] is False
        return "；".join(told["errorMsgs"])


class Plain:
    """A system with the plain OA's token."""

    def __init__(self, oa: Running, token: str = constants.PLAIN_TOKEN) -> None:
        self._oa, self._headers = oa, {"Authorization": f"Bearer {token}"}

    def put(self, key: str, **fields: Any) -> httpx.Response:
        """Bring an item into a state."""
        return ask(self._oa, "PUT", f"/plain/api/todos/{key}", json=fields, headers=self._headers)

    def get(self, what: str, **query: str) -> httpx.Response:
        """Read a list."""
        return ask(self._oa, "GET", f"/plain/api/{what}", params=query, headers=self._headers)


def todo(**other: Any) -> dict[str, Any]:
    """Return the fields of Landray's sendTodo for the nurse's item `k1`."""
    link = "http://piyue/items/k1"
    return {
        "appName": constants.LANDRAY_APP,
        "modelName": constants.LANDRAY_MODEL,
        "modelId": "k1",
        "subject": "年假申请",
        "link": link,
        "mobileLink": link,
        "padLink": link,
        "type": 1,
        "targets": f'{{"LoginName": "{NURSE}"}}',
        "createTime": "2026-11-26 10:00:00",
    } | other


def flow(**other: str) -> dict[str, str]:
    """Return the fields of Weaver's receiveRequestInfo for the nurse's item `k1`."""
    return {
        "syscode": constants.WEAVER_SYSCODE,
        "flowid": "k1",
        "requestname": "年假申请",
        "workflowname": "请假",
        "nodename": "护士长审批",
        "pcurl": "http://piyue/items/k1",
        "appurl": "http://piyue/m/items/k1",
        "isremark": "0",
        "viewtype": "0",
        "creator": HEAD_NURSE,
        "createdatetime": "2026-11-26 09:00:00",
        "receiver": NURSE,
        "receivedatetime": "2026-11-26 10:00:00",
        "receivets": "1000",
    } | other


def pending(**other: str) -> dict[str, str]:
    """Return the fields of Seeyon's receive for the nurse's item `k1`."""
    return {
        "taskId": "k1",
        "registerCode": constants.SEEYON_REGISTER_CODE,
        "title": "年假申请",
        "senderName": "李敏",
        "creationDate": "2026-11-26 10:00:00",
        "state": "0",
        "noneBindingReceiver": NURSE,
        "url": "http://piyue/items/k1",
        "h5url": "http://piyue/m/items/k1",
    } | other


def states(rows: list[Row]) -> list[tuple[str, str, str]]:
    """Return key, person and state of rows, in order."""
    return sorted((row.key, row.account, row.state) for row in rows)
