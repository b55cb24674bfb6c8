"""Running the OAs, and what the administrator of a system that mirrors its items there would enter."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sandbox.oa import desk_jump, landray_wire, plain, seeyon, weaver_wire
from sandbox.oa.app import create_app
from sandbox.oa.state import State
from sandbox.remote import Remote
from sandbox.serving import serving

_SITES = {
    "landray.soap": landray_wire.site,
    "landray.rest": landray_wire.site,
    "weaver.soap": weaver_wire.site,
    "weaver.rest": weaver_wire.site,
    "seeyon": seeyon.site,
    "template": plain.site,
}
KINDS = tuple(_SITES)


@dataclass(frozen=True)
class Running:
    """OAs that answer at `url` (no slash at its end); `state` is what they know."""

    url: str
    state: State
    control: Remote

    def site(self, kind: str) -> dict[str, Any]:
        """Return a `site.toml` for one of them, secrets in clear. Raises KeyError for a kind that isn't here."""
        oa = "plain" if kind == "template" else kind.partition(".")[0]
        return {"kind": kind, **_SITES[kind](self.url), "sign_on": desk_jump.sign_on(oa)}


@contextmanager
def running(state: State, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Running]:
    """Serve a state until the block ends; port 0 takes a free one. Raises OSError where the port is taken."""
    with serving(create_app(state), host, port, "oa-sandbox") as url:
        yield Running(url, state, Remote(url))
