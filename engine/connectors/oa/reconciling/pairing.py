"""Which line of a list is which row of ours where the list tells no keys: by what both look like."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from operator import itemgetter
from typing import Any

from engine.connectors.oa.adapters.protocol import Shown
from engine.connectors.oa.adapters.texts import same

_NEAR = timedelta(seconds=2)  # OAs keep moments in whole seconds
_NO_TIME = timedelta()


def alike(row: Any, line: Shown) -> bool:
    """Whether a line is at the step and of the moment of a row; what the line doesn't tell agrees."""
    return _same_step(row, line) and (line.received_at is None or abs(line.received_at - row.opened_at) < _NEAR)


def take_exact(rows: Iterable[Any], left: list[Shown]) -> list[Any]:
    """Take the lines that show rows by state, title, step and moment out of those left; return the other rows.

    Of rows that look alike as many as possible find a line, and each the nearest that this allows.
    """
    groups, absent = defaultdict[tuple[str, str, str], list[Any]](list), []
    for row in rows:
        groups[row.shown, row.title, row.node].append(row)
    for group in groups.values():
        group.sort(key=lambda row: row.opened_at)
        fitting = [line for line in left if _fits(group[0], line)]
        dated = [(line.received_at, line) for line in fitting if line.received_at is not None]
        timed = [line for _, line in sorted(dated, key=itemgetter(0))]
        untimed = [line for line in fitting if line.received_at is None]
        for row, line in _paired(group, timed):
            if line is None and untimed:
                line = untimed.pop()
            if line is None:
                absent.append(row)
            else:
                left.remove(line)
    return absent


def take_titled(rows: Iterable[Any], left: list[Shown]) -> list[Any]:
    """Take the lines that show rows by title alone out of those that are left; return the other rows."""
    absent = []
    for row in rows:
        line = next((line for line in left if same(row.title, line.title)), None)
        if line is None:
            absent.append(row)
        else:
            left.remove(line)
    return absent


def _paired(rows: Sequence[Any], lines: Sequence[Any]) -> Iterable[tuple[Any, Shown | None]]:
    """Yield each row with its line, both given by moment: the most pairs, and of those ways the least time between.

    Best pairs never cross, so what is best of the rest tells what is best from here (an alignment of two sequences).
    """
    height, width = len(rows), len(lines)
    best = [[(0, _NO_TIME)] * (width + 1) for _ in range(height + 1)]
    for i in reversed(range(height)):
        for j in reversed(range(width)):
            best[i][j] = min(best[i + 1][j], best[i][j + 1])
            if (apart := abs(lines[j].received_at - rows[i].opened_at)) < _NEAR:
                pairs, time = best[i + 1][j + 1]
                best[i][j] = min(best[i][j], (pairs - 1, time + apart))
    j = 0
    for i, row in enumerate(rows):
        while j < width and best[i][j] == best[i][j + 1]:
            j += 1
        if best[i][j] == best[i + 1][j]:
            yield row, None
        else:
            yield row, lines[j]
            j += 1


def _fits(row: Any, line: Shown) -> bool:
    return line.state == row.shown and same(row.title, line.title) and _same_step(row, line)


def _same_step(row: Any, line: Shown) -> bool:
    return not line.node or same(row.node, line.node)
