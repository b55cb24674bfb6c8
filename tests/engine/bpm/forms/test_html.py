"""HTML forms become data: absences, lists, rows, and what people typed."""

from typing import Any

import pytest

from engine.bpm.forms import Rights
from engine.errors import Invalid


class Pairs(list[tuple[str, object]]):
    """The pairs as a web framework hands them over."""

    def multi_items(self) -> list[tuple[str, object]]:
        return list(self)


def resolve(kind: str, text: str) -> str | None:
    return {("person", "10023"): "p1", ("person", "李卫国"): "p2", ("department", "医务处"): "d1"}.get((kind, text))


def field(key: str, kind: str = "textfield", **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "label": key, **more}


VALUES = {"values": [{"value": "a"}, {"value": "b"}]}


def test_absent_boxes_are_unchecked(make: Any) -> None:
    form = make(
        field("yes", "checkbox"), field("no", "checkbox"), field("many", "checklist", **VALUES),
        field("none", "taglist", **VALUES), field("one", "radio", **VALUES), field("absent"),
    )  # fmt: skip
    pairs = Pairs([("yes", "true"), ("many", "a"), ("many", "b"), ("_csrf", "t"), ("stray", "x")])
    assert form.from_html(pairs, resolve) == {"yes": True, "no": False, "many": ["a", "b"], "none": [], "one": None}


def test_rows_keep_their_order_and_close_their_gaps(make: Any) -> None:
    form = make(
        {"type": "dynamiclist", "path": "items", "label": "明细", "components": [field("n"), field("ok", "checkbox")]}
    )
    pairs = Pairs(
        [("items[10].n", "third"), ("items[0].n", "first"), ("items[2].n", "second"), ("items[2].ok", "true")]
    )
    rows = [{"n": "first", "ok": False}, {"n": "second", "ok": True}, {"n": "third", "ok": False}]
    assert form.from_html(pairs, resolve) == {"items": rows}
    assert form.from_html(Pairs([*pairs, ("_remove", "items[2]")]), resolve) == {"items": [rows[0], rows[2]]}
    assert form.from_html(Pairs([*pairs, ("_add", "items")]), resolve) == {"items": [*rows, {"n": None, "ok": None}]}
    assert form.from_html(Pairs(), resolve) == {"items": []}


def test_people_are_chosen_or_typed(make: Any) -> None:
    form = make(
        field("who", properties={"widget": "person"}), field("team", "taglist", properties={"widget": "people"})
    )
    assert form.from_html(Pairs([("who", "p9"), ("who:text", "")]), resolve) == {"who": "p9", "team": []}
    typed = Pairs([("who", "p9"), ("who:text", "10023"), ("team", "p1"), ("team:text", "李卫国、 10023")])
    assert form.from_html(typed, resolve) == {"who": "p1", "team": ["p1", "p2"]}


def test_people_nobody_knows_are_told(make: Any) -> None:
    form = make(field("who", properties={"widget": "person"}))
    data = form.from_html(Pairs([("who:text", "王五")]), resolve)
    with pytest.raises(Invalid, match="找不到“王五”"):
        form.validate(data, current={}, rights=Rights())


def test_files_are_kept_or_replaced(make: Any) -> None:
    form = make(field("one", "filepicker"), field("many", "filepicker", multiple=True))
    pairs = Pairs(
        [("one", "f1"), ("one", "f2"), ("many", "f3"), ("many", object()), ("many", ""), ("many", "[object File]")]
    )
    assert form.from_html(pairs, resolve) == {"one": "f2", "many": ["f3"]}


def test_a_round_trip_through_validation(make: Any) -> None:
    form = make(field("n", "number"), field("s", "select", values=[{"value": 1}, {"value": 2}]))
    data = form.from_html(Pairs([("n", "2.50"), ("s", "2")]), resolve)
    assert form.validate(data, current={}, rights=Rights()) == {"n": 2.5, "s": 2}


def test_numbers_are_numbers_for_conditions_before_anything_is_submitted(make: Any) -> None:
    form = make(field("n", "number"), field("why", conditional={"hide": "=n <= 3"}))
    state, _ = form.settle(form.from_html(Pairs([("n", " 2.0 "), ("why", "")]), resolve), Rights())
    assert state.context["n"] == 2
    assert state.editable == {"n"}
    state, _ = form.settle(form.from_html(Pairs([("n", "abc"), ("why", "")]), resolve), Rights())
    assert state.context["n"] == "abc"
    assert state.editable == {"n", "why"}
