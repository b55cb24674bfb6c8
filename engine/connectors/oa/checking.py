"""Testing a connection (连接测试): does an OA let us in, and do we find in its lists what we have put there?"""

from datetime import timedelta

from engine import clock
from engine.batch import Batch, Statement
from engine.connectors.oa.sites import Connection
from engine.db import Database
from engine.outbox import Configuration

_SETTLED = timedelta(minutes=1)  # after which an OA's lists have what was put
_MOST = Statement(
    "SELECT m.account, count(*) AS items FROM oa_item m WHERE m.site = :site AND m.shown IN ('todo', 'read') "
    "AND m.shown = m.wanted AND m.sending = '' AND m.problem = '' AND m.shown_at < :before "
    "GROUP BY m.account ORDER BY count(*) DESC, m.account LIMIT 1"
)


def checked(db: Database, connection: Connection) -> str:
    """Return a sentence in Chinese on an OA that lets us in; its lists are read back of who has most items there.

    Raises as `Adapter.put` does, Configuration also where the lists have none of what we have put.
    """
    told, site = connection.adapter.check(), connection.site
    if not (site.mirror and connection.adapter.reads_back):
        return told
    batch = Batch()
    batch.query(_MOST, {"site": site.code, "before": clock.now() - _SETTLED})
    with db.reading() as session:
        [rows] = batch.run(session)
    if not rows:
        return f"{told}；还没有推过待办，列表能不能读回，推过以后再测一次"
    account, items = rows[0].account, rows[0].items
    if found := len(connection.adapter.shown(account)):
        return f"{told}；账号 {account} 的列表里读到我们的待办 {found} 条"
    raise Configuration(
        f"OA 让我们登录，但账号 {account} 的列表里没有我们的待办，应有 {items} 条："
        "请核对 site.toml 里读列表的设置（泛微是 [pull] 的 system，要和 OA 里登记的异构系统名称一致）；"
        "设置没错的，是 OA 丢了它们，请“对账并修复”"
    )
