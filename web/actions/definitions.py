"""What designers do with processes (流程定义): upload a version, suspend, resume."""

import io
import zipfile

from fastapi import Response

from engine.bpm import definitions
from engine.errors import Invalid
from web.pages.definitions import definitions_page
from web.session import Post, Posted, Router

router = Router()


@router.post("/definitions")
def upload(call: Posted) -> Response:
    """Deploy the files of a process as its newest version (部署), after the checks; findings are shown."""
    call.or_else(definitions_page)
    version = definitions.deploy(call.session, call.actor, _files(call), note=call.text("note")[:400])
    return call.go(f"/definitions/{version.key}?done=deploy")


@router.post("/definitions/{key}/suspend")
def suspend(call: Posted, key: str) -> Response:
    """Let nobody start a process for now (停用), or again (启用); what runs goes on."""
    call.or_else(definitions_page)
    suspended = call.text("suspended") == "1"
    definitions.suspend(call.session, call.actor, key, suspended=suspended)
    return call.go(f"/definitions/{key}?done={'suspend' if suspended else 'resume'}")


def _files(call: Post) -> dict[str, str | bytes]:
    """Return the uploaded files by their paths: a zip of a process folder, or its files one by one. Raises Invalid."""
    found: dict[str, str | bytes] = {}
    for _, upload in call.uploads():
        name = (upload.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
        upload.file.seek(0)
        content = upload.file.read(definitions.MAX_BYTES + 1)
        if len(content) > definitions.MAX_BYTES:
            raise Invalid(f"文件“{name}”太大，最多 4 MB", code="files_too_large")
        if name.endswith(".zip"):
            found |= _unzipped(content)
        elif name.endswith(".json"):
            found[f"forms/{name}"] = content
        else:
            found["process.bpmn" if name.endswith(".bpmn") and "process.bpmn" not in found else name] = content
    if not found:
        raise Invalid("请选择流程文件：process.bpmn 和表单，或整个文件夹的 zip", code="bpmn_missing")
    return found


def _unzipped(content: bytes) -> dict[str, str | bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir() and "__MACOSX" not in e.filename]
            if len(entries) > definitions.MAX_FILES or sum(e.file_size for e in entries) > definitions.MAX_BYTES:
                raise Invalid("压缩包里的文件太多或太大：最多 100 个文件，合计 4 MB", code="files_too_large")
            names = [entry.filename for entry in entries]
            top = next((n.removesuffix("process.bpmn") for n in names if n.endswith("process.bpmn")), "")
            return {
                entry.filename.removeprefix(top): archive.read(entry)
                for entry in entries
                if entry.filename.startswith(top)
            }
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise Invalid("压缩包打不开，请重新压缩为普通 zip（不加密）", code="zip_broken") from error
