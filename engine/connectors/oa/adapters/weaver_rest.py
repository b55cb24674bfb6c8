"""Weaver's to-do centre by REST: JSON goes to an address of each operation."""

from collections.abc import Mapping
from typing import Any

from engine.connectors.oa.adapters.http import Http
from engine.connectors.oa.adapters.protocol import Take
from engine.connectors.oa.adapters.weaver import DELETE, RECEIVE, Weaver, WeaverSite

_PATHS = {RECEIVE: "/rest/ofs/ReceiveRequestInfoByJson", DELETE: "/rest/ofs/deleteUserRequestInfoByJson"}


class Rest:
    """The REST service; see `weaver.Calls`."""

    def __init__(self, site: WeaverSite, take: Take) -> None:
        self._http = Http(site, take)

    def call(self, operation: str, fields: Mapping[str, str], *hidden: str) -> Any:
        """Return the answer, read from its JSON."""
        return self._http.ask("POST", _PATHS[operation], json=dict(fields)).json(*hidden)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()


def rest(site: WeaverSite, take: Take) -> Weaver:
    """Return the adapter that speaks REST."""
    return Weaver(site, Rest(site, take), take)
