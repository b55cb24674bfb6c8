"""What an endpoint of the server API is: a function that the path below /cgi-bin/ leads to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Agent, Json
from sandbox.wecom.state import State


@dataclass(frozen=True)
class Upload:
    """A file of a multipart request."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class File:
    """An answer that is a file."""

    filename: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class Ask:
    """A call: who calls, and with what. `agent` is that of the token."""

    agent: Agent
    query: Mapping[str, str]
    body: Json = field(default_factory=dict)
    media: Upload | None = None

    def required(self, name: str, errcode: int) -> str:
        """Return a parameter of the query; without it the call is refused with that code."""
        value = self.query.get(name, "")
        if not value:
            raise ApiError(errcode, f"missing {name}")
        return value

    def text(self, name: str) -> str:
        """Return a text of the body, empty where it's missing; another type is refused."""
        value = self.body.get(name, "")
        if not isinstance(value, str):
            raise ApiError(40058, f"{name} must be a string")
        return value

    def listed(self, name: str, kind: type = str) -> list[Any]:
        """Return a list of the body, empty where it's missing; another type is refused."""
        value = self.body.get(name) or []
        if not isinstance(value, list) or any(not isinstance(item, kind) for item in value):
            raise ApiError(40058, f"{name} must be a list")
        return value


Answer = Json | File
Function = Callable[[State, Ask], Answer]


@dataclass(frozen=True)
class Endpoint:
    """An endpoint; the function runs under the state's lock."""

    method: Literal["GET", "POST"]
    function: Function
    counted: bool = True  # in the general limit per minute and hour


ENDPOINTS: dict[str, Endpoint] = {}


def endpoint(method: Literal["GET", "POST"], path: str, *, counted: bool = True) -> Callable[[Function], Function]:
    """Register the function of a path."""

    def register(function: Function) -> Function:
        ENDPOINTS[path] = Endpoint(method, function, counted)
        return function

    return register


def own_agent(ask: Ask, agentid: Any) -> Agent:
    """Return the app of the token, which must be the one that is named."""
    if agentid in (None, ""):
        raise ApiError(41011, "missing agentid")
    try:
        number = int(agentid)
    except (TypeError, ValueError):
        raise ApiError(40056, "invalid agentid") from None
    if ask.agent.contacts or number != ask.agent.agentid:
        raise ApiError(301002, "no permission to operate the agent")
    return ask.agent


def messaging_agent(ask: Ask) -> Agent:
    """Return the app of the token, which must not be the contact synchronisation."""
    if ask.agent.contacts:
        raise ApiError(48002, "api forbidden for this secret")
    return ask.agent


def sized(value: str, most: int, errcode: int, what: str) -> None:
    """Refuse a text of more bytes than that."""
    if len(value.encode()) > most:
        raise ApiError(errcode, f"{what} exceeds {most} bytes")


def cut(value: str, most: int) -> str:
    """Return a text without what is beyond so many bytes, as WeCom cuts titles and descriptions."""
    return value.encode()[:most].decode(errors="ignore")


def lowered(names: Iterable[str]) -> str:
    """Return names as an answer lists those that aren't valid."""
    return "|".join(sorted({name.lower() for name in names}))
