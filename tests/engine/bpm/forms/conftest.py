"""Forms written as short as their point allows."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from engine.bpm.forms import File, Form

Make = Callable[..., Form]


@pytest.fixture
def make() -> Make:
    """Return the maker of a form from its components, given as JSON objects."""

    def form(*components: dict[str, Any]) -> Form:
        schema = {"schemaVersion": 19, "type": "default", "id": "test", "components": list(components)}
        return Form.load(json.dumps(schema), place="forms/test.json")

    return form


class Names:
    """A hospital of three: what a form's ids stand for."""

    def people(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {each: name for each, name in {"p1": "张晓梅", "p2": "李卫国"}.items() if each in ids}

    def departments(self, ids: Sequence[str]) -> Mapping[str, str]:
        return {"d1": "医务处"} if "d1" in ids else {}

    def files(self, ids: Sequence[str]) -> Mapping[str, File]:
        known = {"f1": File("会议通知.pdf", 2_345_678), "f2": File("病历.exe", 10), "f3": File("照片.JPG", 900)}
        return {each: file for each, file in known.items() if each in ids}


@pytest.fixture
def names() -> Names:
    """Return the lookups of people p1 and p2, department d1 and files f1 to f3."""
    return Names()
