"""Files as people attach them, and files that pretend to be something else."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable


def zipped(*entries: str | tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive of these entries, names alone or with their content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1) as file:
        for entry in entries:
            file.writestr(*((entry, b"<x/>") if isinstance(entry, str) else entry))
    return buffer.getvalue()


Content = bytes | Callable[[], bytes]  # what takes long to make is made by the test that sends it


def made(content: Content) -> bytes:
    """Return a file's content."""
    return content() if callable(content) else content


def ole(stream: str) -> bytes:
    """What a compound file with this stream looks like."""
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1016) + stream.encode("utf-16-le") + bytes(512)


def png() -> bytes:
    """A picture of one pixel."""

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
    """Replace bytes from `start` on."""
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
    """An archive of so many tiny entries."""
    return zipped(*(f"{n}" for n in range(count)), method=zipfile.ZIP_STORED)


BAD: dict[str, tuple[str, Content, str]] = {
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
    "zip with something inside it": ("a.zip", ZIP[:-22] + EXE + ZIP[-22:], "attachment_mismatch"),
    "zip cut off": ("a.zip", ZIP[:-10], "attachment_mismatch"),
    "zip without entries": ("a.zip", zipped(), "attachment_mismatch"),
    "two zips": ("a.zip", ZIP + DOCX, "attachment_mismatch"),
    "zip of several disks": ("a.zip", cut(ZIP, len(ZIP) - 18, b"\x01"), "attachment_mismatch"),
    "zip that miscounts": ("a.zip", cut(ZIP, len(ZIP) - 14, b"\x01\x00\x01"), "attachment_mismatch"),
    "overlapping entries": ("a.zip", overlapping(), "attachment_mismatch"),
    "bomb": ("a.zip", lambda: zipped(("zeros", bytes(120 << 20))), "attachment_bomb"),
    "document bomb": ("a.docx", declares(0xFFFFFF00), "attachment_bomb"),
    "too many entries": ("a.zip", lambda: many(10_001), "attachment_bomb"),
    "too many entries, said only": ("a.zip", cut(ZIP, len(ZIP) - 14, b"\xff\xff\xff\xff"), "attachment_bomb"),
    "too large": ("a.txt", b"x" * ((1 << 20) + 1), "attachment_too_large"),
}
