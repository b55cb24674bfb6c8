"""Keys: where the secret comes from, and what is derived from it."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from engine import crypto
from engine.crypto import Keys
from engine.errors import Invalid
from engine.settings import Settings

SECRET = "0123456789abcdef0123456789abcdef"


def settings(folder: Path, *, demo: bool = False, secret: str = "") -> Settings:
    return Settings(var=folder, mode="demo" if demo else "production", secret_key=SecretStr(secret))


@pytest.mark.parametrize(("secret", "problem"), [("", "未设置"), (SECRET[:-1], "太短")])
def test_production_refuses_a_missing_or_short_secret_and_makes_none(tmp_path: Path, secret: str, problem: str) -> None:
    with pytest.raises(Invalid, match=f"PIYUE_SECRET_KEY {problem}") as refused:
        Keys.load(settings(tmp_path, secret=secret))
    assert refused.value.code == "secret_key_unusable"
    assert list(tmp_path.iterdir()) == []
    assert (secret or "secret") not in refused.value.message


def test_demo_makes_a_secret_once_and_keeps_it_private(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    first = Keys.load(settings(folder, demo=True)).key("audit")
    assert Keys.load(settings(folder, demo=True)).key("audit") == first
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Keys.load(settings(tmp_path / "other", demo=True)).key("audit") != first


def test_a_set_secret_wins_over_the_kept_one(tmp_path: Path) -> None:
    kept = Keys.load(settings(tmp_path, demo=True)).key("audit")
    given = Keys.load(settings(tmp_path, demo=True, secret=SECRET)).key("audit")
    assert given == Keys.load(settings(tmp_path, secret=SECRET)).key("audit") != kept


def test_processes_that_start_together_share_one_secret(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.crypto import Keys; from engine.settings import Settings\n"
        "sys.stdin.readline(); print(Keys.load(Settings(var=Path(sys.argv[1]), mode='demo')).key('x').hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    printed = {process.communicate()[0] for process in processes}
    assert len(printed) == 1
    assert len(printed.pop()) == 65
    assert [path.name for path in tmp_path.iterdir()] == ["secret.key"]


def test_purposes_have_keys_of_their_own() -> None:
    keys = Keys(SECRET.encode())
    assert keys.key("audit") == keys.key("audit") == Keys(SECRET.encode()).key("audit")
    assert len({keys.key("audit"), keys.key("session"), Keys(b"other" * 8).key("audit")}) == 3
    assert len(keys.key("audit")) == 32


def test_mac_is_hmac_sha256() -> None:
    """RFC 4231, test case 2."""
    expected = bytes.fromhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    assert crypto.mac(b"Jefe", b"what do ya want for nothing?") == expected
    assert crypto.same(expected, bytes(expected))
    assert not crypto.same(expected, expected[:-1] + b"\x00")
