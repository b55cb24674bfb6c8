"""House rules that no linter knows, read off the syntax trees; layers are held by import-linter (pyproject.toml).

Each rule is a function from one module to the lines that break it. It is run over the whole source, and over an
example that breaks it, so that a rule which no longer finds anything is noticed.
"""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from engine.bpm.models import IncidentKind

ROOT = Path(__file__).resolve().parents[2]
SERVICE = re.compile(r"(cli|engine|api|web|workers|sandbox)/|piyue\.py$")
MAX_LINES = 500


@dataclass(frozen=True)
class Module:
    """One Python file of the repository."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text, self.path)

    def calls(self) -> Iterator[ast.Call]:
        """All calls in it."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    def public(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
        """What it defines for others."""
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
                if "overload" not in decorators:
                    yield node


def commits(module: Module) -> Iterator[int]:
    """Only Database.unit_of_work ends a transaction, as its session does."""
    allowed: set[int] = set()
    ends = {"engine/db.py": "unit_of_work", "engine/writing.py": "commit"}.get(module.path)
    if ends is not None:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef) and node.name == ends:
                allowed |= {id(inner) for inner in ast.walk(node)}
    for call in module.calls():
        if isinstance(call.func, ast.Attribute) and call.func.attr == "commit" and id(call) not in allowed:
            yield call.lineno


def evaluations(module: Module) -> Iterator[int]:
    """No text is ever run as Python."""
    for call in module.calls():
        if isinstance(call.func, ast.Name) and call.func.id in {"eval", "exec", "compile", "__import__"}:
            yield call.lineno


def queries_without_viewer(module: Module) -> Iterator[int]:
    """Every query of the engine (what takes a session or a batch) says for whom it reads."""
    path = Path(module.path)
    if path.parts[0] != "engine" or "queries" not in (path.stem, *path.parts):
        return
    for node in module.public():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            names = {argument.arg for argument in named}
            if names & {"session", "batch"} and "viewer" not in names:
                yield node.lineno


def undocumented(module: Module) -> Iterator[int]:
    """Public functions and classes of the engine and the API say what they do."""
    if module.path.startswith(("engine/", "api/")):
        yield from (node.lineno for node in module.public() if not ast.get_docstring(node))


def unknown_faults(module: Module) -> Iterator[int]:
    """A fault of the runtime becomes an incident of a kind that pages have words for."""
    for call in module.calls():
        if getattr(call.func, "attr", getattr(call.func, "id", "")) == "RuntimeFault":
            kind = call.args[0] if call.args else None
            if not isinstance(kind, ast.Constant) or kind.value not in set(IncidentKind):
                yield call.lineno


def too_long(module: Module) -> Iterator[int]:
    """A module over 500 lines is split by subject."""
    if len(module.text.splitlines()) > MAX_LINES:
        yield MAX_LINES


EXAMPLES: list[tuple[Callable[[Module], Iterator[int]], Module, list[int]]] = [
    (commits, Module("engine/db.py", "def unit_of_work(s):\n    s.commit()\ndef other(s):\n    s.commit()"), [4]),
    (commits, Module("engine/writing.py", "def commit(s):\n    s.commit()\ndef other(s):\n    s.commit()"), [4]),
    (commits, Module("engine/mail/commands.py", "def unit_of_work(s):\n    s.commit()"), [2]),
    (
        evaluations,
        Module("web/pages/x.py", "re.compile('a')\neval('1')\nexec('1')\ncompile('1', '', 'eval')"),
        [2, 3, 4],
    ),
    (
        queries_without_viewer,
        Module("engine/bpm/queries/boxes.py", "def todo(session): ...\ndef _own(session): ..."),
        [1],
    ),
    (
        queries_without_viewer,
        Module("engine/news/queries.py", "def a(session, viewer): ...\ndef b(batch, *, view): ...\ndef c(x): ..."),
        [2],
    ),
    (
        undocumented,
        Module(
            "api/news.py",
            "def a():\n    '''Do it.'''\ndef b(): ...\nclass C: ...\ndef _d(): ...\n@overload\ndef e(): ...",
        ),
        [3, 4],
    ),
    (
        unknown_faults,
        Module("engine/bpm/runtime/x.py", "RuntimeFault('timer', a)\nruntime.RuntimeFault('typo', a)\nRuntimeFault(b)"),
        [2, 3],
    ),
    (too_long, Module("bench/x.py", "\n" * MAX_LINES), []),
    (too_long, Module("bench/x.py", "\n" * (MAX_LINES + 1)), [MAX_LINES]),
]
RULES = list(dict.fromkeys(rule for rule, _, _ in EXAMPLES))


def repository_files() -> list[Path]:
    """All files that are, or would be, committed."""
    command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    paths = [path for path in repository_files() if path.suffix == ".py"]
    return [Module(path.relative_to(ROOT).as_posix(), path.read_text("utf-8")) for path in paths]


@pytest.mark.parametrize(("rule", "module", "lines"), EXAMPLES)
def test_rule_finds_its_breaches(rule: Callable[[Module], Iterator[int]], module: Module, lines: list[int]) -> None:
    assert sorted(rule(module)) == lines


@pytest.mark.parametrize("rule", RULES)
def test_rule_is_kept(rule: Callable[[Module], Iterator[int]], modules: list[Module]) -> None:
    kept_everywhere = rule is too_long
    judged = [m for m in modules if SERVICE.match(m.path) or (kept_everywhere and not m.path.startswith("alembic/"))]
    assert judged
    assert [f"{module.path}:{line}" for module in judged for line in rule(module)] == [], rule.__doc__


def test_folders_that_must_not_be_packages() -> None:
    """alembic/__init__.py would hide the library of that name, tests/engine/__init__.py the engine."""
    packages = {path.parent.relative_to(ROOT).parts[:1] for path in repository_files() if path.name == "__init__.py"}
    assert packages.isdisjoint({("alembic",), ("tests",), ("bench",)})


def test_lock_files_name_no_registry() -> None:
    """An installation takes packages from wherever its own machine is told to, and checks their hashes."""
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / name).read_text("utf-8").splitlines()
        assert [line for line in lines if "://" in line or line.startswith("-")] == []
        pinned = sum("==" in line for line in lines)
        hashed = sum(line.startswith("    --hash=sha256:") for line in lines)
        assert 0 < pinned <= hashed
    assert '"resolved"' not in (ROOT / "package-lock.json").read_text("utf-8")


def test_no_path_of_one_machine() -> None:
    """Nothing that is committed knows where somebody's copy of the repository lies."""
    private = re.compile(rb"(?<![\w.}/-])/(?:home|root|work|Users)/[\w.-]+")
    found = [
        f"{path.relative_to(ROOT)}: {match.group().decode()}"
        for path in repository_files()
        for match in private.finditer(path.read_bytes())
    ]
    assert found == []
