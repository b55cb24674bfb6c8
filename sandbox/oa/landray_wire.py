"""How Landray is asked: by SOAP at sysNotifyTodoWebService, or by its REST twin."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from sandbox.oa import constants, soap
from sandbox.oa.calls import Answer, Ask, Call, allowed, text, told
from sandbox.oa.landray import FAILED, OPERATIONS, VIEW_PATH, Landray, Result
from sandbox.oa.records import Kind
from sandbox.oa.targets import Broken, first_value

SOAP_PATH = "sys/webservice/sysNotifyTodoWebService"
REST_PATH = "api/sys-notify/sysNotifyTodoRestService"
NAMESPACE = "http://webservice.notify.sys.kmss.landray.com/"
_HEADER = "{http://sys.webservice.client}RequestSOAPHeader"
_LOGIN = "认证失败：用户名或密码错误"
_ADDRESS = "认证失败：当前IP（{}）未授权"
_INSIDE = "系统内部错误"


def read(oa: Landray, ask: Ask) -> Call:
    """Return the call of a request."""
    if ask.path == SOAP_PATH:
        return _soap(oa, ask)
    if ask.path == VIEW_PATH and ask.method == "GET":
        return Call("view", partial(_view, oa, ask), partial(_rest_refusal, ask))
    folder, _, operation = ask.path.rpartition("/")
    if folder == REST_PATH and operation in OPERATIONS:
        return _rest(oa, ask, operation)
    nowhere = told({"error": "404"}, 404)
    return Call("?", lambda: nowhere, lambda _: nowhere)


def _soap(oa: Landray, ask: Ask) -> Call:
    refuse = partial(_soap_refusal, "getTodo", ask)
    if ask.method == "GET":
        return Call("wsdl", lambda: soap.wsdl("landray.wsdl", ask), refuse)
    try:
        request = soap.read(ask.body, NAMESPACE)
        if request.operation not in OPERATIONS:
            raise soap.NotSoap(f"Message part {request.operation} was not recognized")
    except soap.NotSoap as error:
        told_why = soap.fault(str(error), client=True)
        return Call("?", lambda: told_why, refuse)
    element = request.element.find("arg0")
    given = soap.fields(element)
    header = None if request.header is None else request.header.find(_HEADER)

    def run() -> Answer:
        if not allowed(oa.settings.addresses, ask):
            return soap.fault(_ADDRESS.format(ask.address))
        login = soap.fields(header)
        if not _lets_in(oa, login.get("user", ""), login.get("password", "")):
            return soap.fault(_LOGIN)
        try:
            result = OPERATIONS[request.operation](oa, given)
        except Broken as error:
            return _exception(str(error))
        return _result(request.operation, result)

    refuse = partial(_soap_refusal, request.operation, ask)
    return Call(request.operation, run, refuse, given.get("modelId", ""), first_value(given.get("targets", "")))


def _rest(oa: Landray, ask: Ask, operation: str) -> Call:
    given = ask.fields()

    def run() -> Answer:
        if not allowed(oa.settings.addresses, ask):
            return told({"error": _ADDRESS.format(ask.address)}, 403)
        if not _lets_in(oa, *_basic(ask.headers)):
            return told({"error": _LOGIN}, 401)
        if ask.method != "POST":
            return told({"error": "Request method not supported"}, 405)
        if given is None:
            return told({"error": "Could not read document"}, 400)
        try:
            result = OPERATIONS[operation](oa, given)
        except Broken as error:
            return told({"error": str(error)}, 500)
        return told({"returnState": result.state, "message": result.message})

    refuse = partial(_rest_refusal, ask)
    fields = given or {}
    return Call(operation, run, refuse, text(fields, "modelId"), first_value(text(fields, "targets")))


def _view(oa: Landray, ask: Ask) -> Answer:
    """Open a row's page, which getTodo names as its link: by way of its person's desk."""
    row = oa.row(ask.query.get("fdId", ""))
    if row is None:
        return told({"error": "404"}, 404)
    where = urlencode({"oa": oa.name, "as": row.account, "id": row.id})
    return Answer(b"", 303, location=f"/desk/jump?{where}")


def _soap_refusal(operation: str, ask: Ask, kind: Kind) -> Answer:
    if kind == "not_registered":
        return soap.fault(_LOGIN)
    if kind == "not_allowed":
        return soap.fault(_ADDRESS.format(ask.address))
    if kind == "unknown_person":
        return _result(operation, Result(FAILED, _UNKNOWN))
    return _exception(_INSIDE)


def _rest_refusal(ask: Ask, kind: Kind) -> Answer:
    if kind == "not_registered":
        return told({"error": _LOGIN}, 401)
    if kind == "not_allowed":
        return told({"error": _ADDRESS.format(ask.address)}, 403)
    if kind == "unknown_person":
        return told({"returnState": FAILED, "message": _UNKNOWN})
    return told({"error": _INSIDE}, 500)


_UNKNOWN = "根据参数信息找不到对应的组织架构人员"


def _result(operation: str, result: Result) -> Answer:
    message = f"<message>{soap.clean(result.message)}</message>" if result.message else ""
    inside = f"<return>{message}<returnState>{result.state}</returnState></return>"
    return soap.answer(f'<ns1:{operation}Response xmlns:ns1="{NAMESPACE}">{inside}</ns1:{operation}Response>')


def _exception(message: str) -> Answer:
    """Return the declared fault."""
    detail = f'<ns1:Exception xmlns:ns1="{NAMESPACE}"><message>{soap.clean(message)}</message></ns1:Exception>'
    return soap.fault(message, detail=detail)


def _lets_in(oa: Landray, user: str, password: str) -> bool:
    settings = oa.settings
    if not settings.user:
        return True
    return hmac.compare_digest(user.encode(), settings.user.encode()) & hmac.compare_digest(
        password.encode(), settings.password.encode()
    )


def _basic(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password


def site(url: str) -> dict[str, Any]:
    """Return what both kinds of site are told."""
    return {
        "name": "蓝凌 OA",
        "address": f"{url}/landray",
        "user": constants.LANDRAY_USER,
        "password": constants.LANDRAY_PASSWORD,
        "app_name": constants.LANDRAY_APP,
        "model_name": constants.LANDRAY_MODEL,
    }
