"""The stand-in as an ASGI app: the parts that bring routes, each with a function `routes(state)`."""

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from sandbox.wecom import control, oauth, phone
from sandbox.wecom.api import dispatch
from sandbox.wecom.state import State

PARTS = (dispatch, oauth, control, phone)


class App(Starlette):
    """Starlette that leaves uvicorn's transport in the scope, so that an injected fault can break a connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        scope[dispatch.TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


def create_app(state: State) -> App:
    """Return the app over a state that others may read and change meanwhile, under its lock."""
    routes: list[BaseRoute] = [route for part in PARTS for route in part.routes(state)]
    app = App(routes=routes)
    app.state.wecom = state
    return app
