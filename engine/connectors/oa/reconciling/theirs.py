"""Their side: does the OA's list of a person show exactly what our record says that it does?

An item counts only where it was at rest from before the list was asked for until after it came: what is pushed
meanwhile may be in the list or not.
"""

import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from engine.connectors.oa.adapters.protocol import Shown
from engine.connectors.oa.adapters.texts import printable, same
from engine.connectors.oa.reconciling.findings import (
    GHOST,
    MISSING,
    OPEN,
    STALE,
    THEIRS,
    Finding,
    at_rest,
    settled,
    state_of,
)
from engine.connectors.oa.reconciling.ours import Record
from engine.connectors.oa.reconciling.pairing import alike, take_exact, take_titled

_SKEW = timedelta(seconds=5)  # between the clocks of two machines
_BY_HAND = "请 OA 管理员核实后，在 OA 后台的待办数据里按此人和标题删除它"
_KEY = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Looked:
    """A person's lists as they came, and our record of the person before they were asked for and after."""

    person_id: uuid.UUID
    asked_at: datetime
    before: Mapping[uuid.UUID, Any]
    after: Mapping[uuid.UUID, Any]
    lists: Mapping[str, Sequence[Shown]]  # by account

    def comparable(self, row: Any) -> bool:
        """Whether an item was at rest all the while, and our record of it is beyond doubt."""
        before = self.before.get(row.item_id)
        return before is not None and settled(row) and at_rest(before) and state_of(before) == state_of(row)

    def rested(self, row: Any) -> bool:
        """Whether an item that wasn't looked at before was at rest all the while."""
        moments = [at for at in (row.changed_at, row.shown_at) if at is not None]
        return settled(row) and row.item_id not in self.before and max(moments) < self.asked_at - _SKEW


def readable(line: Shown) -> Shown:
    """Return a line without what no database takes; one that has a key keeps one."""
    return replace(
        line, key=printable(line.key) or (line.key and "?"), title=printable(line.title), node=printable(line.node)
    )


def compare(looked: Looked, record: Record) -> Iterator[Finding]:
    """Yield where an OA's lists of a person differ from our record."""
    for account, lines in looked.lists.items():
        mine = [row for row in looked.after.values() if row.account == account and row.shown in OPEN]
        if any(not line.key for line in lines):
            yield from _by_looks(looked, record, account, mine, lines)
        else:
            yield from _by_keys(looked, record, account, mine, lines)


def _by_keys(
    looked: Looked,
    record: Record,
    account: str,
    mine: Iterable[Any],
    lines: Sequence[Shown],
) -> Iterator[Finding]:
    by_key: defaultdict[str, list[Shown]] = defaultdict(list)
    for line in lines:
        by_key[line.key.lower()].append(line)
    for row in mine:
        found = by_key.pop(row.item_id.hex, [])
        if looked.comparable(row) and (how := _differing(row, found)):
            kind = STALE if found else MISSING
            yield _put(kind, looked, row, account, how)
    others = {key: uuid.UUID(key) for key in by_key if _KEY.fullmatch(key)}
    known, told = record.by_keys(others.values()) if others else {}, record.told(others)
    for key, found in by_key.items():
        row = known.get(others[key]) if key in others else None
        if key in told or (row is not None and (_elsewhere(row, account) or not _rested(looked, row))):
            continue
        yield _ghost(looked, account, found[0], row, ours=key in others)


def _elsewhere(row: Any, account: str) -> bool:
    """Whether an item is rightly in a list that two of our people have: it is compared with whose it is."""
    return bool(row.account == account and row.shown in OPEN)


def _rested(looked: Looked, row: Any) -> bool:
    return looked.comparable(row) if row.item_id in looked.before else looked.rested(row)


def _ghost(looked: Looked, account: str, line: Shown, row: Any, *, ours: bool) -> Finding:
    """Tell what is in a list and shouldn't be: closed with us, somebody else's, or never heard of."""
    if row is not None and row.account == account:
        return _put(GHOST, looked, row, account, "已经不是待办")
    if not ours:
        told = f"编号“{line.key[:40]}”不是我们的；{_BY_HAND}"
        return Finding(GHOST, THEIRS, line.title[:200], told, "none", person_id=looked.person_id, account=account)
    why = "没有这条待办" if row is None else f"它在账号 {row.account} 下"
    return Finding(
        GHOST, THEIRS, line.title[:200], f"{line.node}：{why}", "remove", None if row is None else row.item_id,
        looked.person_id, account, shown=line,
    )  # fmt: skip


def _put(kind: str, looked: Looked, row: Any, account: str, told: str) -> Finding:
    detail = f"{row.node}：{told}"
    return Finding(kind, THEIRS, row.title, detail, "put", row.item_id, looked.person_id, account, items=(row.item_id,))


def _differing(row: Any, lines: Sequence[Shown]) -> str:
    """Say how what a list shows of an item differs from our record, nothing where it doesn't."""
    if not lines:
        return "OA 的列表里没有"
    if len(lines) > 1:
        return f"OA 的列表里有 {len(lines)} 条"
    line = lines[0]
    told = []
    if line.state != row.shown:
        told.append("状态不同")
    if not same(row.title, line.title):
        told.append("标题不同")
    if line.node and not same(row.node, line.node):
        told.append("节点不同")
    return "、".join(told)


def _by_looks(
    looked: Looked, record: Record, account: str, mine: Sequence[Any], lines: Sequence[Shown]
) -> Iterator[Finding]:
    """Compare where the list tells no keys: by state, title, node and moment, then by title, as often as each is there.

    What isn't at rest may be there or not, and is left out on both sides.
    """
    ours = [row for row in mine if looked.comparable(row)]
    resting = {row.item_id for row in ours}
    around = [*looked.before.values(), *looked.after.values()]
    moving = [row for row in around if row.account == account and row.item_id not in resting]
    left = list(lines)
    otherwise = take_exact(ours, left)
    absent = take_titled(otherwise, left)
    take_titled(moving, left)
    missing = {row.item_id for row in absent}
    for row in otherwise:
        if row.item_id not in missing:
            yield _put(STALE, looked, row, account, "状态、节点或时间不同")
    yield from _missing(looked, account, ours, absent)
    for line in left:
        yield _nameless(looked, record, account, line)


def _missing(looked: Looked, account: str, ours: Sequence[Any], absent: Sequence[Any]) -> Iterator[Finding]:
    """Tell what is missing: where some of several with one title are, all of these are put again, shared out among the
    differences, those that were put longest ago first.
    """
    by_title: defaultdict[str, list[Any]] = defaultdict(list)
    for row in ours:
        by_title[row.title].append(row)
    for title, count in Counter(row.title for row in absent).items():
        titled = by_title[title]
        if count == len(titled):
            for row in titled:
                yield _put(MISSING, looked, row, account, "OA 的列表里没有")
            continue
        told = f"同名的 {len(titled)} 条里少 {count} 条，OA 的列表不带编号，分不出是哪条，修复时这几条都重新推送"
        again = [row.item_id for row in sorted(titled, key=lambda row: row.shown_at)]
        for number in range(count):
            items = tuple(again[number::count])
            yield Finding(MISSING, THEIRS, title, told, "put", None, looked.person_id, account, items)


def _nameless(looked: Looked, record: Record, account: str, line: Shown) -> Finding:
    """Tell of a line that none of our open items accounts for: what may have left it behind is put again."""
    closed = record.entitled(looked.person_id, line.title)
    likely = [row for row in closed if row.account == account and settled(row) and alike(row, line)]
    if not likely:
        return Finding(
            GHOST, THEIRS, line.title[:200], f"{line.node}：OA 的列表不带编号，找不到是哪条；{_BY_HAND}", "none",
            person_id=looked.person_id, account=account,
        )  # fmt: skip
    only = likely[0] if len(likely) == 1 else None
    told = "已经不是待办" if only is not None else f"是已办结的同名 {len(likely)} 条之一"
    return Finding(
        GHOST, THEIRS, line.title[:200], f"{line.node}：{told}", "put", only.item_id if only else None,
        looked.person_id, account, tuple(row.item_id for row in likely),
    )  # fmt: skip
