"""Whatever is sent or uploaded, nothing but a refusal comes out."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.bpm.forms import Form, Rights, check
from engine.errors import Invalid

VALUES = [{"label": "甲", "value": "a"}, {"label": "乙", "value": 2}]


def component(kind: str, key: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "label": key, **more}


FORM = Form.load(
    json.dumps(
        {
            "schemaVersion": 19,
            "type": "default",
            "id": "all",
            "components": [
                component("textfield", "t", validate={"pattern": r"^\w+$", "maxLength": 9}),
                component("textarea", "ta", validate={"minLength": "=n"}),
                component("number", "n", validate={"min": "=m", "max": 9}, increment=0.5),
                component("number", "m", properties={"widget": "money"}),
                component("datetime", "d", subtype="date", disallowPassedDates=True),
                component("datetime", "dt", subtype="datetime"),
                component("datetime", "ti", subtype="time"),
                component("checkbox", "c", validate={"required": True}),
                component("checklist", "cl", values=VALUES),
                component("radio", "r", values=VALUES),
                component("select", "s", valuesKey="cl"),
                component("taglist", "tl", valuesExpression="=cl"),
                component("filepicker", "f", multiple=True, accept=".pdf"),
                component("textfield", "p", properties={"widget": "person", "rule": "=p != t"}),
                component("taglist", "ds", properties={"widget": "departments"}),
                component("expression", "e", expression="=n + m"),
                {
                    "type": "dynamiclist",
                    "path": "l",
                    "label": "l",
                    "components": [
                        component("number", "n"),
                        component("textfield", "t", conditional={"hide": "=n > 1"}),
                    ],
                },
            ],
        }
    ),
    place="all.json",
)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=20)
    | st.sampled_from(["2026-03-08", "9:61", "a", "1e5", "=1", "?x", "\ud800", 10**400, -0.0])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(st.dictionaries(st.sampled_from("nt"), ANYTHING, max_size=2), max_size=3)
KEYS = [*FORM.fields(), "outcome"]


def attempt(call: Callable[[], Any]) -> tuple[Any, Invalid | None]:
    """Return what a call gives, or its refusal; any other error is the failure that these tests look for."""
    try:
        return call(), None
    except Invalid as refused:
        return None, refused


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING | ROWS), st.dictionaries(st.sampled_from(KEYS), ROWS | SCALARS))
@settings(max_examples=300)
def test_any_submission_is_stored_plainly_or_refused(submitted: dict[str, Any], rest: dict[str, Any]) -> None:
    stored, refused = attempt(lambda: FORM.validate({**rest, **submitted}, current={}, rights=Rights()))
    if refused:
        assert refused.code == "form_invalid"
        assert all(error["place"] and error["message"] for error in refused.errors)
    else:
        assert set(stored) <= set(FORM.fields())
        json.dumps(stored, allow_nan=False, ensure_ascii=False).encode()


@given(ANYTHING)
@settings(max_examples=200)
def test_stored_data_pass_again(value: Any) -> None:
    """What was stored once is accepted unchanged when it is sent back."""
    for key in KEYS[:-1]:
        try:
            stored = FORM.validate({key: value, "c": True}, current={}, rights=Rights())
        except Invalid:
            continue
        assert FORM.validate(stored, current={}, rights=Rights()) == stored


PROPERTIES = st.sampled_from(
    "key label path values valuesKey valuesExpression validate conditional properties components subtype decimalDigits "
    "increment defaultValue expression readonly dataSource columns columnsExpression rowCount source text height "
    "multiple accept allowAddRemove defaultRepetitions appearance id dateLabel".split()
)
TYPES = st.sampled_from(
    "textfield textarea number datetime checkbox checklist radio select taglist filepicker expression group "
    "dynamiclist table text image separator spacer html".split()
)
PARTS = {"hide": SCALARS, "required": st.booleans(), "min": SCALARS, "pattern": st.text(), "widget": SCALARS}
SCHEMA_VALUES = (
    ANYTHING
    | st.sampled_from(["x", "y", "=x + 1", "=(", "[a-", "(a*)*", "date"])
    | st.fixed_dictionaries({}, optional=PARTS)
    | st.lists(st.fixed_dictionaries({"value": SCALARS}, optional={"label": SCALARS, "key": SCALARS}), max_size=3)
)
MORE = st.dictionaries(PROPERTIES, SCHEMA_VALUES, max_size=5)
CONTAINERS = st.sampled_from(["group", "dynamiclist"])
COMPONENTS = st.recursive(
    st.builds(lambda kind, more: {"key": "x", **more, "type": kind}, TYPES, MORE),
    lambda inner: st.builds(
        lambda kind, more, children: {"path": "z", **more, "type": kind, "components": children},
        CONTAINERS,
        MORE,
        st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)
SCHEMAS = st.fixed_dictionaries(
    {"schemaVersion": st.just(19), "id": st.just("x"), "components": st.lists(COMPONENTS, max_size=3)}
)


@given(ANYTHING | SCHEMAS)
@example({"schemaVersion": 19, "id": "x", "components": [{"type": "number", "key": "x", "increment": "1e-999999999"}]})
@settings(max_examples=300)
def test_any_schema_is_a_form_or_refused(schema: Any) -> None:
    text = json.dumps(schema)
    findings = check(text, place="a.json")
    form, refused = attempt(lambda: Form.load(text, place="a.json"))
    if refused:
        assert refused.code == "form_schema"
        assert any(finding.severity == "error" for finding in findings)
    else:
        assert all(finding.severity == "warning" for finding in findings)
        _, refused = attempt(lambda: form.validate(form.defaults(), current={}, rights=Rights()))
        assert refused is None or refused.code == "form_invalid"


@given(st.text(st.characters(codec=None)))
def test_any_text_is_a_form_or_refused(text: str) -> None:
    assert any(finding.severity == "error" for finding in check(text, place="a.json"))
