"""Programs of ours that a bench runs beside itself, and waiting for what they do."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.settings import ROOT

PATIENCE = 120.0


@contextmanager
def program(*arguments: str, environment: dict[str, str], errors: Path) -> Iterator[int]:
    """Run a command of `piyue` until the block ends; gives its process id."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PIYUE_")}
    command: list[str | Path] = [sys.executable, ROOT / "piyue.py", *arguments]
    with errors.open("wb") as told:
        process = subprocess.Popen(command, env=inherited | environment, cwd=ROOT, stdout=told, stderr=told)
    try:
        yield process.pid
        if process.poll() is not None:
            raise SystemExit(f"piyue {arguments[0]} ended: {errors.read_text('utf-8')[-2000:]}")
    finally:
        process.terminate()
        process.wait(PATIENCE)


def until(what: str, asked: Callable[[], object]) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            asked_for = asked()
        except OSError:
            asked_for = None
        if asked_for not in (None, False):
            return
        time.sleep(0.05)
    raise SystemExit(f"{what}: waited for {PATIENCE:.0f} s")
