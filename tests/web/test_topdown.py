"""The diagram from top to bottom: order, what is left out, what is marked."""

import re
from itertools import pairwise

import pytest

from engine.errors import Invalid
from engine.settings import ROOT
from tests.dsl import bpmn, chain, start_task
from web.topdown import Picture, callers, picture

PROCESSES = sorted(path.parent.name for path in (ROOT / "processes").glob("*/process.bpmn"))


def drawn(key: str, walked: tuple[str, ...] = (), standing: tuple[str, ...] = ()) -> Picture:
    text = (ROOT / "processes" / key / "process.bpmn").read_text("utf-8")
    found = picture(text, walked=walked, standing=standing, notes={"handle": ["诸葛子轩", "2 小时"]})
    assert found is not None
    return found


def test_steps_run_from_top_to_bottom() -> None:
    at = {node.id: node.y for node in drawn("document_incoming").nodes}
    order = ["start", "register", "assign_number", "propose", "instruct", "split", "handle", "join", "close", "archive"]
    assert all(at[above] < at[below] for above, below in pairwise(order))


def test_what_was_walked_and_what_is_open_are_marked() -> None:
    found = drawn("document_incoming", ("start", "flow_start_register", "register"), ("handle",))
    states = {node.id: node.state for node in found.nodes}
    assert (states["register"], states["handle"], states["archive"]) == ("walked", "open", "future")
    assert next(node.notes for node in found.nodes if node.id == "handle") == ("诸葛子轩", "2 小时")
    assert [edge.id for edge in found.edges if edge.state == "walked"] == ["flow_start_register"]
    assert found.edges[-1].state == "walked"  # above the others


def test_a_reminder_is_drawn_only_when_it_was_sent() -> None:
    assert "urge_handle" not in {node.id for node in drawn("document_incoming").nodes}
    happened = drawn("document_incoming", ("handle_overdue", "flow_handle_overdue_urge_handle", "urge_handle"))
    assert {"handle", "handle_overdue", "urge_handle"} <= {node.id for node in happened.nodes}


@pytest.mark.parametrize("key", PROCESSES)
def test_everything_lies_inside_and_nothing_overlaps(key: str) -> None:
    found = drawn(key)
    assert found.width < 700
    for node in found.nodes:
        assert node.width / 2 <= node.x <= found.width - node.width / 2
        assert node.height / 2 <= node.y <= found.height - node.height / 2
    points = [tuple(map(float, pair.split(","))) for edge in found.edges for pair in edge.points.split()]
    assert all(0 <= x <= found.width and 0 <= y <= found.height for x, y in points)
    tasks = [node for node in found.nodes if node.kind == "task"]
    for index, one in enumerate(tasks):
        for other in tasks[index + 1 :]:
            apart_x = abs(one.x - other.x) >= (one.width + other.width) / 2
            apart_y = abs(one.y - other.y) >= (one.height + other.height) / 2
            assert apart_x or apart_y, (one.id, other.id)


@pytest.mark.parametrize("key", PROCESSES)
def test_what_a_way_says_does_not_run_into_what_its_gateway_asks(key: str) -> None:
    found = drawn(key)
    named = [node for node in found.nodes if node.kind == "gateway" and node.lines]
    for edge in (edge for edge in found.edges if edge.across and edge.name):
        left = edge.label[0] - 5.5 * len(edge.name)
        x, y = map(float, edge.points.split()[0].split(","))
        for gateway in named:
            if (x, y) == pytest.approx((gateway.x + 15, gateway.y), abs=0.2):
                assert left >= gateway.x + 12 + 11 * len(gateway.lines[0]) + 4, (edge.id, gateway.id)


def test_a_process_without_a_diagram_has_no_picture() -> None:
    text = bpmn('<startEvent id="start"/>' + start_task() + chain("start", "apply"))["process.bpmn"]
    assert picture(text, walked=("start",), standing=(), notes={}) is None


@pytest.mark.parametrize("x", ["abc", "NaN", "inf", "-Infinity", "1e308", "1e999", "100001", "", "1_0", "１２", "0x10"])
@pytest.mark.parametrize("name", ["x", "width"])
def test_a_shape_without_a_proper_place_is_left_out_and_the_rest_drawn(name: str, x: str) -> None:
    text = (ROOT / "processes" / "leave_request" / "process.bpmn").read_text("utf-8")
    shape = text[text.index("<dc:Bounds") :]
    shape = shape[: shape.index(">") + 1]
    broken = text.replace(shape, re.sub(rf' {name}="[^"]*"', f' {name}="{x}"', shape), 1)
    assert broken != text
    found = picture(broken, walked=(), standing=(), notes={})
    whole = picture(text, walked=(), standing=(), notes={})
    assert found is None or whole is None or len(found.nodes) < len(whole.nodes)


def test_a_hostile_file_is_refused() -> None:
    with pytest.raises(Invalid):
        picture('<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', walked=(), standing=(), notes={})


def test_where_it_waits_is_told_beside_an_event() -> None:
    text = (ROOT / "processes" / "leave_request" / "process.bpmn").read_text("utf-8")
    plain = picture(text, walked=("start",), standing=("leave_begins",), notes={})
    found = picture(
        text, walked=("start",), standing=("leave_begins",), notes={"leave_begins": ["等待到很久很久以后 12-01 08:00"]}
    )
    assert found is not None
    assert plain is not None
    (event,) = (node for node in found.nodes if node.id == "leave_begins")
    assert (event.state, event.notes) == ("open", ("等待到很久很久以后 12-01 08:00",))
    assert found.width > plain.width  # there is room for it


def test_a_called_process_is_found_by_who_calls_it() -> None:
    text = (ROOT / "processes" / "purchase_request" / "process.bpmn").read_text("utf-8")
    assert callers(text) == {"price_comparison": ["compare_prices"]}
