"""Running the stand-in, and what the administrator of an app that is connected to it would enter."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sandbox.remote import Remote
from sandbox.serving import serving
from sandbox.wecom import callbacks, constants
from sandbox.wecom.app import create_app
from sandbox.wecom.records import Callback
from sandbox.wecom.state import State


@dataclass(frozen=True)
class Running:
    """A stand-in that answers at `url` (no slash at its end); `state` is what it knows."""

    url: str
    state: State
    control: Remote

    def settings(self) -> dict[str, str | int]:
        """Return what the administrator of an app that is connected to it would enter."""
        return {
            "corp_id": constants.CORP_ID,
            "agent_id": constants.AGENT_ID,
            "secret": constants.AGENT_SECRET,
            "contacts_secret": constants.CONTACTS_SECRET,
            "token": constants.CALLBACK_TOKEN,
            "aes_key": constants.CALLBACK_AES_KEY,
            "api": self.url,
            "authorize": f"{self.url}/connect/oauth2/authorize",
            "login": f"{self.url}/wwlogin/sso/login",
        }

    def call(self, url: str, *, home: str = "", check: bool = True) -> None:
        """Send the callbacks of the app and of the contacts to that address; `home` is the app's page on the workbench.

        Raises ApiError where the address doesn't pass the check.
        """
        self.state.agents[constants.AGENT_ID].home_url = home
        for agentid in (constants.AGENT_ID, constants.CONTACTS_ID):
            callback = Callback(url, constants.CALLBACK_TOKEN, constants.CALLBACK_AES_KEY)
            callbacks.configure(self.state, agentid, callback, check=check)


@contextmanager
def running(state: State, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Running]:
    """Serve a state until the block ends; port 0 takes a free one. Raises OSError where the port is taken."""
    with serving(create_app(state), host, port, "wecom-sandbox") as url:
        yield Running(url, state, Remote(url))
