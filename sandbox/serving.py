"""Serving a stand-in: in a thread beside whatever else a process does, on a port of its own."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

_TRANSPORT = "sandbox.transport"
_DATE = 1.0  # seconds after which answers have a new date
_GRACE = 1.0  # seconds for what is being answered when it ends


class App(Starlette):
    """Starlette that leaves uvicorn's transport in the scope, so that an injected fault can break a connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope[_TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


async def break_connection(scope: Scope) -> None:
    """Break the connection of a request with a reset."""
    transport = scope[_TRANSPORT]
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    await asyncio.sleep(0)  # until the server has noticed: it shan't answer in our place


class _Server(uvicorn.Server):
    """uvicorn that ends when it is told to: of itself it looks ten times a second, and waits before it goes."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None

    def end(self) -> None:
        """Tell it, from another thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._told.set)

    async def main_loop(self) -> None:
        """Serve until it is told."""
        self._told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _DATE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take nothing more, and give what is being answered its time."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        until = time.monotonic() + _GRACE
        while (self.server_state.connections or self.server_state.tasks) and time.monotonic() < until:
            await asyncio.sleep(0.002)
        for task in self.server_state.tasks:
            task.cancel()
        await self.lifespan.shutdown()


@contextmanager
def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 0, name: str = "app") -> Iterator[str]:
    """Serve an app until the block ends; yield its address (no slash at its end). Port 0 takes a free one.

    An app that can't start refuses connections; why is in the log. Raises OSError where the port is taken.
    """
    listener = socket.create_server((host, port))
    server = _Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))

    def serve() -> None:
        # where the app can't start uvicorn says so in the log, calls sys.exit and leaves the socket open
        with listener, suppress(SystemExit):
            server.run(sockets=[listener])

    address = f"http://{host}:{listener.getsockname()[1]}"
    thread = threading.Thread(target=serve, name=name, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.end()
        thread.join()
