"""The figures for monitoring: guarded, and the same whoever is asked."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.app import create_app
from engine import outbox
from engine.db import Database
from engine.outbox import Leased
from engine.settings import Settings
from tests.api.conftest import Served
from tests.factories.outbox import emptied

TOKEN = "a token of the tests, long enough".replace(" ", "-")


@pytest.fixture(autouse=True)
def _sms() -> Iterator[None]:
    with emptied():
        outbox.channel("sms", per_minute=600)

        @outbox.handler("sms", "send", in_transaction=False)
        def send(_db: object, row: Leased) -> None:
            if row.key == "bad":
                raise outbox.Permanent("没有这个号码")
            if row.key == "later":
                raise outbox.Transient("没有回答")

        yield


def ask(db: Database, folder: Path, token: str, **headers: str) -> httpx.Response:
    """Ask a server process of its own, which has counted nothing."""
    service = create_app(Settings(var=folder, metrics_token=SecretStr(token)), db)
    with start_blocking_portal() as portal:
        client = httpx.Client(transport=Served(service, portal), base_url="http://testserver")
        return client.get("/metrics", headers=headers)


def test_figures_are_those_of_the_database(committed_db: Database, tmp_path: Path) -> None:
    with committed_db.unit_of_work() as session:
        for key in ("a", "b", "bad", "later"):
            outbox.enqueue(session, "sms", key, "send", {})
    for row in outbox.lease(committed_db, "w", 8):
        outbox.run(committed_db, row)
    outbox.write_sent(committed_db)
    answer = ask(committed_db, tmp_path, TOKEN, authorization=f"Bearer {TOKEN}")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
        if "sms" in sample.labels.values()
    }
    assert 0 <= found.pop("piyue_outbox_oldest_seconds") < 60
    assert found == {
        "piyue_outbox_depth": 1,
        "piyue_outbox_failing": 1,
        "piyue_outbox_dead": 1,
        "piyue_channel_sent_total": 2,
        "piyue_channel_failed_total": 2,
        "piyue_channel_down": 0,
        "piyue_channel_paused": 0,
    }
    with committed_db.unit_of_work() as session:
        outbox.channels.locked(session, "sms").paused_at = outbox.states(session)[0].oldest
    assert (
        'piyue_channel_paused{channel="sms"} 1.0'
        in ask(committed_db, tmp_path, TOKEN, authorization=f"Bearer {TOKEN}").text
    )


@pytest.mark.backend("sqlite")
@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer "}, {"authorization": f"Bearer {TOKEN}x"}])
def test_without_the_token_nothing_is_told(committed_db: Database, tmp_path: Path, header: dict[str, str]) -> None:
    assert ask(committed_db, tmp_path, TOKEN, **header).status_code == 401


@pytest.mark.backend("sqlite")
@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer "}])
def test_where_no_token_is_set_there_is_no_such_page(
    committed_db: Database, tmp_path: Path, header: dict[str, str]
) -> None:
    assert ask(committed_db, tmp_path, "", **header).status_code == 404
