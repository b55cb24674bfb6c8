"""The cases of the DMN technology compatibility kit, each against what the kit expects; docs/feel.md lists the rest."""

import os
import re
from pathlib import Path

import pytest

from engine.bpm import decisions
from tests.conformance.tck import KIT, Failure, cases, run

FEEL = Path(__file__).parents[2] / "docs" / "feel.md"
BAR = 0.97


@pytest.fixture(scope="module")
def outcome() -> tuple[int, dict[str, Failure]]:
    """The number of cases and those that fail."""
    if not KIT.is_dir():
        why = "the kit's folder shared/dmn-tck is not beside the project"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
    loaded: dict[Path, decisions.Decisions] = {}
    found = list(cases(KIT))
    return len(found), {f.case.id: f for case in found if (f := run(case, loaded))}


def test_the_bar_is_reached(outcome: tuple[int, dict[str, Failure]], capsys: pytest.CaptureFixture[str]) -> None:
    total, failures = outcome
    with capsys.disabled():
        print(f"\nDMN TCK: {total - len(failures)}/{total}")  # noqa: T201
    assert total > 1000
    assert 1 - len(failures) / total >= BAR


def test_every_case_that_fails_is_listed_with_its_reason(outcome: tuple[int, dict[str, Failure]]) -> None:
    """`docs/feel.md` names them in a table: `folder/case/result` or `folder/*`, and the reason."""
    _, failures = outcome
    listed = re.findall(r"^\| `(\d{4}-[^`]+)` \| .{20,} \|$", FEEL.read_text(), re.M)
    unlisted = [id_ for id_ in failures if not any(id_ == one or _under(id_, one) for one in listed)]
    assert unlisted == []
    assert [one for one in listed if not any(id_ == one or _under(id_, one) for id_ in failures)] == []


def _under(id_: str, listed: str) -> bool:
    return listed.endswith("/*") and id_.startswith(listed.removesuffix("*"))
