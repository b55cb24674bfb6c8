"""What a ZIP file says of itself, read from its central directory (APPNOTE.TXT 6.3) without unpacking anything.

Stricter than unpackers are: what two of them could read differently is refused.
"""

import mmap
import struct
from dataclasses import dataclass

MAX_ENTRIES = 10_000
MAX_TOTAL = 1 << 30  # bytes unpacked
HARMLESS_TOTAL = 100 << 20  # bytes unpacked, below which the ratio doesn't matter
MAX_RATIO = 100  # bytes unpacked for each byte of the file

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_CENTRAL, _LOCAL = b"PK\x01\x02", b"PK\x03\x04"
_END_SIZE, _CENTRAL_SIZE, _LOCAL_SIZE = 22, 46, 30
_LONGEST_COMMENT = 0xFFFF


class BadArchive(Exception):
    """The directory is damaged or contradicts the file."""


class Bomb(Exception):
    """Unpacked, the file would be far too large."""


@dataclass(frozen=True, slots=True)
class _Entry:
    name: bytes
    offset: int
    packed: int
    unpacked: int


def ends_as_archive(content: bytes | mmap.mmap) -> bool:
    """Whether an unpacker, which looks from the end, would take the file for a ZIP archive."""
    return _find_end(content) is not None


def names(content: bytes | mmap.mmap) -> set[bytes]:
    """Return the names of all entries. Raises BadArchive, or Bomb beyond the limits above."""
    start, size, count = _directory(content)
    if count > MAX_ENTRIES:
        raise Bomb
    entries = list(_entries(content, start, size, count))
    _check_places(content, entries, start)
    total = sum(entry.unpacked for entry in entries)
    if total > MAX_TOTAL or (total > HARMLESS_TOTAL and total > MAX_RATIO * len(content)):
        raise Bomb
    return {entry.name.replace(b"\\", b"/") for entry in entries}


def _find_end(content: bytes | mmap.mmap) -> int | None:
    """The end record is followed by its comment and nothing else."""
    position = len(content)
    lowest = max(0, position - _END_SIZE - _LONGEST_COMMENT)
    while (position := content.rfind(_END, lowest, position)) >= 0:
        record = content[position : position + _END_SIZE]
        if len(record) == _END_SIZE and position + _END_SIZE + struct.unpack("<H", record[20:])[0] == len(content):
            return position
    return None


def _directory(content: bytes | mmap.mmap) -> tuple[int, int, int]:
    """Return start and size in bytes and the number of entries of the central directory."""
    end = _find_end(content)
    if end is None:
        raise BadArchive
    disk, first_disk, here, count, size, start = struct.unpack("<HHHHII", content[end + 4 : end + 20])
    if content[max(0, end - 20) : end][:4] == _LOCATOR64:
        end = struct.unpack("<Q", content[end - 12 : end - 4])[0]
        record = content[end : end + 56]
        if len(record) < 56 or record[:4] != _END64:
            raise BadArchive
        disk, first_disk, here, count, size, start = struct.unpack("<IIQQQQ", record[16:56])
    if disk or first_disk or here != count or start + size != end:
        raise BadArchive
    return start, size, count


def _entries(content: bytes | mmap.mmap, start: int, size: int, count: int) -> list[_Entry]:
    entries, position = [], start
    for _ in range(count):
        header = content[position : position + _CENTRAL_SIZE]
        if len(header) < _CENTRAL_SIZE or header[:4] != _CENTRAL:
            raise BadArchive
        packed, unpacked, name_size, extra_size, comment_size = struct.unpack("<IIHHH", header[20:34])
        offset = struct.unpack("<I", header[42:46])[0]
        name_end = position + _CENTRAL_SIZE + name_size
        extra = content[name_end : name_end + extra_size]
        unpacked, packed, offset = _widened(extra, unpacked, packed, offset)
        entries.append(_Entry(content[position + _CENTRAL_SIZE : name_end], offset, packed, unpacked))
        position = name_end + extra_size + comment_size
    if position != start + size:
        raise BadArchive
    return entries


def _widened(extra: bytes, *values: int) -> list[int]:
    """Take values that don't fit into 32 bits from the ZIP64 field (header 0x0001), in their fixed order."""
    wide, position = b"", 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack("<HH", extra[position : position + 4])
        if kind == 1:
            wide = extra[position + 4 : position + 4 + size]
        position += 4 + size
    result = []
    for value in values:
        if value == 0xFFFFFFFF:
            if len(wide) < 8:
                raise BadArchive
            value, wide = struct.unpack("<Q", wide[:8])[0], wide[8:]
        result.append(value)
    return result


def _check_places(content: bytes | mmap.mmap, entries: list[_Entry], end: int) -> None:
    """Entries lie one after the other, from the file's first byte on: overlapping ones make the densest bombs."""
    position = 0
    for entry in sorted(entries, key=lambda found: found.offset):
        if entry.offset < position or content[entry.offset : entry.offset + 4] != _LOCAL:
            raise BadArchive
        position = entry.offset + _LOCAL_SIZE + len(entry.name) + entry.packed
    if position > end or (entries and content[:4] != _LOCAL):
        raise BadArchive
