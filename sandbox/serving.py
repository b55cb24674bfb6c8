"""Serving a stand-in: in a thread beside whatever else a process does, on a port of its own."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

_TRANSPORT = "sandbox.transport"


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


@contextmanager
def serving(app: App, host: str, port: int, name: str) -> Iterator[str]:
    """Serve an app until the block ends; yield its address (no slash at its end). Port 0 takes a free one.

    Raises OSError where the port is taken.
    """
    listener = socket.create_server((host, port))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=f"{name}-sandbox", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
