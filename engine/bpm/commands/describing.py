"""How an instance is shown and found: title, summary, urgency and searchable values, from FEEL over its data."""

import uuid
from collections.abc import Container, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from engine.bpm.definitions import Version
from engine.clock import LOCAL
from engine.feel import FeelError, to_plain

STATE_NAMES = {"running": "办理中", "completed": "办结", "withdrawn": "撤销", "terminated": "终止"}
URGENCIES = ("普通", "平急", "加急", "特急")


def describe(version: Version, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return title, summary and urgency; a title that can't be computed falls back to the process's name."""
    process = version.definition.process
    title = _text(version, process.title, data) or f"{version.definition.name}（{data['initiator']['name']}）"
    urgency = _value(version, process.urgency, data)
    if isinstance(urgency, str):
        urgency = URGENCIES.index(urgency) if urgency in URGENCIES else 0
    return {
        "title": title[:200],
        "summary": (_text(version, process.summary, data) or "")[:200],
        "urgency": urgency if isinstance(urgency, int) and 0 <= urgency <= 3 else 0,
    }


def _value(version: Version, text: str, data: Mapping[str, Any]) -> Any:
    if not text.startswith("="):
        return text
    with suppress(FeelError):
        return to_plain(version.definition.expression(text[1:]).evaluate(data))
    return None


def _text(version: Version, text: str, data: Mapping[str, Any]) -> str | None:
    value = _value(version, text, data)
    return None if value is None else str(value)


def search_values(
    version: Version, data: Mapping[str, Any], instance_id: uuid.UUID, fields: Container[str]
) -> list[dict[str, Any]]:
    """Return the typed rows of those fields that the process declares searchable."""
    rows = []
    for field, kind in version.definition.process.searchable:
        if field not in fields:
            continue
        value = data.get(field)
        typed: dict[str, Any] = {"text": None, "number": None, "moment": None}
        if value is None:
            pass
        elif kind == "number":
            with suppress(InvalidOperation):
                typed["number"] = float(Decimal(str(value)))
        elif kind == "date":
            with suppress(ValueError, OverflowError):
                moment = datetime.fromisoformat(str(value))
                typed["moment"] = (moment if moment.tzinfo else moment.replace(tzinfo=LOCAL)).astimezone(UTC)
        else:
            typed["text"] = str(value)[:200]
        rows.append({"instance_id": instance_id, "field": field, "process_key": version.key, **typed})
    return rows
