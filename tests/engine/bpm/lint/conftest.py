"""The engine's own parse at the end of a check runs here in the test's process: a process of its own costs a second."""

import pytest

from engine.bpm.lint import child, folder

_APART = {"test_child", "test_hostile", "test_against_engine"}
"""What is about the process, its limits, or files that could hang this one."""


@pytest.fixture(autouse=True)
def parse_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse for real, without a child."""
    if request.path.stem not in _APART:
        monkeypatch.setattr(folder, "load_findings", lambda files: child.refused(child.loaded(files)))
