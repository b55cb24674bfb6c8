"""Workbooks (xlsx) in and out: uploads are read defensively, cells are written so that nothing in them is a formula.

calamine reads fast, but it inflates whatever the archive holds and allocates the whole rectangle between the outermost
cells: two cells at the corners of an empty sheet end the process. So the archive's XML parts are copied within a size
limit and looked through before calamine sees them.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from lxml import etree
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import column_index_from_string, get_column_letter
from python_calamine import CalamineError, load_workbook

from engine.errors import Invalid

MAX_FILE = 20 * 1024 * 1024  # bytes as uploaded
MAX_INFLATED = 50 * 1024 * 1024  # bytes of XML, all parts together
MAX_PARTS = 1_000
MAX_ROWS = 20_000
MAX_COLUMNS = 50
MAX_TEXT = 500  # characters in one cell
_EXACT_DIGITS = 15
LOST_DIGITS = "#位数过多"  # in place of a number of more than 15 digits: Excel has already changed the last ones

Row = tuple[int, list[str]]  # number as Excel shows it, texts of the cells
Columns = Mapping[str, int]  # heading: width in characters

_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9][0-9]{0,6})")


def read_workbook(content: bytes, sheets: Collection[str]) -> dict[str, list[Row]]:
    """Return the rows of those of the named sheets that are there: texts stripped, empty rows left out.

    Whole numbers come without ".0"; see LOST_DIGITS. Raises Invalid where the file is no xlsx workbook or exceeds the
    limits above.
    """
    if len(content) > MAX_FILE:
        raise _too_large(f"文件超过 {MAX_FILE // 2**20} MB")
    try:
        workbook = load_workbook(io.BytesIO(_checked_copy(content)))
        return {
            name: _rows(workbook.get_sheet_by_name(name).to_python(skip_empty_area=False))
            for name in workbook.sheet_names
            if name in sheets
        }
    except (zipfile.BadZipFile, zlib.error, EOFError, etree.XMLSyntaxError, CalamineError) as error:
        raise _unreadable() from error
    except (NotImplementedError, RuntimeError, ValueError, OSError) as error:
        # zipfile's answers to encryption, unknown compression and broken headers
        raise _unreadable() from error


def _rows(table: Iterable[Sequence[object]]) -> list[Row]:
    rows = [(number, [_as_text(value) for value in row]) for number, row in enumerate(table, start=1)]
    return [row for row in rows if any(row[1])]


def _as_text(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) >= 10**_EXACT_DIGITS:
            return LOST_DIGITS
        return str(int(value)) if value == int(value) else str(value)
    return str(value).strip()


def _checked_copy(content: bytes) -> bytes:
    """Copy the XML parts uncompressed, within the limits; the sizes in the archive's directory are not believed."""
    left = MAX_INFLATED
    copy = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(copy, "w") as target:
        parts = [part for part in source.infolist() if part.filename.endswith((".xml", ".rels"))]
        names = {part.filename for part in parts}
        if "xl/workbook.xml" not in names or not len(names) == len(parts) <= MAX_PARTS:
            raise _unreadable()
        for part in parts:
            with source.open(part) as stream:
                data = stream.read(left + 1)
            left -= len(data)
            if left < 0:
                raise _too_large(f"文件解压后超过 {MAX_INFLATED // 2**20} MB")
            # the encoding is fixed: calamine must read the same characters as this check
            check: Any = _Check()
            etree.parse(io.BytesIO(data), etree.XMLParser(target=check, encoding="utf-8", **_SAFE))
            target.writestr(part.filename, data)
    return copy.getvalue()


_SAFE: dict[str, Any] = {"resolve_entities": False, "load_dtd": False, "no_network": True, "huge_tree": False}


class _Check:
    """Listens to a parser: no document type, no cell outside the rectangle, no endless text."""

    def __init__(self) -> None:
        self.row = self.column = 0
        self.length: int | None = None  # of the text of the present cell

    def doctype(self, *_names: str | None) -> None:
        raise _unreadable()

    def start(self, tag: Any, attrib: Any) -> None:
        name, reference = tag.rpartition("}")[2], attrib.get("r")
        if name == "row":
            self.column, self.row = 0, int(reference) if reference else self.row + 1
        elif name == "c":
            self.column += 1
            if reference:
                if not (place := _REFERENCE.fullmatch(reference)):
                    raise _unreadable()
                self.column, self.row = column_index_from_string(place[1]), int(place[2])
        if name in ("c", "si"):
            self.length = 0
        if self.row > MAX_ROWS or self.column > MAX_COLUMNS:
            raise _too_large(f"工作表超过 {MAX_ROWS} 行或 {MAX_COLUMNS} 列")

    def end(self, tag: Any) -> None:
        if tag.rpartition("}")[2] in ("c", "si"):
            self.length = None

    def data(self, data: str | bytes) -> None:
        if self.length is not None:
            self.length += len(data)
            if self.length > MAX_TEXT:
                raise _too_large(f"有单元格超过 {MAX_TEXT} 个字")

    def close(self) -> None:
        """Nothing is kept."""


def _unreadable() -> Invalid:
    return Invalid("这不是可以读取的 Excel 文件，请用 Excel 或 WPS 另存为 .xlsx 后再导入", code="workbook_unreadable")


def _too_large(what: str) -> Invalid:
    return Invalid(f"{what}，请删去多余的内容或拆分后再导入", code="workbook_too_large")


def write_workbook(sheets: Mapping[str, tuple[Columns, Iterable[Sequence[str | int]]]], notes: Sequence[str]) -> bytes:
    """Return an xlsx workbook with these sheets and, last, a sheet 填写说明 of notes.

    Every cell is text in a text-formatted column, so that numbers keep their zeros and a value that begins with
    = + - @ stays what it is.
    """
    workbook = Workbook(write_only=True)
    for title, (columns, rows) in sheets.items():
        sheet = workbook.create_sheet(title)
        sheet.freeze_panes = "A2"
        for number, width in enumerate(columns.values(), start=1):
            dimension = sheet.column_dimensions[get_column_letter(number)]
            dimension.width, dimension.number_format = width, "@"
        sheet.append([_heading(sheet, heading) for heading in columns])
        for row in rows:
            sheet.append([_text(sheet, value) for value in row])
    sheet = workbook.create_sheet("填写说明")
    sheet.column_dimensions["A"].width = 110
    for note in notes:
        cell = _text(sheet, note)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        sheet.append([cell])
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def _text(sheet: Any, value: str | int) -> Any:
    cell = WriteOnlyCell(sheet, "")
    cell.value = str(value)
    cell.data_type = "s"  # openpyxl takes a text that begins with = for a formula
    cell.number_format = "@"
    return cell


def _heading(sheet: Any, value: str) -> Any:
    cell = _text(sheet, value)
    cell.font = Font(bold=True)
    cell.fill = PatternFill("solid", fgColor="DDE8F5")
    return cell
