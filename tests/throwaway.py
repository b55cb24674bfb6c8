"""Folders for what a run throws away: in memory where there is room, and deleted, also after a run that was killed."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

_SHARED = Path("/dev/shm")
_ROOM = 4 * 2**30  # bytes that the databases of a run never need
_OWNED = re.compile(r"piyue-[a-z]+-([1-9]\d{0,8})-\w+")


@cache
def memory() -> Path:
    """Return a folder that is in memory where this machine has one with room, the one for temporary files elsewhere.

    What was found at first holds: room comes and goes while runs go on beside each other.
    """
    room = _SHARED.is_dir() and os.access(_SHARED, os.W_OK) and shutil.disk_usage(_SHARED).free >= _ROOM
    return _SHARED if room else Path(tempfile.gettempdir())


@contextmanager
def folder(kind: str, parent: Path | None = None) -> Iterator[Path]:
    """Make a folder and delete it at the end; its name says what is in it and which process it belongs to."""
    made = Path(tempfile.mkdtemp(prefix=f"piyue-{kind}-{os.getpid()}-", dir=parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def sweep(*places: Path) -> None:
    """Delete the folders of processes that are gone, in memory and among temporary files where no places are given."""
    for place in places or (_SHARED, Path(tempfile.gettempdir())):
        for path in place.glob("piyue-*"):
            owned = _OWNED.fullmatch(path.name)
            if owned and _gone(int(owned[1])):
                shutil.rmtree(path, ignore_errors=True)


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's
    return False
