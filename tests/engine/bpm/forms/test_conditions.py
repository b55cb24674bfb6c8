"""Conditions, computed fields and rules across fields: settled in the order of what they depend on."""

from typing import Any

import pytest

from engine.bpm.forms import Rights
from engine.errors import Invalid
from engine.feel import compile as compile_feel

EDIT = Rights()


def field(key: str, kind: str = "textfield", **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": key, "label": key, **more}


def hide(text: str) -> dict[str, Any]:
    return {"conditional": {"hide": text}}


def run(form: Any, sent: dict[str, Any], current: dict[str, Any] | None = None, rights: Rights = EDIT) -> Any:
    return form.validate(sent, current=current or {}, rights=rights)


def errors(form: Any, sent: dict[str, Any], **options: Any) -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        run(form, sent, **options)
    return {error["place"]: error["message"] for error in refused.value.errors}


def test_hidden_fields_chain_whatever_their_order(make: Any) -> None:
    # c hangs on b, b on a; the form has them the other way round.
    form = make(field("c", **hide('=b = "y"')), field("b", **hide("=a != 1")), field("a", "number"))
    assert run(form, {"a": 1, "b": "y", "c": "z"}) == {"a": 1, "b": "y"}
    assert run(form, {"a": 2, "b": "y", "c": "z"}) == {"a": 2, "c": "z"}


def test_a_hidden_group_hides_its_fields_and_their_rules(make: Any) -> None:
    need = field("x", validate={"required": True})
    form = make(field("off", "checkbox"), {"type": "group", "components": [need], **hide("=off")})
    assert run(form, {"off": True}) == {"off": True}
    assert list(errors(form, {"off": False})) == ["x"]


def test_conditions_see_the_data_of_the_instance(make: Any) -> None:
    form = make(field("x", **hide('=initiator.department != "儿科"')))
    assert run(form, {"x": "a"}, {"initiator": {"department": "儿科"}}) == {"x": "a"}
    assert run(form, {"x": "a"}, {"initiator": {"department": "内科"}}) == {}


def test_a_field_locked_by_a_condition_keeps_its_value(make: Any) -> None:
    form = make(
        field("x", "number", readonly="=locked"), field("locked", "checkbox"), field("e", "expression", expression="=x")
    )
    assert run(form, {"x": 9, "locked": True}, {"x": 1}) == {"locked": True, "e": 1}
    assert run(form, {"x": 9, "locked": False}, {"x": 1}) == {"x": 9, "locked": False, "e": 9}


def test_expressions_are_computed_not_taken(make: Any) -> None:
    form = make(
        {"type": "expression", "key": "double", "expression": "=total * 2"},
        {"type": "expression", "key": "total", "expression": "=sum(items.sum_)"},
        {
            "type": "dynamiclist",
            "path": "items",
            "label": "明细",
            "components": [
                field("price", "number"),
                field("pieces", "number"),
                {"type": "expression", "key": "sum_", "expression": "=price * pieces"},
            ],
        },
    )
    sent = {"items": [{"price": 1.5, "pieces": 2, "sum_": 99}, {"price": 4, "pieces": 1}], "total": 1, "double": 1}
    stored = run(form, sent)
    assert stored["items"] == [{"price": 1.5, "pieces": 2, "sum_": 3}, {"price": 4, "pieces": 1, "sum_": 4}]
    assert (stored["total"], stored["double"]) == (7, 14)


def test_a_computed_field_follows_what_this_step_edits(make: Any) -> None:
    form = make(field("n", "number"), field("e", "expression", expression="=n + 1"), field("other"))
    edits_n = Rights(default="read", fields={"n": "edit"})
    edits_other = Rights(default="read", fields={"other": "edit"})
    assert run(form, {"n": 5}, {"n": 1, "e": 2}, edits_n) == {"n": 5, "e": 6}
    assert run(form, {"other": "x"}, {"n": 1, "e": 2}, edits_other) == {"other": "x"}


def test_bounds_by_expression(make: Any) -> None:
    form = make(field("days", "number", validate={"max": "=left"}), field("note", validate={"maxLength": "=left"}))
    assert run(form, {"days": 3, "note": "abc"}, {"left": 3}) == {"days": 3, "note": "abc"}
    assert list(errors(form, {"days": 3.5, "note": "abcd"}, current={"left": 3})) == ["days", "note"]


def test_rules_across_fields(make: Any) -> None:
    rule = {"rule": "=date(end_) >= date(begin)", "ruleMessage": "结束日期不能早于开始日期"}
    form = make(
        field("begin", "datetime", subtype="date"),
        field("end_", "datetime", subtype="date", properties=rule),
    )
    assert errors(form, {"begin": "2026-03-08", "end_": "2026-03-07"}) == {"end_": "结束日期不能早于开始日期"}
    assert run(form, {"begin": "2026-03-08", "end_": ""}) == {"begin": "2026-03-08", "end_": None}
    # Nobody can mend here what an earlier step left.
    old = {"begin": "2026-03-08", "end_": "2026-03-07"}
    assert run(form, {}, old, Rights(default="read")) == {}


def test_a_rule_that_cannot_be_computed_does_not_pass(make: Any) -> None:
    form = make(field("x", properties={"rule": "=x > 3", "ruleMessage": "不对"}))
    assert errors(form, {"x": "text"}) == {"x": "不对"}


def test_rows_have_conditions_and_rules_of_their_own(make: Any) -> None:
    columns = [
        field("kind"),
        field("n", "number", validate={"required": True}, properties={"rule": "=n <= most", "ruleMessage": "超出"}),
        field("why", validate={"required": True}, **hide('=kind != "other"')),
        field("row", "expression", expression="=i"),
    ]
    form = make(
        field("most", "number"), {"type": "dynamiclist", "path": "items", "label": "明细", "components": columns}
    )
    stored = run(form, {"most": 5, "items": [{"kind": "a", "n": 5, "why": "x"}, {"kind": "other", "n": 1, "why": "y"}]})
    assert stored["items"] == [{"kind": "a", "n": 5, "row": 1}, {"kind": "other", "n": 1, "why": "y", "row": 2}]
    found = errors(form, {"most": 5, "items": [{"kind": "other", "n": 9}, {"kind": "a"}]})
    assert found == {"items[0].n": "超出", "items[0].why": "请填写“why”", "items[1].n": "请填写“n”"}


def test_an_expression_over_its_limits_is_told(make: Any) -> None:
    form = make(field("n", "number"), field("e", "expression", expression="=count(for i in 1..n return i)"))
    assert run(form, {"n": 3}) == {"n": 3, "e": 3}
    assert list(errors(form, {"n": 1_000_000_000})) == ["e"]


def test_the_caller_may_evaluate(make: Any) -> None:
    form = make(field("x", **hide("=secret")))
    with_secret = form.validate(
        {"x": "a"},
        current={},
        rights=EDIT,
        evaluate=lambda text, data: compile_feel(text).evaluate({**data, "secret": True}),
    )
    assert with_secret == {}
