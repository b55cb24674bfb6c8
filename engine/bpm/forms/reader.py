"""Strict reading of a schema's JSON: every property is taken once with its type, what is left over is reported."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from engine.errors import Invalid
from engine.feel import Expression, FeelError
from engine.feel import compile as compile_feel

MAX_TEXT = 1_000_000
"""Characters of one form file."""
MAX_STRING = 20_000
"""Characters of one text in a form file."""


class Finding(NamedTuple):
    """Something to mend in a form file: where, how bad (`error` or `warning`), what, and the cure."""

    file: str
    line: int
    element: str
    name: str
    severity: str
    message: str
    cure: str


@dataclass(slots=True)
class Report:
    """What was found while reading: (place, severity, message, cure)."""

    found: list[tuple[str, str, str, str]] = field(default_factory=list)

    def error(self, place: str, message: str, cure: str = "") -> None:
        """Note something that makes the form unusable."""
        self.found.append((place, "error", message, cure))

    def warn(self, place: str, message: str, cure: str = "") -> None:
        """Note something that works but surely isn't meant."""
        self.found.append((place, "warning", message, cure))

    @property
    def failed(self) -> bool:
        """Whether there is any error."""
        return any(severity == "error" for _, severity, _, _ in self.found)


def parse_json(text: str) -> Any:
    """Return the JSON value of a text; Invalid for malformed, duplicate, huge or not finite things."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            seen: set[str] = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
            raise Invalid(f"同一对象中属性“{twice[:50]}”出现两次，请删去一个")
        return result

    def refuse(constant: str) -> None:
        raise Invalid(f"JSON 不允许 {constant}")

    if len(text) > MAX_TEXT:
        raise Invalid("文件超过 1 MB，请精简表单")
    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
        # A lone surrogate is legal in JSON but in no page or database.
        json.dumps(value, ensure_ascii=False).encode()
        return value
    except json.JSONDecodeError as error:
        raise Invalid(f"第 {error.lineno} 行第 {error.colno} 列不是合法的 JSON，请检查括号、引号和逗号") from None
    except RecursionError:
        raise Invalid("JSON 嵌套过深") from None
    except UnicodeEncodeError:
        raise Invalid("文本中有残缺的字符（\\ud800 一类），请删去") from None
    except ValueError:
        raise Invalid("JSON 中的数字过大") from None


class Reader:
    """One JSON object of a schema: getters take properties off it and report those of the wrong type."""

    def __init__(self, source: Mapping[str, Any], place: str, report: Report) -> None:
        self.place = place
        self.report = report
        self._left = dict(source)

    def error(self, name: str, message: str, cure: str = "") -> None:
        """Report an error at a property, or at the object itself when `name` is empty."""
        self.report.error(f"{self.place}.{name}".strip("."), message, cure)

    def take(self, name: str) -> Any:
        """Return a property as it is, None when it's absent."""
        return self._left.pop(name, None)

    def text(self, name: str, default: str = "") -> str:
        """Return a text of at most 20,000 characters."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, str) or len(value) > MAX_STRING:
            self.error(name, f"“{name}”应为至多 {MAX_STRING} 字的文本")
            return default
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.error(name, f"“{name}”应为 true 或 false")
            return default
        return value

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`; the designer's editor also writes it as text."""
        value = self.number(name)
        if value is None:
            return default
        if value != int(value) or not low <= value <= high:
            self.error(name, f"“{name}”应为 {low} 到 {high} 的整数")
            return default
        return int(value)

    def number(self, name: str) -> Decimal | None:
        """Return a number, None when it's absent or empty."""
        return self._number(name, self.take(name))

    def _number(self, name: str, value: Any) -> Decimal | None:
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int | float | str) or len(text := _short(value)) > 40:
            self.error(name, f"“{name}”应为数字")
            return None
        try:
            number = Decimal(text)
        except ArithmeticError:
            number = Decimal("NaN")
        if not number.is_finite() or abs(number) > Decimal("1e15"):
            self.error(name, f"“{name}”应为数字", "改为数字，或以 = 开头的 FEEL 表达式")
            return None
        return number

    def number_or_feel(self, name: str) -> Decimal | Expression | None:
        """Return a number or a FEEL expression."""
        value = self.take(name)
        if isinstance(value, str) and value.startswith("="):
            return self.compiled(name, value)
        return self._number(name, value)

    def flag_or_feel(self, name: str) -> bool | Expression:
        """Return true, false or a FEEL expression."""
        value = self._left.get(name)
        if isinstance(value, str) and value.startswith("="):
            return self.compiled(name, self.take(name)) or False
        return self.flag(name)

    def feel(self, name: str) -> Expression | None:
        """Return a FEEL expression, which begins with `=`; None when it's absent or empty."""
        value = self.text(name)
        if not value.strip():
            return None
        if not value.startswith("="):
            self.error(name, f"“{name}”应为以 = 开头的 FEEL 表达式", f"改为 ={value[:50]}")
            return None
        return self.compiled(name, value)

    def templated(self, name: str) -> str | Expression:
        """Return a text for people: literal or FEEL."""
        value = self.text(name)
        if value.startswith("="):
            return self.compiled(name, value) or ""
        if "{{" in value:
            cure = '改为 FEEL，如 ="共 " + string(days) + " 天"'
            self.error(name, f"“{name}”使用了模板语法 {{{{ }}}}，这里不支持", cure)
        return value

    def compiled(self, name: str, text: str) -> Expression | None:
        """Return the compiled FEEL of a text that begins with `=`."""
        try:
            return compile_feel(text[1:])
        except FeelError as error:
            self.error(name, f"“{name}”的 FEEL 表达式有误：{error.message}")
            return None

    def choice(self, name: str, choices: Collection[str], default: str) -> str:
        """Return one of the texts that are allowed."""
        value = self.text(name, default)
        if value not in choices:
            self.error(name, f"“{name}”的值“{value[:50]}”不认识", f"可用：{'、'.join(sorted(choices))}")
            return default
        return value

    def object(self, name: str) -> "Reader":
        """Return an object; an empty one when it's absent."""
        value = self.take(name)
        if value is not None and not isinstance(value, dict):
            self.error(name, f"“{name}”应为对象")
            value = None
        return Reader(value or {}, f"{self.place}.{name}".strip("."), self.report)

    def items(self, name: str, limit: int) -> list[Any]:
        """Return a list of at most `limit` elements; an empty one when it's absent."""
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > limit:
            self.error(name, f"“{name}”应为至多 {limit} 项的列表")
            return []
        return value

    def finish(self, ignored: Collection[str] = (), *, strict: bool = False) -> None:
        """Report the properties that nobody took: they would be ignored without a word."""
        for name in self._left:
            if name in ignored:
                continue
            place = f"{self.place}.{name[:50]}".strip(".")
            if strict:
                self.report.error(place, f"属性“{name[:50]}”不认识", "检查拼写，或删去")
            else:
                self.report.warn(place, f"属性“{name[:50]}”不认识，会被忽略", "检查拼写，或删去")


def _short(value: object) -> str:
    # An integer of thousands of digits must not be turned to text.
    return "9" * 41 if isinstance(value, int) and abs(value) > 10**16 else str(value)
