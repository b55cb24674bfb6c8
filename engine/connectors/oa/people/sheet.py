"""The table of accounts (账号对照) as a file: xlsx or CSV in, xlsx out."""

import csv
import io
from collections.abc import Iterable, Iterator

from engine.connectors.oa.people.changing import SHEET, Entry
from engine.connectors.oa.people.lookups import Listed
from engine.errors import Invalid
from engine.org.spreadsheet import MAX_FILE, MAX_ROWS, MAX_TEXT, Columns, Row, read_workbook, write_workbook

NUMBER, ACCOUNT = "工号", "账号"
_COLUMNS: Columns = {NUMBER: 12, "姓名": 12, "部门": 20, ACCOUNT: 30}
_NOTES = (
    "一、工号和账号两列必有，姓名和部门只为核对，不导入。账号是这个人在旧 OA 里的账号。",
    "二、可以重复导入：写在文件里的人更新，没写的保持不变；账号留空即删去这个人的对照。任何一行有错，整个文件都不导入。",
    "三、请把两列保持为文本格式，以免 Excel 去掉前面的 0。也可以存为 CSV（UTF-8 或 GBK），第一行是列名。",
)


def read(content: bytes) -> list[Entry]:
    """Return the rows of a workbook or of a CSV (UTF-8 or GB 18030) with the columns 工号 and 账号, but for empty ones.

    Raises Invalid where the file can't be read, is too large, or lacks a column.
    """
    rows = read_workbook(content, (SHEET,)).get(SHEET) if content[:2] == b"PK" else list(_csv(content))
    if not rows:
        raise Invalid(f"文件里没有内容，或没有名为“{SHEET}”的工作表，请从导出的表开始填写", code="oa_accounts_empty")
    heading, headings = rows[0]
    for name in (NUMBER, ACCOUNT):
        if headings.count(name) != 1:
            what = "缺少" if name not in headings else "有两个"
            raise Invalid(f"第 {heading} 行{what}列名“{name}”，请从导出的表开始填写", code="oa_accounts_columns")
    number, account = headings.index(NUMBER), headings.index(ACCOUNT)
    found = [Entry(row, _cell(cells, number), _cell(cells, account)) for row, cells in rows[1:]]
    return [entry for entry in found if entry.number or entry.account]


def workbook(rows: Iterable[Listed]) -> bytes:
    """Return entries as a workbook (xlsx) that `read` takes back."""
    cells = ((row.number, row.name, row.department, row.account) for row in rows)
    return write_workbook({SHEET: (_COLUMNS, cells)}, _NOTES)


def _cell(cells: list[str], at: int) -> str:
    return cells[at] if at < len(cells) else ""


def _csv(content: bytes) -> Iterator[Row]:
    if len(content) > MAX_FILE:
        raise Invalid(f"文件超过 {MAX_FILE // 2**20} MB，请拆分后再导入", code="oa_accounts_large")
    try:
        for number, cells in enumerate(csv.reader(io.StringIO(_decoded(content), newline=""), strict=True), start=1):
            if number > MAX_ROWS or any(len(cell) > MAX_TEXT for cell in cells):
                message = f"文件超过 {MAX_ROWS} 行，或有单元格超过 {MAX_TEXT} 个字，请拆分后再导入"
                raise Invalid(message, code="oa_accounts_large")
            texts = [cell.strip() for cell in cells]
            if any(texts):
                yield number, texts
    except csv.Error as error:
        raise Invalid("这不是可以读取的 CSV 文件，请用 Excel 或 WPS 另存后再导入", code="oa_accounts_csv") from error


def _decoded(content: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise Invalid("文件的编码读不出来，请另存为 UTF-8 的 CSV 或 xlsx 后再导入", code="oa_accounts_csv")
