"""States that each release has saved: every later one reads them and goes on to the same end."""

import tomllib
from pathlib import Path

import pytest

from engine.bpm import runtime
from engine.errors import Conflict
from engine.settings import ROOT
from tests.engine.bpm.golden.shapes import HERE, NOW, SHAPES, kept

KEPT = sorted(path.parent for path in HERE.glob("*/*/about.json"))
by_folder = pytest.mark.parametrize("folder", KEPT, ids=lambda path: f"{path.parent.name}-{path.name}")


@by_folder
def test_a_kept_state_goes_on_to_the_end_it_had(folder: Path) -> None:
    walk, about = kept(folder)
    assert walk.targets() == about["targets"]
    assert walk.finish() == about["walked"]
    assert walk.data == about["ends"]


@by_folder
def test_a_kept_state_can_be_returned_in(folder: Path) -> None:
    for target in {step for steps in kept(folder)[1]["targets"].values() for step in steps}:
        walk, about = kept(folder)
        source = next(int(key.split()[0]) for key, steps in about["targets"].items() if target in steps)
        walk.do(runtime.GoBack(source, target))
        assert ("step", target) in walk.open.values()
        assert walk.finish()
        assert walk.finished


def test_this_release_has_kept_every_shape() -> None:
    """A new version or a new shape: run `python -m tests.engine.bpm.golden.shapes`."""
    release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert {path.name for path in KEPT if path.parent.name == release} == SHAPES.keys()


@pytest.mark.parametrize("spoilt", [b"", b"\x02", b"\x00{}", b"\x01no zstd", b"\x01"])
def test_a_state_of_another_format_is_refused_and_says_whom_to_ask(spoilt: bytes) -> None:
    walk, _ = kept(KEPT[0])
    state = spoilt + walk.state[1:] if spoilt == b"\x02" else spoilt
    with pytest.raises(Conflict, match="联系运维") as refused:
        runtime.advance(walk.definition, state, {}, runtime.Fire(1), now=NOW)
    assert refused.value.code == "state_unreadable"
