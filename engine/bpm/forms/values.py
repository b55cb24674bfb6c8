"""What people send, made into the plain values that are stored: numbers, ISO dates, clean text, ids."""

import math
import unicodedata
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal

import regex

from engine import clock
from engine.bpm.forms.money import LIMIT
from engine.bpm.forms.schema import PICKERS, Component

MAX_TEXT = 20_000
"""Characters of one text, whatever the form says."""
MAX_ITEMS = 1_000
"""Elements of one list of choices, people or files."""
MAX_NUMBER = 10**15
UNRESOLVED = "?"
"""Begins the text that stands for a person or department that nobody could be found for."""

_NUMBER = regex.compile(r"[+-]?(?:\d{1,16}(?:\.\d{0,15})?|\.\d{1,15})")
_YEARS = (1900, 2199)
_DATE = regex.compile(r"\d{4}-\d\d-\d\d")
_TIME = regex.compile(r"(\d\d:\d\d)(:\d\d)?(?:\.\d{1,6})?")
_DATETIME = regex.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(?:\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?")
ID = regex.compile(r"[A-Za-z0-9_-]{1,64}")
# Controls, lone surrogates, and the marks that turn the direction of text around (they make file names lie).
_UNWANTED = regex.compile(r"[\p{Cc}\p{Cs}\u202A-\u202E\u2066-\u2069\uFEFF--\n\t]", regex.V1)


class Refused(Exception):
    """A value that can't be what the field holds; the message is for the person."""


def normalise(component: Component, raw: object) -> object:
    """Return the plain value of a field, None (or an empty list, or false) when it is empty; Refused otherwise."""
    if component.many:
        return _many(component, raw)
    return _NORMALISERS[component.type](component, raw)


def empty(value: object) -> bool:
    """Return whether a field counts as not filled in."""
    return value is None or value is False or value == "" or value == []


def same_text(value: object) -> str:
    """Return the text by which a choice travels in HTML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def clean(raw: str, *, lines: bool) -> str:
    """Return a text in NFC without control characters; `lines` keeps line ends."""
    text = raw.strip()
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = unicodedata.normalize("NFC", _UNWANTED.sub("", text))
    return text.strip() if lines else " ".join(text.split("\n")).replace("\t", " ").strip()


def _text(component: Component, raw: object) -> object:
    if component.widget in PICKERS:
        return _id(component, raw)
    if raw is None:
        return None
    if not isinstance(raw, str):
        raise Refused(f"“{component.name}”应为文本")
    if len(raw) > MAX_TEXT:
        raise Refused(f"“{component.name}”至多 {MAX_TEXT} 个字")
    return clean(raw, lines=component.type == "textarea") or None


def _number(component: Component, raw: object) -> object:
    if type(raw) is int and -MAX_NUMBER < raw < MAX_NUMBER:
        return raw
    if raw is None:
        return None
    number = _decimal(component, raw)
    if number is None:
        return None
    if abs(number) >= (LIMIT if component.widget == "money" else MAX_NUMBER) or abs(number) >= MAX_NUMBER:
        raise Refused(f"“{component.name}”的数字过大")
    normal = number.normalize()
    digits, exponent = normal.as_tuple().digits, normal.as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    if component.digits is not None and decimals > component.digits:
        allowed = f"至多 {component.digits} 位小数" if component.digits else "应为整数"
        raise Refused(f"“{component.name}”{allowed}")
    if len(digits) > 15:
        raise Refused(f"“{component.name}”至多 15 位有效数字")
    # Fifteen digits go through a float and back unharmed.
    return int(number) if not decimals else float(number)


def _decimal(component: Component, raw: object) -> Decimal | None:
    if isinstance(raw, str) and len(raw) <= 60:
        text = unicodedata.normalize("NFKC", raw).strip()
        if not text:
            return None
        if text.isascii() and _NUMBER.fullmatch(text):
            return Decimal(text)
    elif isinstance(raw, float) and math.isfinite(raw):
        return Decimal(repr(raw))
    elif isinstance(raw, int) and not isinstance(raw, bool):
        return Decimal(MAX_NUMBER)
    elif isinstance(raw, Decimal) and raw.is_finite():
        return raw
    raise Refused(f"“{component.name}”应为数字")


def _moment(component: Component, raw: object) -> object:
    if raw is None or raw == "":
        return None
    text = raw.strip() if isinstance(raw, str) and len(raw) <= 40 and raw.isascii() else ""
    try:
        return _PARSERS[component.subtype](text)
    except ValueError:
        form = {"date": "如 2026-03-08", "time": "如 09:30", "datetime": "如 2026-03-08 09:30"}[component.subtype]
        what = "时间" if component.subtype == "time" else "日期"
        raise Refused(f"“{component.name}”不是有效的{what}，应{form}") from None


def _parse_date(text: str) -> str:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    return _near(date.fromisoformat(text)).isoformat()


def _parse_time(text: str) -> str:
    match = _TIME.fullmatch(text)
    if not match:
        raise ValueError(text)
    return time.fromisoformat(match[1] + (match[2] or "")).isoformat()


def _parse_datetime(text: str) -> str:
    if not _DATETIME.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.replace(" ", "T"))
    try:
        # The hospital's own time, like that of the native input; an offset comes from programs only.
        local = moment.astimezone(clock.LOCAL).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError:
        raise ValueError(text) from None
    _near(local.date())
    return local.replace(microsecond=0).isoformat()


def _near(day: date) -> date:
    """Refuse years that nobody means: at the ends of the calendar moments in another zone don't exist."""
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise ValueError(day)
    return day


def _checkbox(component: Component, raw: object) -> object:
    if raw is None or raw is False:
        return False
    if raw is True:
        return True
    raise Refused(f"“{component.name}”应为是或否")


def _choice(component: Component, raw: object) -> object:
    if raw is None or raw == "":
        return None
    known = component.options.by_text if component.options else {}
    if isinstance(raw, str) and len(raw) <= 200:
        return known.get(raw, raw)
    if isinstance(raw, bool) or (isinstance(raw, int | float) and abs(raw) < MAX_NUMBER):
        return raw
    raise Refused(f"“{component.name}”的选项无效")


def _id(component: Component, raw: object) -> object:
    if raw is None or raw == "":
        return None
    if isinstance(raw, str):
        if raw.startswith(UNRESOLVED):
            cure = "填写工号" if component.widget in ("person", "people") else "填写部门全称"
            raise Refused(f"“{component.name}”中找不到“{clean(raw[1:50], lines=False)}”，请从列表中选择或{cure}")
        if ID.fullmatch(raw):
            return raw
    raise Refused(f"“{component.name}”的内容无效，请重新选择")


def _many(component: Component, raw: object) -> object:
    if raw is None or raw == "":
        return []
    if not isinstance(raw, list | tuple) or len(raw) > MAX_ITEMS:
        raise Refused(f"“{component.name}”应为至多 {MAX_ITEMS} 项的列表")
    one = _choice if component.type in ("checklist", "taglist") and not component.widget else _id
    values = (one(component, item) for item in raw)
    return list(dict.fromkeys(value for value in values if value is not None))


_PARSERS: Mapping[str, Callable[[str], str]] = {
    "date": _parse_date,
    "time": _parse_time,
    "datetime": _parse_datetime,
}
_NORMALISERS: Mapping[str, Callable[[Component, object], object]] = {
    "textfield": _text,
    "textarea": _text,
    "number": _number,
    "datetime": _moment,
    "checkbox": _checkbox,
    "radio": _choice,
    "select": _choice,
    "filepicker": _id,
    "taglist": _id,
}
