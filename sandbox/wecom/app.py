"""The stand-in as an ASGI app: the parts that bring routes, each with a function `routes(state)`."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from sandbox.wecom.state import State

PARTS: tuple[object, ...] = ()


def create_app(state: State) -> Starlette:
    """Return the app over a state that others may read and change meanwhile, under its lock."""
    routes: list[BaseRoute] = [route for part in PARTS for route in part.routes(state)]
    app = Starlette(routes=routes)
    app.state.wecom = state
    return app
