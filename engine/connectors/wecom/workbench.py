"""The workbench (工作台关键数据): 待办, 待阅, 我发起, 逾期 of each person, as their boxes count them.

There is no badge in WeCom; this is how a count appears (document 92535). It takes 10 a minute for each member: a change
is told 8 s later, with all that came meanwhile (`engine.bpm.figures`), and only where a figure differs from the last.
"""

import uuid

from engine import clock, outbox
from engine.batch import Batch, Statement
from engine.bpm import queries
from engine.bpm.queries import Board
from engine.connectors.wecom.cards import Links
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.client.answers import KeyData
from engine.connectors.wecom.client.errors import NoRecipient, Refused, Unknown
from engine.connectors.wecom.messages import parts
from engine.db import Database
from engine.org.directory import directory
from engine.org.identity import actor_of

# a member's userid, what is shown to them, and whether this application (`mine`) ever showed anybody anything
_MEMBER = Statement(
    "SELECT a.userid, b.shown, EXISTS (SELECT 1 FROM wecom_board o WHERE substr(o.shown, 1, length(:mine)) = :mine) "
    "AS ever FROM wecom_account a LEFT JOIN wecom_board b ON b.person_id = a.person_id "
    "WHERE a.person_id = :person AND a.vanished_at IS NULL"
)
_SHOWN = Statement(
    "INSERT INTO wecom_board (person_id, shown, pushed_at) VALUES (:person, :shown, :now) "
    "ON CONFLICT (person_id) DO UPDATE SET shown = excluded.shown, pushed_at = excluded.pushed_at"
)


@outbox.handler("wecom", "board", in_transaction=False, newest=True, aside=True)
def push(db: Database, row: outbox.Leased) -> None:
    """Show a person's figures in WeCom, if they aren't shown already; who isn't there any more has none."""
    wecom, links = parts(db)
    person_id = uuid.UUID(row.payload["person"])
    with db.reading() as session:
        actor = actor_of(directory(session), person_id)
        batch, mine = Batch(), {"person": person_id, "mine": _of(wecom)}
        batch.query(_MEMBER, mine)
        [member] = batch.run(session)
        if not member or actor is None:
            return
        items = figures(queries.board(session, actor), links)
    [(userid, last, ever)] = member
    shown = _written(wecom, items)
    if last == shown:
        return
    if not ever:
        wecom.workbench_template()
    try:
        _show(wecom, userid, items, retry=bool(ever))
    except (NoRecipient, Unknown):
        return  # not a member any more, or outside of the visible scope: the contacts tell
    batch = Batch()
    batch.add(_SHOWN, {"person": person_id, "shown": shown, "now": clock.now()})
    with db.unit_of_work() as session:
        batch.defer(session)


def figures(board: Board, links: Links) -> list[KeyData]:
    """Return the figures as they are shown, each with the box that it counts."""
    late = "todo" if board.overdue_todo or not board.overdue else "read_todo"
    shown = (
        ("待办", board.todo, links.box("todo")),
        ("待阅", board.read_todo, links.box("read_todo")),
        ("我发起", board.started, links.box("started", state="running")),
        ("逾期", board.overdue, links.box(late, overdue="1")),
    )
    return [KeyData(name, queries.shown(count), url) for name, count, url in shown]


def _show(wecom: WeCom, userid: str, items: list[KeyData], *, retry: bool) -> None:
    """Show a member their figures; WeCom takes none where the template has been removed in its console."""
    try:
        wecom.workbench(userid, items)
    except (NoRecipient, Unknown):
        raise
    except Refused:
        if not retry:
            raise
        wecom.workbench_template()
        wecom.workbench(userid, items)


def _written(wecom: WeCom, items: list[KeyData]) -> str:
    return f"{_of(wecom)}{'/'.join(item.data for item in items)}"


def _of(wecom: WeCom) -> str:
    return f"{wecom.settings.corp_id}:{wecom.settings.agent_id}:"
