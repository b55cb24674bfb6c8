"""The office of the contract tests."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from engine import clock
from engine.connectors.oa.sites import Sites
from sandbox.oa.server import Running
from tests.contracts.oa.office import Office
from tests.dsl import Bpm

Opening = Callable[..., Office]


@pytest.fixture
def office(bpm: Bpm, oa_sandbox: Running) -> Iterator[Opening]:
    """The demo hospital, to be connected to an OA of the sandbox."""

    def opened(kind: str = "landray.soap", code: str = "ekp", **settings: Any) -> Office:
        before = bpm.db.part(Sites)
        if before is not None:
            before.close()
        return Office(bpm, oa_sandbox, kind, code, **settings)

    yield opened
    bpm.db.mirrors = ()
    clock.freeze(None)
