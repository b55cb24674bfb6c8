"""The two ways to call EKP's unified to-do list: its SOAP service, and the REST twin with the same fields."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Protocol

from lxml import etree
from pydantic import Field

from engine.connectors.oa.adapters import errors
from engine.connectors.oa.adapters.http import Http
from engine.connectors.oa.adapters.protocol import Take, Unknown
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.adapters.soap import Product, Soap

_PRODUCT = Product(
    "landray.wsdl",
    "ISysNotifyTodoWebServiceService",
    "ISysNotifyTodoWebServicePort",
    "/sys/webservice/sysNotifyTodoWebService",
)
_REST = "/api/sys-notify/sysNotifyTodoRestService/"
_TYPES = {"sendTodo": "notifyTodoSendContext", "getTodo": "notifyTodoGetContext"}
_REMOVE = "notifyTodoRemoveContext"  # of setTodoDone and deleteTodo
_LATER_FIELDS = ("mobileLink", "padLink", "level", "docCreator")  # which older versions don't have
_HEADER = "http://sys.webservice.client"


class LandraySite(Site):
    """What EKP's administrator tells: under which names this application's to-dos go."""

    kind: Literal["landray.soap", "landray.rest"]
    app_name: Annotated[str, Field(min_length=1, max_length=50)]  # 待办来源
    model_name: Annotated[str, Field(min_length=1, max_length=100)] = "piyue"  # 模块名
    target: Literal["LoginName", "PersonNo", "Id", "Keyword", "LdapDN"] = "LoginName"  # what an account is there
    wsdl: Annotated[str, Field(pattern=r"^[^/\\]*$")] = ""  # file in the site's folder; "" the shipped one


class Calls(Protocol):
    """One of the two ways to call an operation of EKP."""

    def call(self, operation: str, fields: Mapping[str, str | int], *hidden: str) -> tuple[int, Any]:
        """Return returnState and message; `hidden`: as `errors.refused`. Raises as `Adapter.put`."""

    def close(self) -> None:
        """Close the connections."""


class Envelopes:
    """The SOAP service."""

    def __init__(self, site: LandraySite, take: Take) -> None:
        header = None
        if site.user:
            header = etree.Element(f"{{{_HEADER}}}RequestSOAPHeader", nsmap={"tns": _HEADER})
            etree.SubElement(header, f"{{{_HEADER}}}user").text = site.user
            etree.SubElement(header, f"{{{_HEADER}}}password").text = site.password.get_secret_value()
        self._soap = Soap(site, take, _PRODUCT, wsdl=site.wsdl, header=header)

    def call(self, operation: str, fields: Mapping[str, str | int], *hidden: str) -> tuple[int, Any]:
        """Do an operation; see `Calls`."""
        name = _TYPES.get(operation, _REMOVE)
        known = {f: v for f, v in fields.items() if f not in _LATER_FIELDS or self._soap.has(name, f)}
        result = self._soap.call(operation, self._soap.value(name, **known), hidden=hidden)
        if result is None:
            raise Unknown("OA 的回答是空的，不知是否已生效")
        return result.returnState, result.message

    def close(self) -> None:
        """Close the connections."""
        self._soap.close()


class Rest:
    """The REST twin: the same fields in JSON, under basic authentication where it is switched on."""

    def __init__(self, site: LandraySite, take: Take) -> None:
        self._http = Http(site, take)
        self._headers = {}
        if site.user:
            login = f"{site.user}:{site.password.get_secret_value()}".encode()
            self._headers["Authorization"] = f"Basic {b64encode(login).decode()}"

    def call(self, operation: str, fields: Mapping[str, str | int], *hidden: str) -> tuple[int, Any]:
        """Do an operation; see `Calls`."""
        answer = self._http.ask("POST", _REST + operation, json=dict(fields), headers=self._headers)
        if answer.status != 200:
            raise errors.failed(answer, *hidden)
        content = answer.json()
        state = str(content.get("returnState")) if isinstance(content, dict) else ""
        if state not in ("0", "1", "2"):
            raise Unknown("OA 的回答读不懂，不知是否已生效")
        return int(state), content.get("message")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
