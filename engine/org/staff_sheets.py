"""The staff workbook read and checked on its own: rows with typed values, and every mistake with its place."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.errors import Invalid
from engine.org import staff_template as template
from engine.org.pinyin import is_reading
from engine.org.spreadsheet import LOST_DIGITS, Row, read_workbook
from engine.org.staff_template import DEPARTMENTS, PEOPLE

_MOST_SHOWN = 200

Problem = dict[str, Any]  # place, sheet, row, column, message


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a sheet: its number as Excel shows it and the typed values of the columns that are there."""

    sheet: str
    number: int
    values: dict[str, Any]

    def problem(self, column: str, message: str) -> Problem:
        """Describe a mistake in one cell of this row."""
        return _problem(self.sheet, self.number, column, message)


@dataclass(slots=True)
class Sheets:
    """Both sheets, keyed by department code and staff number, with the mistakes found so far."""

    departments: dict[str, Line] = field(default_factory=dict)
    people: dict[str, Line] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse_problems(self) -> None:
        """Raise Invalid with all mistakes (the first 200), row after row, where there are any."""
        if not self.problems:
            return
        found = sorted(self.problems, key=lambda each: (each["sheet"] == PEOPLE, each["row"]))
        self.problems = []
        first = found[0]
        raise Invalid(
            f"文件有 {len(found)} 处错误，没有导入任何内容。第一处：{first['place']}，{first['message']}",
            code="staff_file_invalid",
            errors=found[:_MOST_SHOWN],
        )


def read(content: bytes) -> Sheets:
    """Read a staff workbook (xlsx): mistakes in cells are collected in `problems`.

    Raises Invalid where the file can't be read or a sheet or column is missing.
    """
    tables = read_workbook(content, (DEPARTMENTS, PEOPLE))
    sheets = Sheets()
    places = {sheet: _places(sheets, sheet, tables.get(sheet, [])) for sheet in (DEPARTMENTS, PEOPLE)}
    sheets.refuse_problems()
    sheets.departments, sheets.people = (
        _lines(sheets, sheet, tables[sheet][1:], places[sheet]) for sheet in (DEPARTMENTS, PEOPLE)
    )
    return sheets


def _problem(sheet: str, row: int, column: str, message: str) -> Problem:
    place = f"{sheet} 第 {row} 行" + (f" {column}" if column else "")
    return {"place": place, "sheet": sheet, "row": row, "column": column, "message": message}


def _places(sheets: Sheets, sheet: str, rows: list[Row]) -> dict[str, int]:
    """Return where each known column stands."""
    if not rows:
        sheets.problems.append(_problem(sheet, 1, "", "缺少这张工作表或它的列名，请从模板开始填写"))
        return {}
    heading, headings = rows[0]
    for name in template.COLUMNS[sheet]:
        if name not in headings and name in template.REQUIRED[sheet]:
            sheets.problems.append(_problem(sheet, heading, name, "缺少这一列，请从模板开始填写"))
        if headings.count(name) > 1:
            sheets.problems.append(_problem(sheet, heading, name, "这一列出现了两次，请删去一列"))
    return {name: headings.index(name) for name in template.COLUMNS[sheet] if name in headings}


def _lines(sheets: Sheets, sheet: str, rows: list[Row], places: dict[str, int]) -> dict[str, Line]:
    required = template.REQUIRED[sheet]
    key = required[0]
    lines: dict[str, Line] = {}
    for number, cells in rows:
        texts = {name: cells[at] if at < len(cells) else "" for name, at in places.items()}
        if not any(texts.values()) or texts[key].startswith(template.EXAMPLE):
            continue
        line = Line(sheet, number, {})
        for name, text in texts.items():
            try:
                line.values[name] = _value(name, text, required=name in required)
            except ValueError as error:
                sheets.problems.append(line.problem(name, str(error)))
        if (code := line.values.get(key)) in lines:
            sheets.problems.append(line.problem(key, f"“{code}”与第 {lines[code].number} 行重复"))
        elif code:
            lines[code] = line
    return lines


def _value(column: str, text: str, *, required: bool) -> Any:
    if text == LOST_DIGITS:
        raise ValueError("数字超过 15 位，Excel 已改变末尾几位，请把这一列设为文本后重新填写")
    if not text.isprintable():
        raise ValueError("含有换行或不可见字符，请删去")
    if required and not text:
        raise ValueError("必填")
    return _KINDS_OF_VALUE[column](text)


def _code(text: str, most: int = 20) -> str:
    if text and not re.fullmatch(rf"[A-Za-z0-9_-]{{1,{most}}}", text):
        raise ValueError(f"“{text[:40]}”不正确，只能用字母、数字、- 和 _，最多 {most} 个")
    return text


def _department_code(text: str) -> str:
    return _code(text, 40)


def _short(most: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        if len(text) > most:
            raise ValueError(f"超过 {most} 个字")
        return text

    return check


def _name(text: str) -> str:
    # 张 三 is often typed with a space so that it lines up with three-character names
    return _short(40)(text if text.isascii() else "".join(text.split()))


def _kind(text: str) -> str:
    if text and text not in template.KINDS:
        raise ValueError(f"“{text[:40]}”不正确，请填 {'、'.join(template.KINDS)}")
    return template.KINDS[text] if text else ""


def _number(text: str) -> int | None:
    if text and not re.fullmatch(r"[0-9]{1,6}", text):
        raise ValueError(f"“{text[:40]}”不是 0 到 999999 的整数")
    return int(text) if text else None


def _disabled(text: str) -> bool:
    if text not in ("", template.ACTIVE, template.DISABLED):
        raise ValueError(f"“{text[:40]}”不正确，请填 {template.ACTIVE} 或 {template.DISABLED}")
    return text == template.DISABLED


def _mobile(text: str) -> str:
    plain = re.sub(r"[ -]", "", text)
    if plain and not re.fullmatch(r"\+?[0-9]{5,18}", plain):
        raise ValueError(f"“{text[:40]}”不是电话号码")
    return plain


def _email(text: str) -> str:
    if text and (len(text) > 120 or not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>.]+", text)):
        raise ValueError(f"“{text[:40]}”不是邮箱地址")
    return text


def _memberships(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in re.split("[;；]", text))):
        code, _, post = part.replace("：", ":").partition(":")
        found[_department_code(code.strip())] = _short(40)(post.strip())
    return found


def _reading(text: str) -> str:
    if text and not is_reading(text):
        raise ValueError("请填音节，之间用空格，例如 zeng wei，最多 60 个字母")
    return text


_KINDS_OF_VALUE: dict[str, Callable[[str], Any]] = {
    "部门编码": _department_code,
    "部门名称": _short(80),
    "部门类别": _kind,
    "上级部门编码": _department_code,
    "负责人工号": _code,
    "分管院领导工号": _code,
    "排序": _number,
    "状态": _disabled,
    "工号": _code,
    "姓名": _name,
    "岗位": _short(40),
    "直接上级工号": _code,
    "手机": _mobile,
    "邮箱": _email,
    "兼职": _memberships,
    "姓名拼音": _reading,
}
