"""Decisions from files: what a file imports is sought among the .dmn files of its folder."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from engine.bpm.decisions.document import connected, read_model
from engine.bpm.decisions.evaluation import Decisions
from engine.bpm.decisions.model import Element, Key, Model
from engine.errors import Invalid, NotFound

MAX_FILES = 50
"""DMN files that one may import, directly and through others."""
MAX_LENGTH = 60_000
"""How long a file may be with its imports (`Model.length`): compiling it takes time."""


def load(path: str | Path) -> Decisions:
    """Return the decisions of a .dmn file; what it imports is sought among the .dmn files of its folder.

    Raises Invalid for what is no DMN file, circles of decisions, and imports that no file or several have; wrong
    expressions are `problems`, and null when evaluated. Standard: DMN 1.1 to 1.5 (OMG formal/24-01-01).
    """
    file = Path(path)
    if not file.is_file():
        raise NotFound(f"没有文件 {file}", code="dmn_missing")
    others = {str(one): one.read_bytes() for one in sorted(file.parent.glob("*.dmn")) if one != file}
    return read({str(file): file.read_bytes(), **others}, str(file))


def read(files: Mapping[str, str | bytes], path: str, *, known: dict[str, Model] | None = None) -> Decisions:
    """Return the decisions of one of several files by path, see `load`; imports are sought in the same folder.

    `known` keeps the models that were read for who reads several of the files.
    """
    known = {} if known is None else known
    if path not in files:
        raise NotFound(f"没有文件 {path}", code="dmn_missing")
    folder = PurePosixPath(path).parent
    root = _model(files, path, known)
    models = {root.namespace: root}
    pending = list(root.imports.values())
    others: dict[str, list[Model]] | None = None
    while pending:
        namespace = pending.pop()
        if namespace in models:
            continue
        if others is None:
            others = _others(files, path, folder, known)
        if namespace not in others:
            raise Invalid(
                f"{path}：导入的模型“{namespace[:120]}”不在同一文件夹的 .dmn 文件里，请一并上传", code="dmn_import"
            )
        if len(others[namespace]) > 1:
            paths = "、".join(model.path for model in others[namespace])
            raise Invalid(f"{path}：导入的模型“{namespace[:120]}”有几个文件：{paths}，请只留一个", code="dmn_import")
        (models[namespace],) = others[namespace]
        if len(models) > MAX_FILES:
            raise Invalid(f"{path}：导入的文件超过 {MAX_FILES} 个", code="dmn_import")
        pending += models[namespace].imports.values()
    if sum(model.length for model in models.values()) > MAX_LENGTH:
        raise Invalid(
            f"{path}：表达式太多太长（连同导入的文件超过 {MAX_LENGTH} 字），请精简", code="dmn_too_large", place=path
        )
    _refuse_circles(connected(models), root)
    return Decisions(models, root)


def _model(files: Mapping[str, str | bytes], path: str, known: dict[str, Model]) -> Model:
    if path not in known:
        known[path] = read_model(files[path], path)
    return known[path]


def _others(
    files: Mapping[str, str | bytes], path: str, folder: PurePosixPath, known: dict[str, Model]
) -> dict[str, list[Model]]:
    models: dict[str, list[Model]] = {}
    for other in files:
        if other != path and other.endswith(".dmn") and PurePosixPath(other).parent == folder:
            try:
                model = _model(files, other, known)
            except Invalid:  # another file's fault; whoever needs it is told that it isn't there
                continue
            models.setdefault(model.namespace, []).append(model)
    return models


def _refuse_circles(elements: Mapping[Key, Element], root: Model) -> None:
    """Raise Invalid where decisions require one another in a circle: none of them could ever be evaluated."""
    done: set[Key] = set()
    for start in elements:
        path: dict[Key, None] = {}  # in order
        stack: list[tuple[Key, bool]] = [(start, False)]
        while stack:
            key, left = stack.pop()
            if left:
                done.add(path.popitem()[0])
            elif key in path:
                names = " → ".join(elements[one].name for one in [*list(path)[list(path).index(key) :], key])
                raise Invalid(f"{root.path}：决策互相依赖，成了环：{names}。请去掉其中一个依赖", code="dmn_circle")
            elif key not in done and key in elements and elements[key].kind == "decision":
                path[key] = None
                stack.append((key, True))
                stack += [(one, False) for one in elements[key].requires]
