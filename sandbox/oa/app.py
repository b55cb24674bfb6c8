"""The OAs as one ASGI app: each has its root, beside them the control API and the page of a person's lists."""

from sandbox.oa import control, desk, gate, landray_wire, plain, seeyon, weaver_wire
from sandbox.oa.state import State
from sandbox.serving import App


def create_app(state: State) -> App:
    """Return the app over a state that others may read and change meanwhile, under its lock."""
    oas = [
        *gate.routes(state, state.landray, landray_wire.read, "sys", "api"),
        *gate.routes(state, state.weaver, weaver_wire.read, "services", "rest", "api"),
        *gate.routes(state, state.seeyon, seeyon.read, "seeyon"),
        *gate.routes(state, state.plain, plain.read, "api"),
    ]
    app = App(routes=[*oas, *control.routes(state), *desk.routes(state)])
    app.state.oa = state
    return app
