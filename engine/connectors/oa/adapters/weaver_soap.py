"""Weaver's to-do centre by SOAP: one text goes in, in JSON, and one comes back."""

import json
from collections.abc import Mapping
from typing import Any

from engine.connectors.oa.adapters.http import unanswered
from engine.connectors.oa.adapters.protocol import Take
from engine.connectors.oa.adapters.soap import Product, Soap
from engine.connectors.oa.adapters.weaver import Weaver, WeaverSite

_PRODUCT = Product(
    "weaver.wsdl", "OfsTodoDataWebService", "OfsTodoDataWebServiceHttpPort", "/services/OfsTodoDataWebService"
)


class Envelopes:
    """The SOAP service; see `weaver.Calls`."""

    def __init__(self, site: WeaverSite, take: Take) -> None:
        self._soap = Soap(site, take, _PRODUCT, wsdl=site.wsdl)

    def call(self, operation: str, fields: Mapping[str, str], *hidden: str) -> Any:
        """Return the answer, read from its JSON."""
        answer = self._soap.call(operation, json.dumps(dict(fields), ensure_ascii=False), hidden=hidden)
        try:
            return json.loads(answer or "")
        except (ValueError, TypeError, RecursionError):
            pass
        raise unanswered("不是 JSON")

    def close(self) -> None:
        """Close the connections."""
        self._soap.close()


def soap(site: WeaverSite, take: Take) -> Weaver:
    """Return the adapter that speaks SOAP."""
    return Weaver(site, Envelopes(site, take), take)
