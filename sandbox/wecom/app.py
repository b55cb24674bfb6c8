"""The stand-in as an ASGI app: the parts that bring routes, each with a function `routes(state)`."""

from starlette.routing import BaseRoute

from sandbox.serving import App
from sandbox.wecom import control, oauth, phone
from sandbox.wecom.api import dispatch
from sandbox.wecom.state import State

PARTS = (dispatch, oauth, control, phone)


def create_app(state: State) -> App:
    """Return the app over a state that others may read and change meanwhile, under its lock."""
    routes: list[BaseRoute] = [route for part in PARTS for route in part.routes(state)]
    app = App(routes=routes)
    app.state.wecom = state
    return app
