"""The pictures in the documentation are those of the diagrams as they are."""

import re

import pytest

from docs.pictures.draw import TARGET, diagrams, drawn

by_picture = pytest.mark.parametrize("name", sorted(target.name for target in diagrams()))


@by_picture
def test_a_picture_is_drawn_from_its_diagram(name: str) -> None:
    """A diagram has changed, or how diagrams are laid out: `make pictures`, then look at what it drew."""
    target = TARGET / name
    assert target.exists(), "run `make pictures`"
    assert target.read_text("utf-8") == drawn(diagrams()[target]), f"{target.name} is out of date: run `make pictures`"


def test_every_picture_has_a_diagram_and_is_shown_where_the_process_is_told() -> None:
    assert set(TARGET.glob("*.svg")) == diagrams().keys()
    for target, path in diagrams().items():
        folder = path.parent if path.name == "process.bpmn" else path.parents[1]
        shown = re.findall(r"pictures/processes/([\w.]+)", (folder / "README.md").read_text("utf-8"))
        assert target.name in shown
