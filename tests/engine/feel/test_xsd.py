"""Texts of XML Schema's types become FEEL's values."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from engine.feel import FeelError, YearsMonthsDuration, from_xsd

VALUES = [
    ("xsd:string", " 儿科 ", " 儿科 "),
    ("string", "", ""),
    ("token", "  a\n b ", "a b"),
    ("xsd:boolean", "true", True),
    ("xs:boolean", " 0 ", False),
    ("xsd:decimal", "+12.50", Decimal("12.50")),
    ("xsd:decimal", ".5", Decimal("0.5")),
    ("xsd:double", "1.5E3", Decimal(1500)),
    ("xsd:float", "-2", Decimal(-2)),
    ("xsd:integer", "007", Decimal(7)),
    ("xsd:integer", "1" * 40, Decimal("1111111111111111111111111111111111E6")),  # 34 digits are kept
    ("xsd:unsignedByte", "255", Decimal(255)),
    ("xsd:date", "2026-07-01", date(2026, 7, 1)),
    ("xsd:time", "08:30:00Z", time(8, 30, tzinfo=UTC)),
    ("xsd:dateTime", "2026-07-01T08:30:00.5", datetime(2026, 7, 1, 8, 30, 0, 500_000)),  # noqa: DTZ001 - no zone is meant
    ("xsd:duration", "P1DT2H", timedelta(days=1, hours=2)),
    ("xsd:duration", "-P1Y2M", YearsMonthsDuration(-14)),
    ("xsd:dayTimeDuration", "PT90M", timedelta(minutes=90)),
    ("xsd:yearMonthDuration", "P18M", YearsMonthsDuration(18)),
    ("xsd:date", None, None),
]
MISFITS = [
    ("xsd:boolean", "True"),
    ("xsd:boolean", ""),
    ("xsd:decimal", "1e3"),
    ("xsd:decimal", "1,000"),
    ("xsd:double", "INF"),
    ("xsd:double", "1e99999"),
    ("xsd:integer", "7.0"),
    ("xsd:byte", "128"),
    ("xsd:positiveInteger", "0"),
    ("xsd:date", "2026-02-30"),
    ("xsd:date", "2026-07-01Z"),
    ("xsd:dateTime", "2026-07-01"),
    ("xsd:time", "08:30:00@Asia/Shanghai"),
    ("xsd:duration", "P1M1D"),
    ("xsd:dayTimeDuration", "P1M"),
    ("xsd:yearMonthDuration", "P1D"),
]


@pytest.mark.parametrize(("kind", "text", "value"), VALUES)
def test_a_text_becomes_the_value_of_its_type(kind: str, text: str | None, value: object) -> None:
    found = from_xsd(kind, text)
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(("kind", "text"), MISFITS)
def test_a_text_of_another_type_is_refused_in_both_languages(kind: str, text: str) -> None:
    with pytest.raises(FeelError) as refusal:
        from_xsd(kind, text)
    name = kind.removeprefix("xsd:")
    assert refusal.value.message == f"“{text}”不是 XML Schema 的 {name}"
    assert refusal.value.message_en == f"{text!r} is no XML Schema {name}"


@pytest.mark.parametrize("kind", ["xsd:gYear", "feel:string", "", "xsd:", "a:xsd:string"])
def test_an_unknown_type_is_refused_whatever_the_text(kind: str) -> None:
    for text in ("1", None):
        with pytest.raises(FeelError, match="XML Schema"):
            from_xsd(kind, text)
