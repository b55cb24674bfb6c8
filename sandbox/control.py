"""The control API of a stand-in, for tests and for who plays with it: POST /control/<command> with a JSON object.

For programs on this machine only: what comes from a page of a browser has an Origin and is refused. A command is a
function whose arguments after the state are the object's names; `remote.Remote` has a method for each.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_HERE = ("127.0.0.1", "::1")
_MISTAKES = (TypeError, ValueError, LookupError, OSError)


class Commands:
    """The commands of a stand-in; calling it with a function makes that a command."""

    def __init__(self) -> None:
        self._functions: dict[str, Callable[..., Any]] = {}

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function a command of its name."""
        self._functions[function.__name__] = function
        return function

    def route(self, state: object, *refusals: type[Exception]) -> Route:
        """Return the route of all commands over a state; these exceptions and mistakes are answered as HTTP 400."""

        caught: tuple[type[Exception], ...] = (*refusals, *_MISTAKES)

        async def answer(request: Request) -> Response:
            if request.client is None or request.client.host not in _HERE or "origin" in request.headers:
                return JSONResponse({"error": "programs on this machine only"}, 403)
            found = self._functions.get(request.path_params["command"])
            if found is None:
                return JSONResponse({"error": "no such command", "commands": sorted(self._functions)}, 404)
            try:
                given = json.loads(await request.body() or b"{}")
                told = await asyncio.to_thread(found, state, **given)
            except caught as error:
                return JSONResponse({"error": str(error), "kind": type(error).__name__}, 400)
            return JSONResponse({} if told is None else told)

        return Route("/control/{command}", answer, methods=["POST"])
