"""The ward of the contract tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.wecom.server import Running
from tests.contracts.wecom.ward import Ward, opened
from tests.dsl import Bpm


@pytest.fixture
def ward(bpm: Bpm, wecom_sandbox: Running, tmp_path: Path) -> Iterator[Ward]:
    """The demo hospital connected to the stand-in, everybody of the cast with an account."""
    with opened(bpm, wecom_sandbox, tmp_path) as made:
        yield made
