"""What all schemas share: readers of engine objects, strict bodies, and the types of their fields."""

import math
import re
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

_DEEPEST = 20
_LARGEST = 1 << 53  # beyond it JSON readers disagree
_MOST_VALUES = 50_000
_WRITTEN = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:")


class Answer(BaseModel):
    """What a route answers with, read off an engine's object by names of attributes."""

    model_config = ConfigDict(from_attributes=True)


class Body(BaseModel):
    """What a client sends; a field that isn't known is refused, so that a misspelt one isn't lost."""

    model_config = ConfigDict(extra="forbid")


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("含有不能保存的字符")
    return text


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what JSON can say and databases or other programs can't hold."""
    todo: list[tuple[Any, int]] = [(value, 0)]
    for count, (found, depth) in enumerate(_walk(todo)):
        if depth > _DEEPEST or count > _MOST_VALUES:
            raise ValueError(f"数据太多或嵌套太深（最多 {_DEEPEST} 层）")
        if isinstance(found, str):
            if "\x00" in found or any("\ud800" <= c <= "\udfff" for c in found):
                raise ValueError("文字里有不能保存的字符")
        elif isinstance(found, float):
            if not math.isfinite(found):
                raise ValueError("数字不正确")
        elif isinstance(found, int) and abs(found) > _LARGEST:
            raise ValueError("数字太大")
    return value


def _walk(todo: list[tuple[Any, int]]) -> Iterator[tuple[Any, int]]:
    while todo:
        found, depth = todo.pop()
        yield found, depth
        if isinstance(found, dict):
            todo += [(part, depth + 1) for pair in found.items() for part in pair]
        elif isinstance(found, list):
            todo += [(part, depth + 1) for part in found]


Text = Annotated[str, AfterValidator(_storable)]
"""Words that the database can hold."""
Key = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.-]{0,59}$", examples=["leave_request"])]
"""The key of a process (流程标识)."""
Opinion = Annotated[Text, Field(max_length=2000, examples=["同意，请安排好工作交接"])]
"""An opinion or reason, at most 2,000 characters."""
FormData = Annotated[
    dict[str, Any],
    AfterValidator(_plain),
    Field(examples=[{"leave_type": "病假", "start_date": "2026-03-02", "end_date": "2026-03-04", "reason": "发热"}]),
]
"""The form's fields by key; which they are says the form."""
Ids = Annotated[list[uuid.UUID], Field(min_length=1, max_length=500)]


def _written(value: object) -> object:
    # pydantic would take numbers for seconds since 1970
    if isinstance(value, str) and not _WRITTEN.match(value):
        raise ValueError("应为时间，如 2026-03-02T08:00:00+08:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_written)]
"""A moment in ISO 8601 with its zone."""
