"""What a request is to an OA: a call that is read from it first and takes effect when it is run.

So a fault can let it take effect twice, later or never, whichever OA and operation it is.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from sandbox.oa.records import ZONE, Kind

JSON = "application/json;charset=UTF-8"
XML = "text/xml;charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request; `path` is below the OA's root, `root` that root's address as the client named it."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in small letters
    body: bytes
    address: str
    root: str

    def fields(self) -> dict[str, Any] | None:
        """Return the fields of a JSON object or a form in the body, whatever its Content-Type; None for neither."""
        try:
            text = self.body.decode()
        except UnicodeDecodeError:
            return None
        if text.lstrip()[:1] == "{":
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                return None
            return found if isinstance(found, dict) else None
        if "json" in self.headers.get("content-type", ""):
            return None
        try:
            return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=200))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Answer:
    """What the OA answers."""

    content: bytes
    status: int = 200
    content_type: str = JSON
    location: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request as the OA understands it. `refuse` gives the OA's own words for a fault, without any effect."""

    operation: str
    run: Callable[[], Answer]
    refuse: Callable[[Kind], Answer]
    key: str = ""
    account: str = ""


def told(content: Any, status: int = 200) -> Answer:
    """Return an answer in JSON."""
    return Answer(json.dumps(content, ensure_ascii=False).encode(), status)


def allowed(addresses: set[str], ask: Ask) -> bool:
    """Return whether a list of addresses lets a caller in; an empty one lets everybody."""
    return not addresses or ask.address in addresses


def moment(written: str) -> datetime | None:
    """Return a moment written as `yyyy-MM-dd HH:mm:ss` in the hospital's zone; None for anything else."""
    try:
        at = datetime.fromisoformat(written) if len(written) == 19 and written[10] == " " else None
    except ValueError:
        return None
    return None if at is None else at.replace(tzinfo=ZONE)


def text(fields: Mapping[str, Any], name: str) -> str:
    """Return a field as a text, empty where it is missing or null."""
    value = fields.get(name)
    return "" if value is None else str(value)
