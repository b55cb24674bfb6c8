"""SOAP 1.1 as the stand-ins speak it: envelopes read safely, answers and faults written by hand.

A DOCTYPE is refused, entities are never declared, nothing is fetched, and text is cleaned of what XML can't hold.
"""

import re
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

from lxml import etree

from sandbox.oa.calls import XML, Answer, Ask

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_PLACE = "http://localhost/ADDRESS"  # where a WSDL file has the service's address
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True)
_BAD = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class NotSoap(Exception):
    """The body isn't an envelope with one operation in it; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """An operation with its element, and the header's element if there is one."""

    operation: str
    element: "etree._Element"
    header: "etree._Element | None"


def read(body: bytes, namespace: str) -> Request:
    """Return what an envelope asks for. Raises NotSoap."""
    root = parse(body)
    if root.tag != f"{{{ENVELOPE}}}Envelope":
        raise NotSoap("no Envelope")
    inside = root.find(f"{{{ENVELOPE}}}Body")
    if inside is None or len(inside) != 1:
        raise NotSoap("no operation in Body")
    of, _, name = str(inside[0].tag).removeprefix("{").rpartition("}")
    if of != namespace:
        raise NotSoap(f"{name[:80]} was not recognized")
    return Request(name, inside[0], root.find(f"{{{ENVELOPE}}}Header"))


def parse(body: bytes) -> "etree._Element":
    """Return the root of a document without a DOCTYPE. Raises NotSoap."""
    if b"<!DOCTYPE" in body:
        raise NotSoap("DOCTYPE is not allowed")
    try:
        root = etree.fromstring(body, _PARSER)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise NotSoap(f"Error reading XMLStreamReader: {str(error)[:120]}") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise NotSoap("DOCTYPE is not allowed")
    return root


def fields(element: "etree._Element | None") -> dict[str, str]:
    """Return the texts of an element's children by their local names."""
    return (
        {}
        if element is None
        else {child.tag.rpartition("}")[2]: child.text or "" for child in element if isinstance(child.tag, str)}
    )


def clean(text: str) -> str:
    """Return a text as it may stand in XML."""
    return escape(_BAD.sub("", text), quote=False)


def answer(inside: str) -> Answer:
    """Return an envelope around what is written already."""
    return Answer(_envelope(inside), content_type=XML)


def fault(message: str, *, client: bool = False, detail: str = "") -> Answer:
    """Return a fault; `detail` is written already."""
    code = "soap:Client" if client else "soap:Server"
    told = f"<detail>{detail}</detail>" if detail else ""
    inside = f"<soap:Fault><faultcode>{code}</faultcode><faultstring>{clean(message)}</faultstring>{told}</soap:Fault>"
    return Answer(_envelope(inside), 500, XML)


def wsdl(name: str, ask: Ask) -> Answer:
    """Return a WSDL file with the address at which it was asked for."""
    return Answer(_file(name).replace(_PLACE, clean(f"{ask.root}/{ask.path}")).encode(), content_type=XML)


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / "wsdl" / name).read_text("utf-8")


def _envelope(inside: str) -> bytes:
    return f'<soap:Envelope xmlns:soap="{ENVELOPE}"><soap:Body>{inside}</soap:Body></soap:Envelope>'.encode()
