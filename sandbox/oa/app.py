"""The OAs as one ASGI app: each has its root, beside them the control API and the page of a person's lists."""

from sandbox.oa import control, desk, landray_wire, weaver_wire
from sandbox.oa.gate import route
from sandbox.oa.state import State
from sandbox.serving import App


def create_app(state: State) -> App:
    """Return the app over a state that others may read and change meanwhile, under its lock."""
    oas = [
        route(state, state.landray, landray_wire.read),
        route(state, state.weaver, weaver_wire.read),
    ]
    app = App(routes=[*oas, *control.routes(state), *desk.routes(state)])
    app.state.oa = state
    return app
