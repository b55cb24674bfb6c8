"""What designers do with processes (流程定义): upload a version, suspend, resume."""

from collections.abc import Mapping

from fastapi import Response, UploadFile

from api.schemas import Key
from api.uploads import process_files
from engine.bpm import definitions
from engine.errors import Invalid
from web.pages.definitions import definitions_page
from web.session import Post, Posted, Router

router = Router()

_FOLDERS = {".bpmn": "called", ".json": "forms", ".dmn": "decisions"}
_WANTED = "主流程 process.bpmn、被调用流程（.bpmn）、表单（.json）、决策表（.dmn），或整个文件夹的 ZIP"


@router.post("/definitions")
def upload(call: Posted) -> Response:
    """Deploy the files of a process as its newest version (部署), after the checks; findings are shown."""
    call.or_else(definitions_page)
    version = definitions.deploy(call.session, call.actor, _files(call), note=call.text("note")[:400])
    if version.findings:
        return definitions_page(call, None, deployed=version)
    return call.go(f"/definitions/{version.key}?done={'deploy' if version.fresh else 'same'}")


@router.post("/definitions/{key}/suspend")
def suspend(call: Posted, key: Key) -> Response:
    """Let nobody start a process for now (停用), or again (启用); what runs goes on."""
    call.or_else(definitions_page)
    suspended = call.text("suspended") == "1"
    definitions.suspend(call.session, call.actor, key, suspended=suspended)
    return call.go(f"/definitions/{key}?done={'suspend' if suspended else 'resume'}")


def _files(call: Post) -> dict[str, bytes]:
    """Return the uploaded files by their paths: a zip of a process folder, or its files one by one. Raises Invalid."""
    sent = [UploadFile(upload.file, filename=upload.filename) for _, upload in call.uploads()]
    if not sent:
        raise Invalid(f"请选择流程文件：{_WANTED}", code="bpmn_missing")
    if len(sent) > 1 and any((upload.filename or "").lower().endswith(".zip") for upload in sent):
        raise Invalid("ZIP 要单独上传：请只选一个 ZIP，或者只选其中的文件", code="zip_and_files")
    return placed(process_files(sent))


def placed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files where a process keeps them: a browser sends names without folders, their endings tell.

    Raises Invalid for what has no place in a process, two files for one place, and where the main diagram isn't clear.
    """
    files = {path: content for path, content in files.items() if not _left_by_systems(path)}
    loose = [path for path in files if "/" not in path and path.lower().endswith(".bpmn")]
    if "process.bpmn" not in files and len(loose) > 1:
        names = "、".join(loose[:5])
        raise Invalid(f"看不出哪个是主流程：{names}。请把主流程的文件名改为 process.bpmn", code="main_unclear")
    main = "process.bpmn" if "process.bpmn" in files else loose[0] if loose else None
    found: dict[str, bytes] = {}
    odd = []
    for path, content in files.items():
        place = "process.bpmn" if path == main else _place(path)
        if place is None:
            odd.append(path)
        elif place in found:
            raise Invalid(f"文件“{place}”有两份，请只保留一份", code="file_twice")
        else:
            found[place] = content
    if odd:
        names = "、".join(f"“{path[:60]}”" for path in odd[:5]) + (f"等 {len(odd)} 个文件" if len(odd) > 5 else "")
        raise Invalid(f"流程里没有地方放{names}。只收{_WANTED}", code="file_path")
    return found


def _place(path: str) -> str | None:
    """Return where a file that isn't the main diagram belongs, None for nowhere."""
    if path in definitions.BESIDE:
        return path
    folder, _, name = path.rpartition("/")
    expected = next((kept for ending, kept in _FOLDERS.items() if name.lower().endswith(ending)), None)
    if expected is None or folder not in ("", expected):
        return None
    return f"{expected}/{name}"


def _left_by_systems(path: str) -> bool:
    return path.startswith("__MACOSX/") or path.rpartition("/")[2] in (".DS_Store", "Thumbs.db")
