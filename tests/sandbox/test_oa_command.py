"""The command `piyue sandbox oa`: what it prints is all that an operator needs to connect a service to it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from engine.settings import ROOT


def printed(folder: Path, kind: str) -> str:
    """Start the stand-in, read what it prints, end it."""
    command = [sys.executable, "-u", "-m", "piyue", "sandbox", "oa", "--port", "0", "--kind", kind]
    given = {"PIYUE_OA_FOLDER": str(folder), "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "PATH": ""}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=given, text=True, encoding="utf-8") as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            if "Ctrl-C" in line:
                break
        running.terminate()
    return "".join(lines)


@pytest.mark.parametrize("kind", ["weaver.rest", "seeyon"])
def test_what_is_printed_is_put_where_the_service_looks(tmp_path: Path, kind: str) -> None:
    told = printed(tmp_path, kind)
    code = kind.replace(".", "")
    assert str(tmp_path / code / "site.toml") in told
    assert "--kind all" in told
    file = tomllib.loads(told.partition("site.toml：\n")[2].partition("\n  ")[0])
    assert file.get("poll", False) == (kind != "seeyon"), "its own items are taken in where it can tell them"
    assert file["sign_on"]["verify"].startswith("/"), "another address is all that changes"
    assert ("没有密码" in told) == ("password" not in file)
