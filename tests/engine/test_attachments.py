"""Attachments: what comes in, what is refused, who may bind and read, what is cleared away."""

import hashlib
import io
import os
import re
import struct
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic import SecretStr
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import attachments, clock
from engine.attachments import Attachment, names
from engine.bpm.models import Instance, Process, ProcessVersion
from engine.db import Database
from engine.errors import Invalid, NotFound, Unavailable
from engine.org.models import Department, Person
from engine.settings import Settings

NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)


@dataclass
class Somebody:
    """A viewer without roles."""

    person_id: uuid.UUID

    def has(self, *roles: str) -> bool:
        return False


@dataclass
class Ward:
    """Two members of staff and two instances."""

    nurse: Somebody
    head: Somebody
    instance: uuid.UUID
    other: uuid.UUID


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Small files in a folder of the test's own."""
    return Settings(var=tmp_path, attachment_max_mb=1, secret_key=SecretStr("x" * 32))


@pytest.fixture
def ward(session: Session) -> Ward:
    return populate(session)


def populate(session: Session) -> Ward:
    department = Department(code="D1", name="内科", kind="临床")
    session.add(department)
    session.flush()
    people = [Person(staff_number=f"100{n}", name="某某", department_id=department.id) for n in range(2)]
    session.add_all([*people, Process(key="leave", name="请假")])
    session.flush()
    version = ProcessVersion(key="leave", number=1, files=b"", digest="", deployed_at=NOON)
    session.add(version)
    session.flush()
    instances = [
        Instance(
            process_key="leave",
            version_id=version.id,
            title="请假",
            initiator_id=people[0].id,
            department_id=department.id,
            engine_state=b"",
            data=b"",
            started_at=NOON,
        )
        for _ in range(2)
    ]
    session.add_all(instances)
    session.flush()
    return Ward(Somebody(people[0].id), Somebody(people[1].id), instances[0].id, instances[1].id)


# Files


def zipped(*entries: str | tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for entry in entries:
            file.writestr(*((entry, b"<x/>") if isinstance(entry, str) else entry))
    return buffer.getvalue()


def ole(stream: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + stream.encode("utf-16-le") + bytes(512)


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\x00\x00")) + chunk(b"IEND", b"")


def streamed_zip64() -> bytes:
    """As spreadsheet libraries write it when they don't know the sizes in advance: ZIP64 records throughout."""
    names_, data = [b"[Content_Types].xml", b"xl/workbook.xml"], b"<x/>"
    body, central = b"", b""
    for name in names_:
        offset, crc = len(body), zlib.crc32(data)
        wide = struct.pack("<HHQQ", 1, 16, 4, 4)
        body += struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 45, 0, 0, 0, 0, crc, 0xFFFFFFFF, 0xFFFFFFFF, len(name), 20)
        body += name + wide + data
        wide = struct.pack("<HHQQQ", 1, 24, 4, 4, offset)
        big = 0xFFFFFFFF
        central += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 45, 45, 0, 0, 0, 0, crc, big, big, len(name), 28, 0, 0, 0, 0, big
        )
        central += name + wide
    start, end = len(body), len(body) + len(central)
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, len(central), start)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    closing = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return body + central + record + locator + closing


DOCX = zipped("[Content_Types].xml", "word/document.xml")
XLSX = zipped("[Content_Types].xml", "xl/workbook.xml")
PPTX = zipped("[Content_Types].xml", "ppt/presentation.xml")
OFD = zipped("OFD.xml", "Doc_0/Document.xml")
ZIP = zipped("病历.txt", "a/b.txt")
PDF = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< >>\n%%EOF\n"
PNG = png()
JPG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64) + b"\xff\xd9"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
RAR = b"Rar!\x1a\x07\x01\x00" + bytes(64)
SEVEN = b"7z\xbc\xaf\x27\x1c\x00\x04" + bytes(64)
EXE = b"MZ\x90\x00\x03\x00\x00\x00" + bytes(64) + b"PE\x00\x00"
HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'

GOOD = {
    "报告.pdf": (PDF, "application/pdf"),
    "a.doc": (ole("WordDocument"), "application/msword"),
    "a.docx": (DOCX, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    "a.xls": (ole("Workbook"), "application/vnd.ms-excel"),
    "b.xls": (ole("Book"), "application/vnd.ms-excel"),
    "a.xlsx": (XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "streamed.xlsx": (streamed_zip64(), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "a.ppt": (ole("PowerPoint Document"), "application/vnd.ms-powerpoint"),
    "a.pptx": (PPTX, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    "a.wps": (ole("WordDocument"), "application/wps-office.wps"),
    "b.wps": (DOCX, "application/wps-office.wps"),
    "a.et": (ole("Workbook"), "application/wps-office.et"),
    "a.dps": (PPTX, "application/wps-office.dps"),
    "公文.ofd": (OFD, "application/ofd"),
    "utf8.txt": ("通知：请<各科室>按时上报。\r\n".encode(), "text/plain"),
    "gbk.txt": ("通知：请各科室按时上报。\r\n".encode("gb18030"), "text/plain"),
    "utf16.txt": ("通知\r\n".encode("utf-16"), "text/plain"),
    "a.csv": (b"\xef\xbb\xbf" + "姓名,工号\r\n张三,1001\r\n".encode(), "text/csv"),
    "a.png": (PNG, "image/png"),
    "a.JPG": (JPG, "image/jpeg"),
    "a.jpeg": (JPG, "image/jpeg"),
    "a.gif": (GIF, "image/gif"),
    "a.webp": (b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(28), "image/webp"),
    "a.heic": (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(16), "image/heic"),
    "a.mp4": (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(16), "video/mp4"),
    "a.m4a": (b"\x00\x00\x00\x18ftypM4A \x00\x00\x00\x00M4A mp42" + bytes(16), "audio/mp4"),
    "a.mp3": (b"ID3\x04\x00\x00\x00\x00\x00\x00" + bytes(16), "audio/mpeg"),
    "b.mp3": (b"\xff\xfb\x90\x64" + bytes(64), "audio/mpeg"),
    "a.zip": (ZIP, "application/zip"),
    "stored.zip": (zipped(("a.html", HTML), ("b.pdf", PDF), method=zipfile.ZIP_STORED), "application/zip"),
    "a.rar": (RAR, "application/vnd.rar"),
    "a.7z": (SEVEN, "application/x-7z-compressed"),
}


def cut(data: bytes, start: int, new: bytes) -> bytes:
    return data[:start] + new + data[start + len(new) :]


def overlapping() -> bytes:
    """Two entries of the directory share one body: the trick of the densest bombs."""
    data = zipped("aaaa", "bbbb")
    second = data.rfind(b"PK\x01\x02")
    return cut(cut(data, second + 42, bytes(4)), second + 46, b"aaaa")


def declares(size: int, name: str = "word/document.xml") -> bytes:
    """A document whose directory declares an entry of this size in bytes."""
    data = zipped("[Content_Types].xml", name)
    return cut(data, data.rfind(b"PK\x01\x02") + 24, struct.pack("<I", size))


def many(count: int) -> bytes:
    return zipped(*(f"{n}" for n in range(count)), method=zipfile.ZIP_STORED)


BAD: dict[str, tuple[str, bytes, str]] = {
    "html": ("a.html", HTML, "attachment_type"),
    "svg": ("a.svg", SVG, "attachment_type"),
    "script": ("a.js", b"alert(1)", "attachment_type"),
    "program": ("a.exe", EXE, "attachment_type"),
    "macro document": ("a.docm", DOCX, "attachment_type"),
    "no extension": ("README", b"text", "attachment_type"),
    "double extension": ("报告.pdf.exe", PDF, "attachment_type"),
    "hidden extension": ("报告\u202efdp.exe", EXE, "attachment_type"),
    "trailing dot": ("a.exe.", EXE, "attachment_type"),
    "null in the extension": ("a.html\x00.htm", HTML, "attachment_type"),
    "empty": ("a.txt", b"", "attachment_empty"),
    "program as picture": ("a.png", EXE, "attachment_mismatch"),
    "program as text": ("a.txt", EXE, "attachment_mismatch"),
    "page as picture": ("a.png", HTML, "attachment_mismatch"),
    "page as text": ("a.txt", HTML, "attachment_mismatch"),
    "page as text, in space": ("a.csv", b"\xef\xbb\xbf\r\n \t" + SVG, "attachment_mismatch"),
    "page as text in UTF-16": ("a.txt", HTML.decode().encode("utf-16"), "attachment_mismatch"),
    "page as spreadsheet": ("a.xls", b"<html><table></table></html>", "attachment_mismatch"),
    "picture as document": ("a.pdf", PNG, "attachment_mismatch"),
    "document as another": ("a.xlsx", DOCX, "attachment_mismatch"),
    "archive as document": ("a.docx", ZIP, "attachment_mismatch"),
    "installer as document": ("a.doc", ole("Property"), "attachment_mismatch"),
    "locked document": ("a.docx", ole("EncryptedPackage"), "attachment_mismatch"),
    "rich text as document": ("a.doc", b"{\\rtf1 }", "attachment_mismatch"),
    "video as audio of another kind": ("a.mp3", GOOD["a.mp4"][0], "attachment_mismatch"),
    "broken text": ("a.txt", b"\xff\xff\xff text", "attachment_mismatch"),
    "picture and page": ("a.gif", b"GIF89a/*<script>alert(1)</script>*/=1;", "attachment_mismatch"),
    "pdf and page": ("a.pdf", b"%PDF-1.7\n<html><script>alert(1)</script>", "attachment_mismatch"),
    "pdf with something before it": ("a.pdf", b"#!/bin/sh\n" + PDF, "attachment_mismatch"),
    "picture and pdf": ("a.jpg", JPG + PDF, "attachment_mismatch"),
    "picture and zip": ("a.jpg", JPG + ZIP, "attachment_mismatch"),
    "picture and rar": ("a.jpg", JPG + bytes(2000) + RAR, "attachment_mismatch"),
    "picture and 7z": ("a.png", PNG + SEVEN, "attachment_mismatch"),
    "pdf and zip": ("a.pdf", PDF + bytes(2000) + ZIP, "attachment_mismatch"),
    "pdf in a document": (
        "a.docx",
        zipped(("a", PDF), "[Content_Types].xml", "word/document.xml", method=zipfile.ZIP_STORED),
        "attachment_mismatch",
    ),
    "zip with something before it": ("a.zip", EXE + ZIP, "attachment_mismatch"),
    "zip behind a false front": ("a.zip", b"PK\x03\x04" + bytes(64) + ZIP, "attachment_mismatch"),
    "zip with something behind it": ("a.zip", ZIP + b"MZ", "attachment_mismatch"),
    "zip cut off": ("a.zip", ZIP[:-10], "attachment_mismatch"),
    "zip without entries": ("a.zip", zipped(), "attachment_mismatch"),
    "two zips": ("a.zip", ZIP + DOCX, "attachment_mismatch"),
    "zip of several disks": ("a.zip", cut(ZIP, len(ZIP) - 18, b"\x01"), "attachment_mismatch"),
    "zip that miscounts": ("a.zip", cut(ZIP, len(ZIP) - 14, b"\x01\x00\x01"), "attachment_mismatch"),
    "overlapping entries": ("a.zip", overlapping(), "attachment_mismatch"),
    "bomb": ("a.zip", zipped(("zeros", bytes(120 << 20))), "attachment_bomb"),
    "document bomb": ("a.docx", declares(0xFFFFFF00), "attachment_bomb"),
    "too many entries": ("a.zip", many(10_001), "attachment_bomb"),
    "too many entries, said only": ("a.zip", cut(ZIP, len(ZIP) - 14, b"\xff\xff\xff\xff"), "attachment_bomb"),
    "too large": ("a.txt", b"x" * ((1 << 20) + 1), "attachment_too_large"),
}


def stored_files(settings: Settings) -> list[Path]:
    return [path for path in settings.attachments.rglob("*") if path.is_file()]


def receive(session: Session, settings: Settings, who: Somebody, name: str = "a.txt", data: bytes = b"x") -> Attachment:
    return attachments.receive(session, settings, who, name, io.BytesIO(data))


def everybody(_session: Session, _viewer: object, _instance: uuid.UUID) -> bool:
    return True


def nobody(_session: Session, _viewer: object, _instance: uuid.UUID) -> bool:
    return False


# Receiving


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.backend("sqlite")
def test_the_usual_kinds_are_stored_as_they_are(session: Session, settings: Settings, ward: Ward, name: str) -> None:
    data, mime = GOOD[name]
    got = receive(session, settings, ward.nurse, name, data)
    assert (got.name, got.mime, got.size, got.state) == (name, mime, len(data), "staged")
    assert got.sha256 == hashlib.sha256(data).hexdigest()
    attachment, path = attachments.open_for(session, settings, ward.nurse, got.id, nobody)
    assert (attachment.id, path.read_bytes()) == (got.id, data)
    assert stored_files(settings) == [path]


@pytest.mark.parametrize("case", BAD)
@pytest.mark.backend("sqlite")
def test_what_is_refused_leaves_nothing(session: Session, settings: Settings, ward: Ward, case: str) -> None:
    name, data, code = BAD[case]
    with pytest.raises(Invalid, match="附件“") as refused:
        receive(session, settings, ward.nurse, name, data)
    assert refused.value.code == code
    assert stored_files(settings) == []
    assert session.scalars(select(Attachment)).all() == []


@pytest.mark.backend("sqlite")
def test_a_text_file_never_passes_as_a_frame_of_mp3(session: Session, settings: Settings, ward: Ward) -> None:
    for head in (b"\xff\xfe\x41", b"\xff\xff\x90", b"\xff\xfb\xf0", b"\xff\xfb\x9c", b"\xff\xfb"):
        with pytest.raises(Invalid):
            receive(session, settings, ward.nurse, "a.mp3", head)


class Endless(io.RawIOBase):
    """A client that never stops."""

    sent = 0

    def read(self, size: int = -1) -> bytes:
        self.sent += size
        return b"x" * size


@pytest.mark.backend("sqlite")
def test_receiving_stops_at_the_limit(session: Session, settings: Settings, ward: Ward) -> None:
    client = Endless()
    with pytest.raises(Invalid, match="超过 1 MB"):
        attachments.receive(session, settings, ward.nurse, "a.txt", client)  # type: ignore[arg-type]
    assert client.sent <= 2 << 20
    assert stored_files(settings) == []
    exactly = receive(session, settings, ward.nurse, "a.txt", b"x" * (1 << 20))
    assert exactly.size == 1 << 20


class Broken(io.RawIOBase):
    """A client that goes away in the middle."""

    def __init__(self) -> None:
        self.pieces = iter([b"x" * 1000])

    def read(self, size: int = -1) -> bytes:
        for piece in self.pieces:
            return piece
        raise ConnectionResetError


@pytest.mark.backend("sqlite")
def test_a_client_that_goes_away_leaves_nothing(session: Session, settings: Settings, ward: Ward) -> None:
    with pytest.raises(Unavailable):
        attachments.receive(session, settings, ward.nurse, "a.txt", Broken())  # type: ignore[arg-type]
    assert stored_files(settings) == []


@pytest.mark.backend("sqlite")
def test_a_disk_that_refuses_is_said_and_leaves_nothing(session: Session, settings: Settings, ward: Ward) -> None:
    settings.attachments.parent.mkdir(exist_ok=True)
    settings.attachments.write_text("not a folder")
    with pytest.raises(Unavailable, match="磁盘"):
        receive(session, settings, ward.nurse)
    assert session.scalars(select(Attachment)).all() == []


@pytest.mark.backend("sqlite")
def test_paths_hold_nothing_that_the_client_sent(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse, "../../etc/pass wd.txt")
    (path,) = stored_files(settings)
    relative = path.relative_to(settings.attachments)
    assert re.fullmatch(rf"[0-9a-f]{{2}}/[0-9a-f]{{2}}/{got.id}", str(relative))
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd.txt", "passwd.txt"),
        ("C:\\Users\\张三\\桌面\\请假条.docx", "请假条.docx"),
        ("a\x00b\r\nc\x7f.txt", "abc.txt"),
        ("请假\u202excod.pdf", "请假xcod.pdf"),
        ("\u2066a\u2069\u200b\ufeff\u2028.txt", "a.txt"),
        ('<img src=x onerror="1">?*|:.png', "_img src=x onerror=_1______.png"),
        ("  a.pdf . ", "a.pdf"),
        ("...", "附件"),
        (".pdf", "附件.pdf"),
        ("", "附件"),
        ("..", "附件"),
        ("e\u0301.txt", "\u00e9.txt"),
        ("长" * 300 + ".pdf", "长" * 196 + ".pdf"),
        ("a." + "b" * 300, "a." + "b" * 300),
        ("\ud800.txt", "附件.txt"),
    ],
)
def test_names_are_cleaned(sent: str, kept: str) -> None:
    assert names.clean(sent) == kept[:200]
    assert names.clean(names.clean(sent)) == names.clean(sent)


# Binding and reading


def test_my_staged_files_become_part_of_the_instance(session: Session, settings: Settings, ward: Ward) -> None:
    first, second = receive(session, settings, ward.nurse), receive(session, settings, ward.nurse)
    bound = attachments.bind(session, ward.nurse, [second.id, first.id, second.id], ward.instance, None, "proof")
    assert [a.id for a in bound] == [second.id, first.id]
    assert {(a.state, a.instance_id, a.field, a.expires_at) for a in bound} == {("bound", ward.instance, "proof", None)}
    again = attachments.bind(session, ward.head, [first.id], ward.instance, None, "other")
    assert again[0].field == "proof"  # the head sends the form back with what is there


@pytest.mark.parametrize("trick", ["another's", "unknown", "another instance's", "removed"])
def test_nothing_else_can_be_bound(session: Session, settings: Settings, ward: Ward, trick: str) -> None:
    mine = receive(session, settings, ward.nurse)
    target = receive(session, settings, ward.head if trick == "another's" else ward.nurse)
    if trick == "another instance's":
        attachments.bind(session, ward.nurse, [target.id], ward.other, None, "f")
    if trick == "removed":
        attachments.remove(session, ward.nurse, target.id)
    wanted = uuid.uuid4() if trick == "unknown" else target.id
    with pytest.raises(NotFound) as refused:
        attachments.bind(session, ward.nurse, [mine.id, wanted], ward.instance, None, "f")
    assert refused.value.code == "attachment_not_found"
    assert mine.state == "staged"
    assert target.instance_id in (None, ward.other)


def test_files_are_bound_before_their_new_instance_is_written(committed_db: Database, settings: Settings) -> None:
    with committed_db.unit_of_work() as session:
        ward = populate(session)
        got = receive(session, settings, ward.nurse)
        model = session.get_one(Instance, ward.instance)
        new = uuid.uuid4()
        attachments.bind(session, ward.nurse, [got.id], new, None, "f")
        session.flush()
        copied = {c.name: getattr(model, c.name) for c in Instance.__table__.columns}
        session.add(Instance(**copied | {"id": new}))
    with committed_db.reading() as session:
        assert session.get_one(Attachment, got.id).instance_id == new


def test_staged_files_are_their_uploaders_alone(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse)
    with pytest.raises(NotFound):
        attachments.open_for(session, settings, ward.head, got.id, everybody)
    assert attachments.open_for(session, settings, ward.nurse, got.id, nobody)[0] is got


def test_bound_files_are_for_those_who_may_see_the_instance(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse)
    attachments.bind(session, ward.nurse, [got.id], ward.instance, None, "f")
    asked: list[tuple[object, uuid.UUID]] = []

    def may_see(_session: Session, viewer: object, instance_id: uuid.UUID) -> bool:
        asked.append((viewer, instance_id))
        return True

    assert attachments.open_for(session, settings, ward.head, got.id, may_see)[0] is got
    assert asked == [(ward.head, ward.instance)]
    with pytest.raises(NotFound):  # having sent it doesn't suffice
        attachments.open_for(session, settings, ward.nurse, got.id, nobody)
    with pytest.raises(NotFound):
        attachments.open_for(session, settings, ward.nurse, uuid.uuid4(), everybody)


def test_a_file_gone_from_the_disk_is_said(session: Session, settings: Settings, ward: Ward) -> None:
    got = receive(session, settings, ward.nurse)
    attachments.path_of(settings, got.id).unlink()
    with pytest.raises(Unavailable, match="缺失"):
        attachments.open_for(session, settings, ward.nurse, got.id, nobody)


def test_only_my_own_staged_files_can_be_removed(session: Session, settings: Settings, ward: Ward) -> None:
    mine, bound = receive(session, settings, ward.nurse), receive(session, settings, ward.nurse)
    attachments.bind(session, ward.nurse, [bound.id], ward.instance, None, "f")
    for who, id_ in ((ward.head, mine.id), (ward.nurse, bound.id), (ward.nurse, uuid.uuid4())):
        with pytest.raises(NotFound):
            attachments.remove(session, who, id_)
    attachments.remove(session, ward.nurse, mine.id)
    with pytest.raises(NotFound):
        attachments.open_for(session, settings, ward.nurse, mine.id, everybody)
    with pytest.raises(NotFound):
        attachments.remove(session, ward.nurse, mine.id)


@pytest.mark.parametrize(
    ("name", "inline"),
    [("a.pdf", True), ("a.png", True), ("a.jpeg", True), ("a.heic", False), ("a.txt", False), ("a.zip", False)],
)
def test_only_pdf_and_pictures_open_in_the_page(name: str, inline: bool) -> None:
    headers = attachments.download_headers(Attachment(name=name, mime="x/y", size=7))
    assert headers["Content-Disposition"].startswith("inline;" if inline else "attachment;")
    assert (headers["Content-Type"], headers["Content-Length"]) == ("x/y", "7")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["请假 条.pdf", 'a";filename=evil.exe;x=".pdf', "a\\b%41'é.pdf", "🩺.pdf"])
def test_names_survive_the_header_and_cannot_leave_it(name: str) -> None:
    header = names.disposition(name, inline=False)
    found = re.fullmatch(r"attachment; filename=\"([A-Za-z0-9._-]+)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", header)
    assert found is not None
    assert unquote(found[2]) == name
    assert found[1].endswith(".pdf")


# Clearing away


@pytest.fixture
def noon() -> Iterator[Callable[[float], None]]:
    """Hold the clock at noon, and set it to so many hours later."""
    clock.freeze(NOON)
    yield lambda hours: clock.freeze(NOON + timedelta(hours=hours))
    clock.freeze(None)


def test_expired_files_are_deleted_and_bound_ones_stay(
    committed_db: Database, settings: Settings, noon: Callable[[float], None]
) -> None:
    with committed_db.unit_of_work() as session:
        ward = populate(session)
        staged, bound, removed, draft = (receive(session, settings, ward.nurse) for _ in range(4))
        attachments.bind(session, ward.nurse, [bound.id], ward.instance, None, "f")
        attachments.remove(session, ward.nurse, removed.id)
        attachments.keep(session, ward.nurse, [draft.id, bound.id, removed.id], NOON + timedelta(days=30))
        attachments.keep(session, ward.nurse, [draft.id], NOON)  # never shorter
        attachments.keep(session, ward.head, [staged.id], NOON + timedelta(days=30))  # nor by another
    for hours, left in ((0, [staged, bound, draft]), (23.9, [staged, bound, draft]), (24, [bound, draft])):
        noon(hours)
        attachments.purge(committed_db, settings)
        with committed_db.reading() as session:
            assert {a.id for a in session.scalars(select(Attachment))} == {a.id for a in left}
        assert {path.name for path in stored_files(settings)} == {str(a.id) for a in left}
    noon(30 * 24)
    assert attachments.purge(committed_db, settings) == 1
    assert [path.name for path in stored_files(settings)] == [str(bound.id)]


def test_files_without_rows_are_deleted_once_they_are_old(
    committed_db: Database, settings: Settings, noon: Callable[[float], None]
) -> None:
    with committed_db.unit_of_work() as session:
        ward = populate(session)
        known = receive(session, settings, ward.nurse)
    with committed_db.unit_of_work() as session:
        receive(session, settings, ward.nurse)
        session.rollback()  # the transaction fails after the file was stored
    incoming = settings.attachments / "incoming" / str(uuid.uuid4())
    incoming.write_bytes(b"half")
    foreign = settings.attachments / "README.txt"
    foreign.write_bytes(b"not ours")
    for path in stored_files(settings):
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    noon(23.9)
    assert attachments.purge_files(committed_db, settings) == 0
    noon(24.1)
    assert attachments.purge_files(committed_db, settings) == 2
    assert set(stored_files(settings)) == {attachments.path_of(settings, known.id), foreign}
