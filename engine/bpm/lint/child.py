"""The real parse of checked files, in a process of its own: SpiffWorkflow's parser can hang, recurse or crash.

`python -m engine.bpm.lint.child` reads JSON `{path: text}` from standard input and answers one JSON object on standard
output: `{}` when the engine can load the files, else `{message}`.
"""

import json
import os
import resource
import signal
import subprocess  # nosec B404
import sys
from collections.abc import Mapping
from pathlib import Path

from engine.bpm.lint.finding import Finding
from engine.errors import Invalid

SECONDS = 10
"""Time for one parse, both on the clock and of the processor."""
MEMORY = 1024 * 1024 * 1024
"""Address space of one parse in bytes."""

_ROOT = Path(__file__).resolve().parents[3]
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")  # nothing secret reaches the child
_MAIN = "process.bpmn"


def load_findings(files: Mapping[str, str], *, seconds: float = SECONDS) -> list[Finding]:
    """Return what the engine refuses of files that the linter has found in order: no finding or one."""
    command = [sys.executable, "-m", "engine.bpm.lint.child"]
    try:
        # A fixed command: the files go over standard input.
        done = subprocess.run(  # nosec B603
            command,
            input=json.dumps(dict(files)).encode(),
            capture_output=True,
            timeout=seconds,
            cwd=_ROOT,
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [
            _finding("load_timeout", f"引擎读这个流程超过了 {seconds:g} 秒", "减少节点、嵌套和分支，或拆成几个流程")
        ]
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        return [
            _finding(
                "load_crashed",
                f"引擎读这个流程时中止（{_cause(done.returncode)}）",
                "减少节点、嵌套和分支；仍不行请把文件交给系统管理员",
            )
        ]
    return refused(answer)


def refused(answer: Mapping[str, str]) -> list[Finding]:
    """Return the finding that an answer of `loaded` stands for, if any."""
    if "message" in answer:
        return [_finding("load_refused", str(answer["message"]), "按提示改正该处，再检查一次")]
    return []


def loaded(files: Mapping[str, str]) -> dict[str, str]:
    """Load the files with the engine's own parser and return the answer: `{}`, or `{message}` where it refuses them."""
    from engine.bpm import runtime  # under the limits too

    try:
        runtime.load(files)
    except Invalid as error:
        return {"message": error.message}
    except MemoryError:
        return {"message": "引擎读这个流程时内存不足，请减少节点和嵌套"}
    return {}


def _finding(code: str, message: str, cure: str) -> Finding:
    return Finding(_MAIN, None, None, None, "error", code, message.rstrip("。"), cure)


def _cause(code: int) -> str:
    if code < 0:
        try:
            return f"信号 {signal.Signals(-code).name}"
        except ValueError:
            return f"信号 {-code}"
    return f"退出码 {code}"


def main() -> None:
    """Load the files given on standard input and answer on standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = json.load(sys.stdin)
    # Whatever a library prints must not pass for the answer.
    answer, sys.stdout = os.fdopen(os.dup(sys.stdout.fileno()), "w"), sys.stderr
    json.dump(loaded(files), answer)
    answer.close()


if __name__ == "__main__":
    main()
