"""Do conditions leave a case open, and which of them are never the first to hold?"""

from decimal import Decimal

import pytest

from engine.feel import FeelType
from engine.feel.cases import Coverage, coverage, never
from engine.feel.parser import parse

TYPES = {
    "outcome": FeelType("string", values=("approve", "reject")),
    "level": FeelType("string", values=("low", "middle", "high")),
    "grade": FeelType("number", values=(Decimal(1), Decimal(2), Decimal(3))),
    "readers": FeelType("list"),
}


def cover(conditions: list[str], *, in_order: bool = True) -> Coverage:
    return coverage([parse(text) for text in conditions], TYPES.get, in_order=in_order)


@pytest.mark.parametrize(
    ("conditions", "covered"),
    [
        (["true"], True),
        (["days > 3", "days <= 3"], True),
        (["days > 3", "days < 3"], False),
        (["days < 3", "days = 3", "days > 3"], True),
        (["days <= 3", "days > 3 and days <= 7", "days > 7"], True),
        (["days <= 3", "days > 4 and days <= 7", "days > 7"], False),
        (["days < 1", "days between 1 and 7", "7 < days"], True),
        (["days > 3", "hours <= 3"], False),
        (["days > 3 or days <= 3"], True),
        (["days > 3 and urgent", "days <= 3"], False),
        (["urgent", "not(urgent)"], True),
        (["urgent = true", "urgent = false"], True),
        (["urgent = true", "not(urgent)"], True),
        (["urgent", "not(other)"], False),
        (['kind = "病假"', 'kind != "病假"'], True),
        (['kind = "病假"', 'kind != "事假"'], False),
        (['outcome = "approve"', 'outcome = "reject"'], True),
        (['outcome in ("approve", "reject")'], True),
        (['outcome in ["approve", "reject"]'], True),
        (['outcome = "approve" or "reject" = outcome'], True),
        (['outcome = "approve"'], False),
        (['outcome = "approve" and days > 3', 'outcome = "reject"'], False),
        (['kind = "approve"', 'kind = "reject"'], False),
        (['outcome = "approve" and days > 3', 'outcome = "approve" and days <= 3', 'outcome = "reject"'], True),
        (['level = "low" or level = "high"', 'not(level in ("low", "high"))'], True),
        (['level in ("low", "middle")', 'level = "high"'], True),
        (['level = "low"', 'level = "high"'], False),
        (["grade <= 2", "grade = 3"], True),
        (["grade <= 2"], False),
        (["days > 3", "count(days) > 2 or days <= 3"], True),
        (["days > 3", "days + 1 <= 4"], False),
        (["days = null", "days > 3", "days <= 3"], True),
        (["days = null", "days > 3"], False),
        (['steps.a = "approve"', 'steps.a != "approve"'], True),
        (["f(urgent)", "true"], True),
    ],
)
def test_coverage(conditions: list[str], covered: bool) -> None:
    assert cover(conditions).covered == covered


def test_values_cover_nothing_where_there_may_be_others() -> None:
    conditions = [parse('outcome = "approve"'), parse('outcome = "reject"')]
    assert not coverage(conditions, lambda _: None).covered


def test_a_gap_is_shown_by_an_example() -> None:
    assert cover(['level = "low"', 'level = "high"']).gap == {("level",): "middle"}
    assert cover(['outcome = "reject"', 'outcome = "approve" and days <= 3']).gap == {
        ("outcome",): "approve",
        ("days",): 4,
    }
    assert cover(["days > 3", "count(readers) > 2"]).gap is None  # the second may hold in any case


@pytest.mark.parametrize(
    ("conditions", "dead"),
    [
        (["days <= 7", "days <= 3"], (1,)),
        (["days <= 3", "days <= 7"], ()),
        (["days > 3", "days <= 3", "urgent"], ()),  # where days is null
        (["days > 3 and days < 2", "true"], (0,)),
        (["true", "urgent"], (1,)),
        (['level in ("low", "middle")', 'level = "high"', 'level = "low"'], (2,)),
        (['level in ("low", "middle")', 'level = "high"', 'level != "low"'], ()),  # so is null
        (["count(readers) > 2", "days > 3"], ()),
        (["days > 3", "count(readers) > 2 or days > 4"], ()),
        (["readers != null", "readers = null", "urgent"], (2,)),
    ],
)
def test_conditions_that_are_never_the_first_to_hold(conditions: list[str], dead: tuple[int, ...]) -> None:
    assert cover(conditions).dead == dead


def test_where_all_that_hold_count_only_the_impossible_is_dead() -> None:
    assert cover(["days <= 7", "days <= 3"], in_order=False).dead == ()
    assert cover(["days > 3 and days < 2", "true"], in_order=False).dead == (0,)


@pytest.mark.parametrize("text", ["days > 3 and days < 2", 'level = "low" and level = "high"', "not(urgent or true)"])
def test_a_condition_that_never_holds(text: str) -> None:
    assert never(parse(text), TYPES.get)


@pytest.mark.parametrize("text", ["days > 3", "urgent and not(other)", "f(days) and days = 3", "a < b"])
def test_a_condition_that_may_hold(text: str) -> None:
    assert not never(parse(text), TYPES.get)


def test_what_tells_too_many_cases_apart_is_not_decided() -> None:
    many = " and ".join(f"x{index} > {index}" for index in range(12))
    assert cover([many, "true"]) == Coverage(covered=True, gap=None, dead=())
    assert cover([many]) == Coverage(covered=False, gap=None, dead=())
