"""Amounts in capitals: the central bank's own examples, and every amount read back."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.bpm.forms import capitals

DIGITS = {digit: value for value, digit in enumerate("零壹贰叁肆伍陆柒捌玖")}
SMALL = {"拾": 10, "佰": 100, "仟": 1000}


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1409.50", "壹仟肆佰零玖元伍角整"),
        ("6007.14", "陆仟零柒元壹角肆分"),
        ("1680.32", "壹仟陆佰捌拾元零叁角贰分"),
        ("107000.53", "壹拾万零柒仟元零伍角叁分"),
        ("16409.02", "壹万陆仟肆佰零玖元零贰分"),
        ("325.04", "叁佰贰拾伍元零肆分"),
        ("0", "零元整"),
        ("0.05", "伍分"),
        ("0.50", "伍角整"),
        ("10000", "壹万元整"),
        ("100000000", "壹亿元整"),
        ("10000000001", "壹佰亿零壹元整"),
        ("1200000000000", "壹万贰仟亿元整"),
        ("-3.20", "负叁元贰角整"),
    ],
)
def test_examples(amount: str, text: str) -> None:
    assert capitals(Decimal(amount)) == text


@pytest.mark.parametrize("amount", ["0.001", "1e16", "NaN", "Infinity"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="no amount"):
        capitals(Decimal(amount))


@given(st.integers(0, 10**18 - 1))
def test_every_amount_reads_back(cents: int) -> None:
    text = capitals(Decimal(cents) / 100)
    assert "零零" not in text
    assert read(text) == cents


def read(text: str) -> int:
    """Read capitals back to cents by the grammar of Chinese numerals, independently of how they were written."""
    yuan, _, rest = text.removesuffix("整").rpartition("元")
    cents = 0
    for digit, unit in zip(rest.replace("零", "")[::2], rest.replace("零", "")[1::2], strict=True):
        cents += DIGITS[digit] * {"角": 10, "分": 1}[unit]
    total = section = digit_value = 0
    for char in yuan:
        if char in DIGITS:
            digit_value = DIGITS[char]
        elif char in SMALL:
            section += digit_value * SMALL[char]
            digit_value = 0
        elif char == "万":
            total += (section + digit_value) * 10_000
            section = digit_value = 0
        else:
            total = (total + section + digit_value) * 100_000_000
            section = digit_value = 0
    return (total + section + digit_value) * 100 + cents
