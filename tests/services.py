"""Private servers for tests and benchmarks: PostgreSQL, Redis, and Chromium's path.

Each server listens on a free port of 127.0.0.1, keeps its files in a temporary folder and ends with the process that
started it, also after Ctrl-C or kill -9; what is then left of the folder goes at the start of the next run. As root on
Debian what is missing is installed with apt-get; where something can't be had, `Missing` says what and why.
"""

import ctypes
import getpass
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests import throwaway

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0


class Missing(Exception):
    """A server or program that can't be had on this machine; the message says what and why."""


@contextmanager
def postgres(*, durable: bool = True) -> Iterator[str]:
    """Run a private PostgreSQL and yield the SQLAlchemy URL of its empty database `piyue`.

    The role is a superuser, so that tests may create databases. `durable=False` keeps it in memory and lets it write
    as little as it can: for tests that don't look at crashes or at speed.
    """
    programs = _postgres_programs()
    with throwaway.folder("postgres", None if durable else throwaway.memory()) as folder:
        _own(folder)
        password = secrets.token_urlsafe(24)
        secret = folder / "password"
        secret.write_text(password)
        _own(secret)
        initdb: list[str | Path] = [programs / "initdb", "-D", folder / "data", "-U", "piyue", "--pwfile", secret]
        # md5 of a random password: what SCRAM costs at each connection is most of what a short test does
        _run([*initdb, "-A", "md5", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], folder)
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "fsync": "on" if durable else "off",
            "synchronous_commit": "on" if durable else "off",
            "full_page_writes": "on" if durable else "off",
        }
        if not durable:
            settings |= {"jit": "off", "wal_level": "minimal", "max_wal_senders": "0"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        with _server([programs / "postgres", "-D", folder / "data", *options], folder, stop=signal.SIGINT) as process:
            with _connected(process, f"postgresql://piyue:{password}@127.0.0.1:{port}/postgres", folder) as connection:
                connection.execute("CREATE DATABASE piyue")
            yield f"postgresql+psycopg://piyue:{password}@127.0.0.1:{port}/piyue"


class Redis:
    """A private Redis that keeps nothing on disk and refuses to evict; it may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._program = _program("redis-server", install=["redis-server"])
        self._folder, self._port, password = folder, free_port(), secrets.token_urlsafe(24)
        self._running = ExitStack()
        self._config = folder / "redis.conf"
        self._config.write_text(
            f'bind 127.0.0.1\nport {self._port}\nrequirepass {password}\nsave ""\nappendonly no\n'
            f"maxmemory-policy noeviction\ndir {folder}\n"
        )
        _own(self._config)
        self.url = f"redis://:{password}@127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start it, empty."""
        command = [self._program, self._config]
        self._process = self._running.enter_context(_server(command, self._folder, stop=signal.SIGTERM))
        _await_port(self._process, self._port, self._folder)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal: SIGSTOP freezes it, SIGCONT lets it go on."""
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it: SIGKILL as a crash does."""
        self._process.send_signal(number)
        self._running.close()


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Run a private Redis and yield it, for tests that break it."""
    with throwaway.folder("redis") as folder:
        _own(folder)
        server = Redis(folder)
        server.start()
        try:
            yield server
        finally:
            server.send(signal.SIGCONT)
            server.end()


@contextmanager
def redis() -> Iterator[str]:
    """Run a private Redis and yield its URL."""
    with redis_server() as server:
        yield server.url


def chromium() -> Path:
    """Return the path of a Chromium with fonts for Chinese, for Playwright's `executable_path`."""
    if not _speaks_chinese():
        _install(["fonts-noto-cjk", "fontconfig"])
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    return _program("chromium", install=["chromium"])


def _postgres_programs() -> Path:
    def search() -> Path | None:
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True)
        if on_path := shutil.which("postgres"):
            folders.insert(0, Path(on_path).resolve().parent)
        return next((f for f in folders if (f / "initdb").exists() and (f / "postgres").exists()), None)

    found = search()
    if found is None:
        _install(["postgresql"])
        found = search()
    if found is None:
        raise Missing("PostgreSQL is installed, but initdb and postgres are not to be found")
    return found


def _program(name: str, *, install: Sequence[str]) -> Path:
    found = shutil.which(name)
    if found is None:
        _install(install)
        found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is not on the PATH, even after installing {' '.join(install)}")
    return Path(found)


def _speaks_chinese() -> bool:
    lister = shutil.which("fc-list")
    return lister is not None and bool(subprocess.run([lister, ":lang=zh"], capture_output=True, check=False).stdout)


def _install(packages: Sequence[str]) -> None:
    names = " ".join(packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Missing(f"{names} is not installed, and only root on Debian can install it from here")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    patient = ["apt-get", "-o", "DPkg::Lock::Timeout=120"]
    for command in ([*patient, "update"], [*patient, "install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")


def _server_user() -> str:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def _own(path: Path) -> None:
    path.chmod(0o700 if path.is_dir() else 0o600)
    if os.geteuid() == 0:
        shutil.chown(path, user=_server_user())


def _as_server_user() -> dict[str, Any]:
    """Arguments of subprocess that give up root's rights."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(_server_user())
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _run(command: Sequence[str | Path], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **_as_server_user())
    if done.returncode:
        raise Missing(f"{Path(command[0]).name} failed: {done.stderr.strip()[-500:]}")


@contextmanager
def _server(command: Sequence[str | Path], folder: Path, *, stop: signal.Signals) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C reaches this process only, which then stops the server in order
            preexec_fn=lambda: _die_with_parent(stop),
            **_as_server_user(),
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _die_with_parent(stop: signal.Signals) -> None:
    """Ask Linux to stop this child when its parent is gone: prctl(PR_SET_PDEATHSIG), see prctl(2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, stop.value)


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_port(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        _check_starting(process, deadline, folder)


@contextmanager
def _connected(process: subprocess.Popen[bytes], url: str, folder: Path) -> Iterator[psycopg.Connection]:
    """Connect as soon as the server lets clients in, which is later than it opens its port."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            connection = psycopg.connect(url, autocommit=True)
        except psycopg.OperationalError:
            _check_starting(process, deadline, folder)
        else:
            break
    with connection:
        yield connection


def _check_starting(process: subprocess.Popen[bytes], deadline: float, folder: Path) -> None:
    if process.poll() is not None or time.monotonic() > deadline:
        log = (folder / "log").read_text(errors="replace").strip()
        raise Missing(f"{process.args!r} did not start: {log[-500:]}")
    time.sleep(0.02)
