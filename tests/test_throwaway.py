"""Folders that a run throws away: gone with their block, and after kill -9 with the next run; nobody else's are."""

import subprocess
import sys
from pathlib import Path

from engine.settings import ROOT
from tests import throwaway

_OWNER = """
import pathlib, sys, time
from tests import throwaway
with throwaway.folder("sqlite", pathlib.Path(sys.argv[1])) as made:
    (made / "template.db").write_text("rows")
    print(made, flush=True)
    time.sleep(600)
"""


def test_a_folder_goes_with_its_block(tmp_path: Path) -> None:
    with throwaway.folder("postgres", tmp_path) as made:
        (made / "log").write_text("ready")
        throwaway.sweep(tmp_path)
        assert (made / "log").read_text() == "ready", "its owner lives"
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        left = Path(owner.stdout.readline().strip())
        throwaway.sweep(tmp_path)
        assert (left / "template.db").exists(), "its owner lives"
        owner.kill()
    others = [f"piyue-sqlite-{name}" for name in ("wt7r8_g9", "0-x", f"{owner.pid}", f"{owner.pid}-x.db")]
    for name in (*others, f"else-sqlite-{owner.pid}-x"):
        (tmp_path / name).mkdir()
    throwaway.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, f"else-sqlite-{owner.pid}-x"}
