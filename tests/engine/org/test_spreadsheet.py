"""Workbooks are read within limits and written without formulas."""

import io
import zipfile
from collections.abc import Callable

import pytest
from openpyxl import Workbook, load_workbook

from engine.errors import Invalid
from engine.org import spreadsheet
from engine.org.spreadsheet import LOST_DIGITS, read_workbook, write_workbook


def workbook(*rows: list[object], title: str = "人员") -> bytes:
    """Return a workbook of one sheet as Excel writes it."""
    book = Workbook()
    sheet = book.worksheets[0]
    sheet.title = title
    for row in rows:
        sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def altered(content: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    """Return the archive with each part changed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as source, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        for part in source.infolist():
            target.writestr(part.filename, change(part.filename, source.read(part)))
    return buffer.getvalue()


def in_sheet(old: bytes, new: bytes) -> Callable[[str, bytes], bytes]:
    """Replace bytes in the sheet's XML."""

    def change(name: str, data: bytes) -> bytes:
        if name != "xl/worksheets/sheet1.xml":
            return data
        assert old in data
        return data.replace(old, new, 1)

    return change


def code(content: bytes) -> str:
    """Return the code with which a workbook is refused."""
    with pytest.raises(Invalid) as refusal:
        read_workbook(content, ["人员"])
    return refusal.value.code


def test_numbers_come_as_they_are_shown() -> None:
    content = workbook([13800000001, 13800000001.0, 1.5, "  001 ", None, True, 123456789012345, 1234567890123456])
    assert read_workbook(content, ["人员"]) == {
        "人员": [(1, ["13800000001", "13800000001", "1.5", "001", "", "True", "123456789012345", LOST_DIGITS])]
    }


def test_rows_keep_their_numbers_and_other_sheets_are_left_out() -> None:
    content = workbook([], ["甲"], [], ["乙"])
    assert read_workbook(content, ["人员"]) == {"人员": [(2, ["甲"]), (4, ["乙"])]}
    assert read_workbook(content, ["部门"]) == {}


def test_what_is_written_is_text_and_no_formula() -> None:
    values: list[str | int] = ["=1+1", "+86", "-1", "@SUM(A1)", "00123", 7]
    content = write_workbook({"人员": ({"列": 10}, [[value] for value in values])}, ["说明=1"])
    sheet = load_workbook(io.BytesIO(content))["人员"]
    cells = [row[0] for row in sheet.iter_rows(min_row=2)]
    assert [(cell.value, cell.data_type, cell.number_format) for cell in cells] == [
        (str(value), "s", "@") for value in values
    ]
    assert sheet.column_dimensions["A"].number_format == "@"
    assert [row for _, row in read_workbook(content, ["人员"])["人员"]] == [["列"], *([str(v)] for v in values)]


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600])
def test_not_a_workbook(content: bytes) -> None:
    assert code(content) == "workbook_unreadable"


def test_every_truncation_is_refused() -> None:
    content = workbook(["甲"])
    assert {code(content[:length]) for length in range(0, len(content) - 1, 97)} == {"workbook_unreadable"}


def test_another_archive_is_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    assert code(buffer.getvalue()) == "workbook_unreadable"


@pytest.mark.parametrize(
    "change",
    [
        in_sheet(b"<worksheet", b'<!DOCTYPE x [<!ENTITY a "b">]><worksheet'),
        in_sheet(b"<sheetData>", b"<sheetData>&undefined;"),
        in_sheet(b'r="A1"', b'r="$A$1"'),
        in_sheet(b'r="A1"', b'r="AAAA1"'),
        in_sheet(b'<row r="1"', b'<row r="x"'),
        in_sheet(b"</sheetData>", b""),
        lambda name, data: data.decode().encode("utf-16") if name.endswith("sheet1.xml") else data,
    ],
)
def test_hostile_or_broken_xml_is_refused(change: Callable[[str, bytes], bytes]) -> None:
    assert code(altered(workbook(["甲"]), change)) == "workbook_unreadable"


@pytest.mark.parametrize(
    "change",
    [
        # calamine allocates the whole rectangle up to the outermost cell
        in_sheet(b'r="A1"', b'r="XFD1048576"'),
        in_sheet(b'r="A1"', b'r="A20001"'),
        in_sheet(b'r="A1"', b'r="ZZ1"'),
        in_sheet(b'<row r="1"', b'<row r="999999999"'),
        in_sheet(b"<sheetData>", b"<sheetData>" + b"<row/>" * 20_001),
        in_sheet(b"</row>", b"<c/>" * 60 + b"</row>"),
    ],
)
def test_cells_far_out_are_refused(change: Callable[[str, bytes], bytes]) -> None:
    assert code(altered(workbook(["甲"]), change)) == "workbook_too_large"


def test_endless_text_is_refused() -> None:
    assert code(workbook(["长" * 501])) == "workbook_too_large"


def test_zip_bomb_is_refused() -> None:
    bomb = altered(workbook(["甲"]), in_sheet(b"<sheetData>", b"<!--" + b" " * 60 * 2**20 + b"--><sheetData>"))
    assert len(bomb) < 100_000
    assert code(bomb) == "workbook_too_large"


def test_a_lie_about_the_size_is_refused() -> None:
    content = bytearray(workbook(["甲"]))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    at = content.rindex(size.to_bytes(4, "little"), 0, content.rindex(b"xl/worksheets/sheet1.xml"))
    content[at : at + 4] = (size - 50).to_bytes(4, "little")
    assert code(bytes(content)) == "workbook_unreadable"


def test_pictures_are_not_looked_at() -> None:
    buffer = io.BytesIO(workbook(["甲"]))
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", b" " * 60 * 2**20)
    assert read_workbook(buffer.getvalue(), ["人员"]) == {"人员": [(1, ["甲"])]}


def test_a_huge_upload_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheet, "MAX_FILE", 10)
    assert code(workbook(["甲"])) == "workbook_too_large"
