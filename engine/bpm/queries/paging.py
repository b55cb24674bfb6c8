"""Keyset paging: a cursor says after which row the next page begins, whatever was added or removed meanwhile."""

import base64
import binascii
import re
import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, false, func, literal_column, tuple_

from engine import clock
from engine.bpm.models import InstanceState
from engine.errors import Invalid

MAX_LIMIT = 100
MAX_TEXT = 50
"""Characters of a text filter."""

Row = TypeVar("Row")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_CURSOR = 200  # characters
_PROCESS = re.compile(r"[\w.-]{1,60}")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """A page of rows, newest first, and the cursor of the next one, None after the last."""

    rows: tuple[Row, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; None leaves a list as it is.

    `text`: part of the title, at most 50 characters. `since` (inclusive) and `until` (exclusive): aware moments between
    which the row came into its list. `urgency`: 0 普通 to 3 特急. `state`: of the instance. `overdue`: what should have
    been done by now; nothing in a list of what isn't to be done. Raises Invalid.
    """

    process: str | None = None
    text: str | None = None
    urgency: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    state: str | None = None
    overdue: bool = False

    def __post_init__(self) -> None:
        if self.process is not None and not _PROCESS.fullmatch(self.process):
            raise _wrong("process", "没有这个流程，请重新选择")
        if len(self.text or "") > MAX_TEXT:
            raise _wrong("text", f"搜索文字最多 {MAX_TEXT} 个字，请缩短")
        if self.urgency is not None and self.urgency not in range(4):
            raise _wrong("urgency", "缓急只能是 0（普通）到 3（特急）")
        if self.state is not None and self.state not in set(InstanceState):
            raise _wrong("state", f"没有这个状态，可选：{'、'.join(InstanceState)}")
        for name, moment in (("since", self.since), ("until", self.until)):
            if moment is not None and (moment.tzinfo is None or not 1 < moment.year < 9999):
                raise _wrong(name, "时间不正确，请写明时区，如 2024-05-01T00:00:00+08:00")

    def conditions(
        self, *, process: Any, title: Any, urgency: Any, moment: Any, state: Any, due: Any = None
    ) -> list[ColumnElement[bool]]:
        """Return the conditions on the columns of a list."""
        found: list[ColumnElement[bool]] = []
        if self.process is not None:
            found.append(process == self.process)
        if self.urgency is not None:
            found.append(urgency == self.urgency)
        if self.state is not None:
            found.append(state == self.state)
        if self.overdue:
            found.append(false() if due is None else due <= clock.now())
        if self.since is not None:
            found.append(moment >= self.since)
        if self.until is not None:
            found.append(moment < self.until)
        # databases refuse NUL and lone surrogates
        text = "".join(filter(str.isprintable, unicodedata.normalize("NFC", self.text or ""))).strip()
        if text:
            found.append(func.lower(title).contains(text.lower(), autoescape=True))
        return found


@dataclass(frozen=True, slots=True)
class Keyset:
    """The order of a list, newest first, by columns that together are unique.

    `name` keeps the cursors of different lists apart; each column comes with the type of its values.
    """

    name: str
    columns: tuple[tuple[Any, type], ...]

    def narrowed(self, statement: Select[Any], cursor: str | None, limit: int) -> Select[Any]:
        """Return the statement of one page, one row longer than `limit`, to see whether there are more.

        Raises Invalid for a limit outside 1 to 100, and for a cursor that no page of this list gave.
        """
        if not 1 <= limit <= MAX_LIMIT:
            raise _wrong("limit", f"每页 1 到 {MAX_LIMIT} 条")
        columns = [column for column, _ in self.columns]
        if cursor is not None:
            key = self._read(cursor)
            if len(columns) == 1:
                statement = statement.where(columns[0] < key[0])
            else:
                statement = statement.where(tuple_(*columns) < tuple_(*key))
        # the limit is part of the text: PostgreSQL's generic plans would guess it
        longer = literal_column(str(limit + 1), Integer)
        return statement.order_by(*(column.desc() for column in columns)).limit(longer)

    def page(self, rows: Sequence[Row], keys: Sequence[Sequence[Any]], limit: int) -> Page[Row]:
        """Return the page of what the statement found; `keys` are the rows' values of the columns."""
        following = self._write(keys[limit - 1]) if len(rows) > limit else None
        return Page(tuple(rows[:limit]), following)

    def _write(self, key: Sequence[Any]) -> str:
        parts = []
        for value in key:
            if isinstance(value, datetime):
                parts.append(str((value - _EPOCH) // timedelta(microseconds=1)))
            else:
                parts.append(value.hex if isinstance(value, uuid.UUID) else str(value))
        return base64.urlsafe_b64encode(" ".join([self.name, *parts]).encode()).decode().rstrip("=")

    def _read(self, cursor: str) -> list[Any]:
        try:
            if len(cursor) > _MAX_CURSOR:
                raise ValueError(cursor[:_MAX_CURSOR])
            padded = cursor + "=" * (-len(cursor) % 4)
            name, *parts = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(" ")
            key = [_value(kind, part) for (_, kind), part in zip(self.columns, parts, strict=True)]
            # one spelling each: a cursor is taken only as a page wrote it
            if name != self.name or self._write(key) != cursor:
                raise ValueError(cursor)
            return key
        except (binascii.Error, ValueError, OverflowError) as error:
            raise Invalid("页码标记无效，请从第一页重新开始", code="bad_cursor") from error


def _value(kind: type, text: str) -> Any:
    if kind is datetime:
        return _EPOCH + timedelta(microseconds=int(text))
    if kind is int and not -(2**63) <= int(text) < 2**63:
        raise ValueError(text)
    return kind(text)


def _wrong(place: str, message: str) -> Invalid:
    return Invalid(message, code=f"bad_{place}", errors=[{"place": place, "message": message}])
