"""Figures of the outbox for Prometheus (`/metrics`).

They are read from the database when they are asked for: the backlog and the dead letters by partial indexes, the
counters from the row of each channel, which counts in the transaction that marks a row. So they are those of all
server processes and workers together, whoever is asked, and outlive them. Without the setting `metrics_token` there is
no such page; with it a request brings the token as its bearer.
"""

import hmac
from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from sqlalchemy.orm import Session

from api.deps import operation_id
from engine import clock, outbox
from engine.connectors.oa import oversight
from engine.connectors.oa.sites import Sites, connected
from engine.db import Database
from engine.errors import NotFound, Unauthenticated

router = APIRouter(generate_unique_id_function=operation_id)


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request) -> Response:
    """Answer in Prometheus' text format. Raises NotFound where no token is set, and Unauthenticated without it."""
    token = request.app.state.settings.metrics_token.get_secret_value()
    if not token:
        raise NotFound("没有这个页面", code="not_found")
    given = request.headers.get("authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        raise Unauthenticated("令牌不正确", code="bad_token")
    database: Database = request.app.state.db
    registry = CollectorRegistry(auto_describe=False)
    with database.reading() as session:
        registry.register(_Figures(session, connected(database)))
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Figures(Collector):
    """What is asked for, each by system: job, notice, wecom …"""

    def __init__(self, session: Session, sites: Sites) -> None:
        self._session, self._sites = session, sites

    def describe(self) -> Iterator[Metric]:
        """Nothing is known before it is asked for."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Read the figures: three statements, and a few for each OA."""
        now = clock.now()
        depth = GaugeMetricFamily("piyue_outbox_depth", "Rows that wait", labels=["system"])
        failing = GaugeMetricFamily("piyue_outbox_failing", "Rows that wait and failed before", labels=["system"])
        age = GaugeMetricFamily("piyue_outbox_oldest_seconds", "Age of the oldest row that waits", labels=["system"])
        for row in outbox.depth(self._session):
            depth.add_metric([row.system], row.pending)
            failing.add_metric([row.system], row.failing)
            age.add_metric([row.system], (now - row.oldest).total_seconds())
        dead = GaugeMetricFamily("piyue_outbox_dead", "Rows given up", labels=["system"])
        for system, count in sorted(outbox.dead(self._session).items()):
            dead.add_metric([system], count)
        yield from (depth, failing, age, dead)
        sent = CounterMetricFamily("piyue_channel_sent", "Rows that the other side took", labels=["channel"])
        failed = CounterMetricFamily("piyue_channel_failed", "Attempts that failed", labels=["channel"])
        down = GaugeMetricFamily("piyue_channel_down", "1 while the breaker is open", labels=["channel"])
        paused = GaugeMetricFamily("piyue_channel_paused", "1 while it is paused", labels=["channel"])
        for state in outbox.states(self._session):
            sent.add_metric([state.system], state.sent)
            failed.add_metric([state.system], state.failed)
            down.add_metric([state.system], int(state.down_until is not None))
            paused.add_metric([state.system], int(state.paused_at is not None))
        yield from (sent, failed, down, paused)
        if self._sites:
            yield from self._mirrors(self._sites)

    def _mirrors(self, sites: Sites) -> Iterator[Metric]:
        now = clock.now()
        shown = GaugeMetricFamily("piyue_oa_shown", "Items of ours that the OA shows", labels=["site", "state"])
        behind = GaugeMetricFamily("piyue_oa_behind", "Items that the OA is still to be told of", labels=["site"])
        age = GaugeMetricFamily("piyue_oa_behind_oldest_seconds", "Age of the oldest of them", labels=["site"])
        dead = GaugeMetricFamily("piyue_oa_dead", "Rows for the OA given up", labels=["site"])
        unmapped = GaugeMetricFamily("piyue_oa_unmapped", "People whom the OA doesn't know", labels=["site"])
        differences = GaugeMetricFamily(
            "piyue_oa_differences",
            "What the last reconciliation found, and how much of it was repaired",
            labels=["site", "kind"],
        )
        checked = GaugeMetricFamily("piyue_oa_checked_seconds", "Age of the last reconciliation", labels=["site"])
        for state in oversight.overview(self._session, None, sites):
            shown.add_metric([state.code, "todo"], state.todo)
            shown.add_metric([state.code, "read"], state.read)
            behind.add_metric([state.code], state.behind)
            age.add_metric([state.code], (now - state.behind_since).total_seconds() if state.behind_since else 0)
            dead.add_metric([state.code], state.dead)
            unmapped.add_metric([state.code], state.unmapped)
            if state.check is not None:
                for kind in ("missing", "ghost", "stale", "repaired"):
                    differences.add_metric([state.code, kind], getattr(state.check, kind))
                checked.add_metric([state.code], (now - state.check.started_at).total_seconds())
        yield from (shown, behind, age, dead, unmapped, differences, checked)
