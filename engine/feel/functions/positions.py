"""Positions in texts and lists: from 1, or from the end when negative (DMN 1.5, tables 74 and 75)."""

from decimal import Decimal


def index_of_position(position: Decimal, size: int) -> int:
    """Return the index from 0 of a position; ValueError when it is no whole number or beyond either end."""
    if position != position.to_integral_value() or not 1 <= abs(position) <= size:
        raise ValueError("no such position")
    return int(position) - 1 if position > 0 else size + int(position)


def section(start: Decimal, length: Decimal | None, size: int) -> tuple[int, int]:
    """Return the bounds of `length` (or all) elements from a position on; ValueError when there are not as many."""
    first = index_of_position(start, size)
    if length is None:
        return first, size
    if not 1 <= length <= size - first:
        raise ValueError("no such length")
    return first, first + int(length)
