"""Serving a stand-in: one that can't start refuses, one that is ended answers what it has begun and is gone."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sandbox.serving import serving

NAME = "stand-in of this test"


def listens(address: str) -> bool:
    """Whether anybody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(address).port or 0)) == 0


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == NAME]


async def here(_request: Request) -> Response:
    return PlainTextResponse("here")


APP = Starlette(routes=[Route("/", here)])


def test_an_app_that_cant_start_refuses_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def broken(_app: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no corp to stand in for")
        yield

    with serving(Starlette(lifespan=broken), name=NAME) as address:
        for thread in threads():
            thread.join()
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)
    assert "no corp to stand in for" in caplog.text


def test_a_client_that_came_too_early_for_it_is_told_at_once() -> None:
    came = threading.Event()

    @asynccontextmanager
    async def broken(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.to_thread(came.wait)
        raise RuntimeError("no corp to stand in for")
        yield

    with (
        serving(Starlette(lifespan=broken), name=NAME) as address,
        socket.create_connection(("127.0.0.1", urlsplit(address).port or 0)) as client,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        came.set()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_what_is_being_answered_is_answered_before_the_end() -> None:
    begun = threading.Event()

    async def slow(request: Request) -> Response:
        begun.set()
        while listens(str(request.base_url)):
            await asyncio.sleep(0.001)
        return PlainTextResponse("answered after nobody else was let in")

    with ThreadPoolExecutor(1) as client, httpx.Client() as waiting:
        with serving(Starlette(routes=[Route("/", slow)]), name=NAME) as address:
            asked = client.submit(waiting.get, address)
            assert begun.wait(30)
        assert asked.result().text == "answered after nobody else was let in"
    assert threads() == []


def test_a_connection_that_a_client_keeps_doesnt_hold_the_end_up() -> None:
    with httpx.Client() as client:
        with serving(APP, name=NAME) as address:
            assert client.get(address).text == "here"
        assert threads() == []
        with pytest.raises(httpx.ConnectError):
            client.get(address)


def test_ended_before_it_has_started_it_leaves_nothing() -> None:
    with serving(APP, name=NAME) as address:
        pass
    assert not listens(address)
    assert threads() == []
