"""The service as an operator runs it: a process of its own with its settings in the environment, asked through HTTP.

Linux only, for what it reads from /proc.
"""

import atexit
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from engine.settings import ROOT
from tests import services

PATIENCE = 120.0  # seconds; the machine may be busy


class Service:
    """A running `piyue serve` or `piyue demo`."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, errors: Path) -> None:
        self.process, self.port, self._errors = process, port, errors

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Send a request over a connection of its own; return the status and the body. Raises what http.client does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Connection": "close", **(headers or {})})
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        finally:
            connection.close()

    def sending(self, method: str, path: str, sent: bytes = b"", **headers: str) -> socket.socket:
        """Return a connection on which a request has been begun: its headers, and so much of its body."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        connection = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + sent)
        return connection

    def ready(self) -> bool:
        """Return whether a server process answers, and the database answers it."""
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def servers(self) -> list[int]:
        """Return the ids of the server processes that live, the oldest first."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [pid for pid in map(int, text.split()) if alive(pid)]

    def stop(self, by: signal.Signals) -> int:
        """Send a signal to the parent, as a terminal or a service manager does; return the exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)

    @property
    def said(self) -> str:
        """What is on the standard error so far."""
        return self._errors.read_text("utf-8")


@contextmanager
def piyue(folder: Path, *arguments: str, **settings: str) -> Iterator[Service]:
    """Run a command of `piyue` that serves until the block ends; `folder` takes what it says, and is its var."""
    port, errors = services.free_port(), folder / "stderr"
    share_pages(folder / "var")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PIYUE_")}
    environment |= {"PIYUE_VAR": str(folder / "var"), "PIYUE_SECURE_COOKIE": "false"}
    environment |= {f"PIYUE_{name.upper()}": value for name, value in settings.items()}
    with errors.open("wb") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", "piyue", *arguments, "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=told,
            preexec_fn=lambda: services._die_with_parent(signal.SIGTERM),
        )
    service = Service(process, port, errors)
    try:
        eventually(lambda: service.process.poll() is not None or service.ready())
        assert process.poll() is None, service.said
        yield service
    finally:
        if process.poll() is None:
            below = service.servers()
            process.kill()
            process.wait()
            for pid in filter(alive, below):
                os.kill(pid, signal.SIGKILL)


def share_pages(var: Path) -> None:
    """Let a service whose files are in `var` keep its compiled pages where all others of this test process do.

    Each would compile them anew: most of what a test of a page costs.
    """
    var.mkdir(parents=True, exist_ok=True)
    if not (var / "templates").exists():
        (var / "templates").symlink_to(_pages())


@cache
def _pages() -> Path:
    folder = tempfile.mkdtemp(prefix="piyue-pages-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def alive(pid: int) -> bool:
    """Return whether a process runs or is stopped: not where it is gone, or dead and waited for by its parent."""
    return state(pid) not in ("", "Z", "X")


def state(pid: int) -> str:
    """Return the letter of a process's state, see proc_pid_stat(5); nothing where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it never did"
        time.sleep(0.02)
