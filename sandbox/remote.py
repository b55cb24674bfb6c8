"""The control API from another process, or from a test that doesn't want to reach into the state."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


class Refused(Exception):
    """The stand-in refused a command; the text is its reason."""


class Remote:
    """A stand-in at an address; each command of its control API is a method with the same named arguments."""

    def __init__(self, url: str, *, seconds: float = 60.0) -> None:
        self.url, self._seconds = url.rstrip("/"), seconds

    def __getattr__(self, command: str) -> Any:
        if command.startswith("_"):
            raise AttributeError(command)
        return lambda **arguments: self._ask(command, arguments)

    def _ask(self, command: str, arguments: dict[str, Any]) -> Any:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=self._seconds)
        try:
            connection.request("POST", f"{parts.path}/control/{command}", json.dumps(arguments).encode())
            answer = connection.getresponse()
            told = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise Refused(told["error"])
        return told
