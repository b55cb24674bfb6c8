"""Decisions from files: what a file imports is sought among the .dmn files of its folder."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from engine.bpm.decisions.document import connected, read_model
from engine.bpm.decisions.evaluation import Decisions
from engine.bpm.decisions.model import Element, Key, Model
from engine.errors import Invalid, NotFound

MAX_FILES = 50
"""DMN files that one may import, directly and through others."""


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


def read(files: Mapping[str, str | bytes], path: str) -> Decisions:
    """Return the decisions of one of several files by path, see `load`; imports are sought in the same folder."""
    if path not in files:
        raise NotFound(f"没有文件 {path}", code="dmn_missing")
    folder = PurePosixPath(path).parent
    root = read_model(files[path], path)
    models = {root.namespace: root}
    pending = list(root.imports.values())
    others: dict[str, list[Model]] | None = None
    while pending:
        namespace = pending.pop()
        if namespace in models:
            continue
        if others is None:
            others = _others(files, path, folder)
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
    _refuse_circles(connected(models), root)
    return Decisions(models, root)


def _others(files: Mapping[str, str | bytes], path: str, folder: PurePosixPath) -> dict[str, list[Model]]:
    models: dict[str, list[Model]] = {}
    for other, content in files.items():
        if other != path and other.endswith(".dmn") and PurePosixPath(other).parent == folder:
            try:
                model = read_model(content, other)
            except Invalid:  # another file's fault; whoever needs it is told that it isn't there
                continue
            models.setdefault(model.namespace, []).append(model)
    return models


def _refuse_circles(elements: Mapping[Key, Element], root: Model) -> None:
    """Raise Invalid where decisions require one another in a circle: none of them could ever be evaluated."""
    done: set[Key] = set()
    for start in elements:
        path: list[Key] = []
        stack: list[tuple[Key, bool]] = [(start, False)]
        while stack:
            key, left = stack.pop()
            if left:
                done.add(path.pop())
            elif key in path:
                names = " → ".join(elements[one].name for one in [*path[path.index(key) :], key])
                raise Invalid(f"{root.path}：决策互相依赖，成了环：{names}。请去掉其中一个依赖", code="dmn_circle")
            elif key not in done and key in elements and elements[key].kind == "decision":
                path.append(key)
                stack.append((key, True))
                stack += [(one, False) for one in elements[key].requires]
