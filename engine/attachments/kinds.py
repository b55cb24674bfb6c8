"""What may be attached, and whether a file is what its name says.

The extension picks the kind and the content must agree: no sniffing decides what a file is, it can only refuse.
"""

import mmap
import re
from collections.abc import Callable
from dataclasses import dataclass

from engine.attachments.archive import BadArchive, ends_as_archive, names

Content = bytes | mmap.mmap

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP, _RAR, _SEVEN = b"PK\x03\x04", b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c"
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_MARKUP = re.compile(rb"<(!doctype\s+html|html|svg|script|iframe|head|body|\?xml|!entity)\b", re.IGNORECASE)
_HEAD = 1024  # bytes in which viewers look for another kind's mark


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file: what the browser is told, how it is recognised, whether it is shown in the page."""

    mime: str
    recognise: Callable[[Content], bool]
    inline: bool = False
    picture: bool = False
    text: bool = False


def matches(kind: Kind, content: Content) -> bool:
    """Whether content is of the kind and of no other at the same time (polyglots).

    Raises archive.Bomb for ZIP-based files that unpack beyond all measure.
    """
    try:
        zipped = content[:4] == _ZIP  # read strictly, from the first byte to the last
        return kind.recognise(content) and (zipped or kind.text or not _second_face(kind, content))
    except BadArchive:
        return False


def _second_face(kind: Kind, content: Content) -> bool:
    head = content[:_HEAD]
    return (
        _MARKUP.search(head) is not None
        or (kind.mime != "application/pdf" and b"%PDF-" in head)
        or ends_as_archive(content)
        # a picture with an archive behind it (图种)
        or (kind.picture and (content.find(_RAR) >= 0 or content.find(_SEVEN) >= 0))
    )


def _starts(*marks: bytes) -> Callable[[Content], bool]:
    return lambda content: content[:16].startswith(marks)


def _ole(*streams: str) -> Callable[[Content], bool]:
    """A compound file ([MS-CFB]) with one of these streams: .msi is one too, and so is a document with a password."""
    wanted = [stream.encode("utf-16-le") for stream in streams]
    return lambda content: content[:8] == _OLE and any(content.find(stream) >= 0 for stream in wanted)


def _package(folder: bytes) -> Callable[[Content], bool]:
    """An Office Open XML package (ECMA-376 part 2) with its main part in `folder`; no PDF in front of it."""

    def recognise(content: Content) -> bool:
        if content[:4] != _ZIP or b"%PDF-" in content[:_HEAD]:
            return False
        found = names(content)
        return b"[Content_Types].xml" in found and any(name.startswith(folder) for name in found)

    return recognise


def _either(*ways: Callable[[Content], bool]) -> Callable[[Content], bool]:
    return lambda content: any(way(content) for way in ways)


def _ofd(content: Content) -> bool:
    """Open Fixed-layout Document (GB/T 33190)."""
    return content[:4] == _ZIP and b"%PDF-" not in content[:_HEAD] and b"OFD.xml" in names(content)


def _zip(content: Content) -> bool:
    return content[:4] == _ZIP and bool(names(content))


def _media(*brands: bytes) -> Callable[[Content], bool]:
    """ISO base media (ISO/IEC 14496-12): the first box is `ftyp` and names a brand."""
    return lambda content: content[4:8] == b"ftyp" and content[8:12].lower().startswith(brands)


def _webp(content: Content) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def _mp3(content: Content) -> bool:
    """An ID3 tag, or the header of an MPEG layer III frame with a possible bit rate and sampling rate."""
    head = content[:3]
    if head == b"ID3":
        return True
    return (
        len(head) == 3
        and head[0] == 0xFF
        and head[1] & 0xE6 == 0xE2
        and head[2] >> 4 not in (0, 15)
        and head[2] & 0x0C != 0x0C
    )


def _text(content: Content) -> bool:
    """Text in UTF-8, GB 18030 or UTF-16 with its mark, which no browser would take for a page."""
    data = content[:]
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            data = data.decode("utf-16").encode()
        except UnicodeError:
            return False
    if _CONTROLS.search(data) or _MARKUP.match(data.removeprefix(b"\xef\xbb\xbf").lstrip()):
        return False
    for encoding in ("utf-8", "gb18030"):
        try:
            data.decode(encoding)
        except UnicodeError:
            continue
        return True
    return False


_DOC, _XLS, _PPT = _ole("WordDocument"), _ole("Workbook", "Book"), _ole("PowerPoint Document")
_DOCX, _XLSX, _PPTX = _package(b"word/"), _package(b"xl/"), _package(b"ppt/")
_OPENXML = "application/vnd.openxmlformats-officedocument."

KINDS = {
    "pdf": Kind("application/pdf", _starts(b"%PDF-"), inline=True),
    "doc": Kind("application/msword", _DOC),
    "docx": Kind(f"{_OPENXML}wordprocessingml.document", _DOCX),
    "xls": Kind("application/vnd.ms-excel", _XLS),
    "xlsx": Kind(f"{_OPENXML}spreadsheetml.sheet", _XLSX),
    "ppt": Kind("application/vnd.ms-powerpoint", _PPT),
    "pptx": Kind(f"{_OPENXML}presentationml.presentation", _PPTX),
    # WPS Office writes either container under its own extensions
    "wps": Kind("application/wps-office.wps", _either(_DOC, _DOCX)),
    "et": Kind("application/wps-office.et", _either(_XLS, _XLSX)),
    "dps": Kind("application/wps-office.dps", _either(_PPT, _PPTX)),
    "ofd": Kind("application/ofd", _ofd),
    "txt": Kind("text/plain", _text, text=True),
    "csv": Kind("text/csv", _text, text=True),
    "png": Kind("image/png", _starts(b"\x89PNG\r\n\x1a\n"), inline=True, picture=True),
    "jpg": Kind("image/jpeg", _starts(b"\xff\xd8\xff"), inline=True, picture=True),
    "jpeg": Kind("image/jpeg", _starts(b"\xff\xd8\xff"), inline=True, picture=True),
    "gif": Kind("image/gif", _starts(b"GIF87a", b"GIF89a"), inline=True, picture=True),
    "webp": Kind("image/webp", _webp, inline=True, picture=True),
    "heic": Kind("image/heic", _media(b"hei", b"hev", b"mif1", b"msf1"), picture=True),
    "mp4": Kind("video/mp4", _media(b"iso", b"mp4", b"avc1", b"m4v", b"dash", b"3gp")),
    "m4a": Kind("audio/mp4", _media(b"m4a", b"m4b", b"mp4", b"iso")),
    "mp3": Kind("audio/mpeg", _mp3),
    "zip": Kind("application/zip", _zip),
    "rar": Kind("application/vnd.rar", _starts(_RAR)),
    "7z": Kind("application/x-7z-compressed", _starts(_SEVEN)),
}


def picture_extension(content: bytes) -> str | None:
    """Return the extension of a picture that came without a name, None for what is no picture that may be attached."""
    return next((name for name, kind in KINDS.items() if kind.picture and matches(kind, content)), None)
