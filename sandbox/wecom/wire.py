"""The XML of callbacks, and a small HTTP client that sends it."""

import http.client
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from lxml import etree


def xml(fields: Mapping[str, Any]) -> bytes:
    """Return `<xml>…</xml>`: texts as CDATA, numbers plain, tables nested, lists as repeated elements."""
    return f"<xml>{_inside(fields)}</xml>".encode()


def parsed(text: bytes) -> dict[str, Any]:
    """Return the elements below the root as texts and tables. Raises ValueError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        return {child.tag: _value(child) for child in etree.fromstring(text, parser)}
    except etree.XMLSyntaxError as error:
        raise ValueError(str(error)) from error


def ask(method: str, url: str, body: bytes, seconds: float) -> tuple[int, bytes]:
    """Send a request; return the status and the answer. Raises OSError and HTTPException."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body or None, {"Content-Type": "text/xml", "Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _inside(fields: Mapping[str, Any]) -> str:
    return "".join(_element(name, value) for name, value in fields.items())


def _element(name: str, value: Any) -> str:
    if isinstance(value, Mapping):
        return f"<{name}>{_inside(value)}</{name}>"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "".join(_element(name, item) for item in value)
    if isinstance(value, int):
        return f"<{name}>{value}</{name}>"
    text = str(value).replace("]]>", "]]]]><![CDATA[>")
    return f"<{name}><![CDATA[{text}]]></{name}>"


def _value(element: Any) -> Any:
    return {child.tag: _value(child) for child in element} if len(element) else (element.text or "")
