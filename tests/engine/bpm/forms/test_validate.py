"""Validation: what comes in is normalised, what breaks a rule is told by field, what isn't asked for is dropped."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from engine import clock
from engine.bpm.forms import Form, Rights
from engine.errors import Invalid

EDIT = Rights()


def messages(form: Form, submitted: Any, **options: Any) -> dict[str, str]:
    options = {"current": {}, "rights": EDIT, **options}
    with pytest.raises(Invalid) as refused:
        form.validate(submitted, **options)
    assert refused.value.code == "form_invalid"
    return {error["place"]: error["message"] for error in refused.value.errors}


def value(form: Form, raw: Any, **options: Any) -> Any:
    return form.validate({"x": raw}, **{"current": {}, "rights": EDIT, **options})["x"]


def field(kind: str = "textfield", **more: Any) -> dict[str, Any]:
    return {"type": kind, "key": "x", "label": "字段", **more}


CHOICES = [{"label": "甲", "value": "a"}, {"label": "乙", "value": "b"}, {"label": "三", "value": 3}]


@pytest.mark.parametrize(
    ("component", "raw", "stored"),
    [
        (field(), "  e\u0301te\u0301 \u0000\u202e ", "été"),
        (field(), "两\n行", "两 行"),
        (field("textarea"), "一\r\n二\t三\x07", "一\n二\t三"),
        (field(), "   ", None),
        (field("number"), 3, 3),
        (field("number"), 3.0, 3),
        (field("number"), 2.5, 2.5),
        (field("number"), " 1２.50", 12.5),
        (field("number"), Decimal("0.1"), 0.1),
        (field("number"), "", None),
        (field("number", properties={"widget": "money"}), "12.30", 12.3),
        (field("datetime", subtype="date"), "2028-02-29", "2028-02-29"),
        (field("datetime", subtype="time"), "09:30", "09:30:00"),
        (field("datetime", subtype="datetime"), "2026-03-08T09:30", "2026-03-08T09:30:00"),
        (field("datetime", subtype="datetime"), "2026-03-08T01:30:00Z", "2026-03-08T09:30:00"),
        (field("checkbox"), True, True),
        (field("checkbox"), None, False),
        (field("select", values=CHOICES), "a", "a"),
        (field("select", values=CHOICES), "3", 3),
        (field("radio", values=CHOICES), "", None),
        (field("checklist", values=CHOICES), ["b", "3", "b"], ["b", 3]),
        (field("taglist", values=CHOICES), None, []),
        (field(properties={"widget": "person"}), "p1", "p1"),
        (field("taglist", properties={"widget": "people"}), ["p1", "p2", "p1"], ["p1", "p2"]),
        (field("filepicker"), "f1", "f1"),
        (field("filepicker", multiple=True), ["f1"], ["f1"]),
    ],
)
def test_values_are_normalised(make: Any, component: Any, raw: Any, stored: Any) -> None:
    result = value(make(component), raw)
    assert result == stored
    assert type(result) is type(stored)


@pytest.mark.parametrize(
    ("component", "raw", "message"),
    [
        (field(), 5, "应为文本"),
        (field(), "长" * 20_001, "至多 20000 个字"),
        (field("number"), "abc", "应为数字"),
        (field("number"), True, "应为数字"),
        (field("number"), float("nan"), "应为数字"),
        (field("number"), float("inf"), "应为数字"),
        (field("number"), 10**400, "过大"),
        (field("number"), "1e400", "应为数字"),
        (field("number"), 1e300, "过大"),
        (field("number"), "0.1234567890123456", "应为数字"),
        (field("number"), "12345678901.234567", "15 位"),
        (field("number", decimalDigits=1), 2.25, "至多 1 位小数"),
        (field("number", decimalDigits=0), "2.5", "应为整数"),
        (field("number", properties={"widget": "money"}), "1.234", "至多 2 位小数"),
        (field("number", validate={"min": 1}), 0, "不能小于 1"),
        (field("number", validate={"max": "10"}), 10.5, "不能大于 10"),
        (field("number", increment="0.5"), 1.2, "0.5 的倍数"),
        (field("datetime", subtype="date"), "2026-02-29", "不是有效的日期"),
        (field("datetime", subtype="date"), "2026-W08-1", "不是有效的日期"),
        (field("datetime", subtype="time"), "25:00", "不是有效的时间"),
        (field("datetime", subtype="datetime"), "2026-03-08", "不是有效的日期"),
        (field("datetime", subtype="datetime"), "0001-01-01T00:00:00+14:00", "不是有效的日期"),
        (field("checkbox"), "true", "应为是或否"),
        (field("select", values=CHOICES), "c", "没有选项“c”"),
        (field("select", values=CHOICES), ["a"], "无效"),
        (field("checklist", values=CHOICES), ["a", "z"], "没有选项“z”"),
        (field("checklist", values=CHOICES), "a", "列表"),
        (field("checklist", values=CHOICES), ["a"] * 1001, "列表"),
        (field(properties={"widget": "person"}), "?王五", "找不到“王五”"),
        (field(properties={"widget": "person"}), "../etc", "无效"),
        (field(properties={"widget": "person"}), ["p1"], "无效"),
        (field("filepicker"), {"id": 1}, "无效"),
        (field(validate={"minLength": 2}), "一", "至少 2 个字"),
        (field(validate={"maxLength": 2}), "一二三", "至多 2 个字，现有 3 个"),
        (field(validate={"pattern": r"^\d{4}$", "patternErrorMessage": "请填四位数字"}), "12a4", "请填四位数字"),
        (field(validate={"validationType": "email"}), "a@b", "邮箱"),
        (field(validate={"validationType": "phone"}), "12-ab", "电话"),
        (field(validate={"required": True}), " ", "请填写“字段”"),
        (field("number", validate={"required": True}), None, "请填写“字段”"),
        (field("checkbox", validate={"required": True}), False, "请勾选“字段”"),
        (field("select", values=CHOICES, validate={"required": True}), "", "请选择“字段”"),
        (field("filepicker", multiple=True, validate={"required": True}), [], "请上传“字段”"),
    ],
)
def test_what_breaks_a_rule(make: Any, component: Any, raw: Any, message: str) -> None:
    assert message in messages(make(component), {"x": raw})["x"]


@pytest.mark.parametrize("mail", ["zhang.san@hospital.example.cn", "院办@医院.cn"])
def test_mail_addresses(make: Any, mail: str) -> None:
    assert value(make(field(validate={"validationType": "email"})), mail) == mail


@pytest.mark.parametrize("phone", ["13800138000", "+86 138 0013 8000", "0571-88888888", "0571-88888888转123", "6123"])
def test_phone_numbers(make: Any, phone: str) -> None:
    assert value(make(field(validate={"validationType": "phone"})), phone) == phone


def test_a_slow_pattern_ends(make: Any) -> None:
    form = make(field(validate={"pattern": "^(a|a)*b$"}))
    assert "格式" in messages(form, {"x": "a" * 5000})["x"]


def test_passed_dates_by_the_clock_of_the_hospital(make: Any) -> None:
    form = make(field("datetime", subtype="date", disallowPassedDates=True))
    # 20:00 UTC on the 7th is the 8th in Shanghai.
    clock.freeze(datetime(2026, 3, 7, 20, tzinfo=UTC))
    try:
        assert value(form, "2026-03-08") == "2026-03-08"
        assert "早于今天" in messages(form, {"x": "2026-03-07"})["x"]
    finally:
        clock.freeze(None)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "1899-12-31", "2200-01-01"])
def test_days_at_the_ends_of_the_calendar_are_refused(make: Any, day: str) -> None:
    assert "x" in messages(make(field("datetime", subtype="date")), {"x": day})
    assert "x" in messages(make(field("datetime", subtype="datetime")), {"x": f"{day}T00:00"})


def test_unknown_read_only_and_forbidden_fields_are_dropped(make: Any) -> None:
    form = make(field(), field(key="y", readonly=True), field(key="z", disabled=True), field(key="w"), field(key="v"))
    rights = Rights(fields={"w": "read", "v": "hidden"})
    sent = dict.fromkeys("xyzwv", "new") | {"outcome": "approve", "unknown": 1, "_x": 2}
    assert form.validate(sent, current={}, rights=rights) == {"x": "new"}
    assert form.validate(sent, current={}, rights=Rights(default="read")) == {}


def test_a_wrong_value_of_a_dropped_field_is_no_error(make: Any) -> None:
    form = make(field("number", conditional={"hide": "=y"}), field("checkbox", key="y"))
    assert form.validate({"x": "abc", "y": True}, current={}, rights=EDIT) == {"y": True}
    assert "x" in messages(form, {"x": "abc", "y": False})


def test_what_is_not_sent_keeps_its_value_or_takes_its_default(make: Any) -> None:
    form = make(field(validate={"required": True}), field("number", key="n", defaultValue=7), field(key="optional"))
    assert form.validate({}, current={"x": "old"}, rights=EDIT) == {"n": 7}
    assert form.validate({"n": None}, current={"x": "old"}, rights=EDIT) == {"n": None}
    assert messages(form, {}) == {"x": "请填写“字段”"}


def test_options_from_the_data_and_from_feel(make: Any) -> None:
    rooms = make(field("select", valuesKey="rooms"))
    current = {"rooms": [{"label": "一会议室", "value": 1}, "大厅"]}
    assert value(rooms, "1", current=current) == 1
    assert "没有选项" in messages(rooms, {"x": "2"}, current=current)["x"]
    upto = make(field("radio", valuesExpression="=for i in 1..n return i"), field("number", key="n"))
    assert upto.validate({"x": "3", "n": 3}, current={}, rights=EDIT) == {"x": 3, "n": 3}
    assert "没有选项" in messages(upto, {"x": "3", "n": 2})["x"]


def test_ids_and_file_types_are_looked_up(make: Any, names: Any) -> None:
    form = make(
        field(properties={"widget": "person"}),
        field(key="d", properties={"widget": "department"}),
        field("filepicker", key="f", multiple=True, accept=".pdf,image/*"),
    )
    good = {"x": "p1", "d": "d1", "f": ["f1", "f3"]}
    assert form.validate(good, current={}, rights=EDIT, lookups=names) == good
    bad = {"x": "p9", "d": "p1", "f": ["f2"]}
    found = messages(form, bad, lookups=names)
    assert "人员不存在" in found["x"]
    assert "部门不存在" in found["d"]
    assert "病历.exe" in found["f"]


def test_errors_come_in_the_order_of_the_form(make: Any) -> None:
    need: dict[str, Any] = {"validate": {"required": True}}
    rows = {
        "type": "dynamiclist",
        "path": "items",
        "label": "明细",
        "components": [field(**need), field("number", key="n")],
    }
    form = make(field(key="a", **need), rows, field("number", key="b"))
    found = messages(form, {"b": "x", "items": [{"x": "1", "n": 1}, {"x": "", "n": "y"}]})
    assert list(found) == ["a", "items[1].x", "items[1].n", "b"]


@pytest.mark.parametrize("raw", ["text", {"a": 1}, [1], [{}] * 201])
def test_rows_that_are_none(make: Any, raw: Any) -> None:
    form = make({"type": "dynamiclist", "path": "items", "label": "明细", "components": [field()]})
    assert "至多 200 行" in messages(form, {"items": raw})["items"]


def test_rows_drop_unknown_columns(make: Any) -> None:
    form = make({"type": "dynamiclist", "path": "items", "label": "明细", "components": [field("number")]})
    assert form.validate({"items": [{"x": "2", "evil": 1}]}, current={}, rights=EDIT) == {"items": [{"x": 2}]}


def test_a_list_of_fixed_rows_keeps_its_rows_and_read_only_columns(make: Any) -> None:
    columns = [field(readonly=True), field("number", key="n")]
    form = make(
        {"type": "dynamiclist", "path": "items", "label": "明细", "allowAddRemove": False, "components": columns}
    )
    current = {"items": [{"x": "甲", "n": 1}, {"x": "乙", "n": 2}]}
    sent = {"items": [{"x": "forged", "n": 5}, {"n": 6}]}
    assert form.validate(sent, current=current, rights=EDIT) == {"items": [{"x": "甲", "n": 5}, {"x": "乙", "n": 6}]}
    assert "不能增删" in messages(form, {"items": [{"n": 5}]}, current=current)["items"]


def test_submitted_data_must_be_an_object(make: Any) -> None:
    assert messages(make(field()), [1]) == {"": "表单数据应为对象"}


def test_references_for_binding(make: Any) -> None:
    people = field("taglist", key="who", properties={"widget": "people"})
    form = make(people, {"type": "dynamiclist", "path": "items", "label": "明细", "components": [field("filepicker")]})
    data = {"who": ["p1", "p2"], "items": [{"x": "f1"}, {"x": None}, {"x": "f1"}]}
    assert form.references(data) == (["p1", "p2"], [], ["f1"])
