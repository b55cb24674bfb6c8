"""How Weaver is asked: by SOAP at OfsTodoDataWebService in JSON, XML or a map, or by REST in JSON; paService by E9."""

import json
from collections.abc import Mapping
from typing import Any

from lxml import etree

from sandbox.oa import constants, paservice, soap
from sandbox.oa.calls import Answer, Ask, Call, text, told
from sandbox.oa.records import Kind
from sandbox.oa.weaver import OPERATIONS, Broken, Result, Weaver, no_receiver, not_allowed, not_registered

SOAP_PATH = "services/OfsTodoDataWebService"
REST_PATH = "rest/ofs"
NAMESPACE = "webservices.ofs.weaver.com.cn"
_FORMS = ("Json", "Xml", "XML", "Map")
_BROKEN = "java.lang.NullPointerException"


def read(oa: Weaver, ask: Ask) -> Call:
    """Return the call of a request."""
    if ask.path == SOAP_PATH:
        return _soap(oa, ask)
    if ask.path.startswith(("api/workflow/paService/", "api/ec/dev/auth/")):
        return paservice.read(oa, ask)
    folder, _, name = ask.path.rpartition("/")
    name = name[:1].lower() + name[1:]
    operation, form = _named(name)
    if folder == REST_PATH and operation and form in ("Json", "Map"):
        return _rest(oa, ask, name, operation)
    nowhere = told({"error": "404"}, 404)
    return Call("?", lambda: nowhere, lambda _: nowhere)


def _soap(oa: Weaver, ask: Ask) -> Call:
    if ask.method == "GET":
        return Call("wsdl", lambda: soap.wsdl("weaver.wsdl", ask), lambda _: soap.fault(_BROKEN))
    try:
        request = soap.read(ask.body, NAMESPACE)
        operation, form = _named(request.operation)
        if not operation or ((form in ("Xml", "XML")) and (form == "XML") != operation.startswith("delete")):
            raise soap.NotSoap(f"Invalid operation: {request.operation}")
    except soap.NotSoap as error:
        fault = soap.fault(str(error), client=True)
        return Call("?", lambda: fault, lambda _: fault)
    element = request.element.find(f"{{{NAMESPACE}}}in0")
    given = _given(element, form)

    def answer(result: Result) -> Answer:
        return _out(request.operation, form, result.told())

    def run() -> Answer:
        if given is None:
            return soap.fault("Fault: " + _BROKEN)
        try:
            return answer(OPERATIONS[operation](oa, given, ask.address))
        except Broken as error:
            return soap.fault(f"Fault: {error}")

    def refuse(kind: Kind) -> Answer:
        refused = _refusal(kind, given or {}, ask)
        return soap.fault("Fault: " + _BROKEN) if refused is None else answer(refused)

    return Call(request.operation, run, refuse, *_about(given or {}))


def _rest(oa: Weaver, ask: Ask, name: str, operation: str) -> Call:
    given = ask.fields()

    def run() -> Answer:
        if ask.method != "POST" or given is None:
            return told({"error": _BROKEN}, 500)
        try:
            return told(OPERATIONS[operation](oa, given, ask.address).told())
        except Broken as error:
            return told({"error": str(error)}, 500)

    def refuse(kind: Kind) -> Answer:
        refused = _refusal(kind, given or {}, ask)
        return told({"error": _BROKEN}, 500) if refused is None else told(refused.told())

    return Call(name, run, refuse, *_about(given or {}))


def _named(name: str) -> tuple[str, str]:
    """Return operation and form of a name such as receiveRequestInfoByJson, empty texts where there is none."""
    operation, _, form = name.rpartition("By")
    return (operation, form) if operation in OPERATIONS and form in _FORMS else ("", "")


def _refusal(kind: Kind, given: Mapping[str, Any], ask: Ask) -> Result | None:
    if kind == "not_registered":
        return not_registered(given)
    if kind == "not_allowed":
        return not_allowed(given, ask.address)
    if kind == "unknown_person":
        return no_receiver(given)
    return None


def _about(given: Mapping[str, Any]) -> tuple[str, str]:
    return text(given, "flowid"), text(given, "receiver") or text(given, "userid")


def _given(element: "etree._Element | None", form: str) -> dict[str, Any] | None:
    """Return the fields in in0; None where they can't be read."""
    if element is None:
        return None
    if form == "Map":
        entries = [soap.fields(entry) for entry in element]
        return {entry.get("key", ""): entry.get("value", "") for entry in entries}
    inside = element.text or ""
    if form == "Json":
        try:
            found = json.loads(inside)
        except (ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None
    try:
        return dict[str, Any](soap.fields(soap.parse(inside.encode())))
    except soap.NotSoap:
        return None


def _out(operation: str, form: str, result: Mapping[str, str]) -> Answer:
    if form == "Map":
        out = "".join(
            f"<ns1:entry><ns1:key>{soap.clean(name)}</ns1:key><ns1:value>{soap.clean(value)}</ns1:value></ns1:entry>"
            for name, value in result.items()
        )
    elif form == "Json":
        out = soap.clean(json.dumps(result, ensure_ascii=False))
    else:
        inside = "".join(f"<{name}>{soap.clean(value)}</{name}>" for name, value in result.items())
        out = soap.clean(f"<ResultInfo>{inside}</ResultInfo>")
    tag = f"ns1:{operation}Response"
    return soap.answer(f'<{tag} xmlns:ns1="{NAMESPACE}"><ns1:out>{out}</ns1:out></{tag}>')


def site(url: str) -> dict[str, Any]:
    """Return what both kinds of site are told."""
    return {
        "name": "泛微 OA",
        "address": f"{url}/weaver",
        "syscode": constants.WEAVER_SYSCODE,
        "pull": {
            "appid": constants.WEAVER_APPID,
            "system": constants.SYSTEM,
            "link": "{address}/view?id={request}",
            "mobile_link": "{address}/mobile?id={request}",
        },
    }
