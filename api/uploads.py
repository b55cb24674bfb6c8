"""The files of a process as they are sent: one archive, or one part for each file."""

import io
import zipfile
import zlib
from collections.abc import Sequence

from fastapi import UploadFile

from engine.bpm.definitions import MAX_BYTES, MAX_FILES
from engine.errors import Invalid

_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def process_files(uploads: Sequence[UploadFile]) -> dict[str, bytes]:
    """Return the files of a process by path; raises Invalid for a broken, encrypted or oversized archive.

    The sizes that an archive declares aren't believed. A folder that holds everything is left out of the paths.
    """
    if len(uploads) == 1 and (uploads[0].filename or "").lower().endswith(".zip"):
        found = _unpacked(_content(uploads[0]))
    else:
        found = {}
        for upload in uploads:
            path = (upload.filename or "").replace("\\", "/")
            if path in found:
                raise Invalid(f"文件“{path[:100]}”发了两次，请只保留一个", code="file_twice")
            found[path] = _content(upload)
    if sum(map(len, found.values())) > MAX_BYTES:
        raise _too_large()
    return _without_folder(found)


def _content(upload: UploadFile) -> bytes:
    upload.file.seek(0)  # the request may be tried again
    content = upload.file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _too_large()
    return content


def _unpacked(content: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    left = MAX_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES:
                raise _too_large()
            for entry in entries:
                if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _PLAIN:
                    raise Invalid(
                        "压缩包加了密码或用了少见的压缩方式，请用普通 ZIP 重新打包", code="archive_unreadable"
                    )
                if entry.filename in found:
                    raise Invalid(f"文件“{entry.filename[:100]}”在压缩包里有两份", code="file_twice")
                with archive.open(entry) as file:
                    found[entry.filename] = file.read(left + 1)
                left -= len(found[entry.filename])
                if left < 0:
                    raise _too_large()
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError) as error:
        raise Invalid("压缩包已损坏，请重新打包", code="archive_unreadable") from error
    return found


def _without_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    mains = [path for path in files if path.endswith("/process.bpmn")]
    if "process.bpmn" in files or len(mains) != 1:
        return files
    folder = mains[0].removesuffix("process.bpmn")
    return {path.removeprefix(folder): content for path, content in files.items()}


def _too_large() -> Invalid:
    return Invalid(f"文件太多或太大：最多 {MAX_FILES} 个文件，合计 {MAX_BYTES >> 20} MB", code="files_too_large")
