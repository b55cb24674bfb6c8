"""From commit to the receipt of WeCom: `piyue worker` with a Redis, a durable PostgreSQL, and the stand-in for WeCom.

`notify.p95_ms`: matters are submitted at 50 a second, each to another handler, by a process that nudges the worker over
Redis as a server process does; the time from the return of each commit to the moment at which the stand-in has taken
the card, 95th percentile. `notify.per_s` is the rate that was kept.

`notify.circulation_500_s`: from the commit that circulates a notice to 500 readers until the last one has it, and
`notify.circulation_500_calls` how many calls of message/send that took; medians of three.

Worker, stand-in, PostgreSQL, Redis and the load share the machine; so the figures are upper bounds.
"""

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select

from bench._hospital import Hospital, hospital, report
from bench._programs import program, until
from engine.connectors import wecom
from engine.connectors.wecom.models import WeComAccount
from engine.connectors.wecom.settings import WeComSettings
from engine.org.models import Person
from engine.settings import Settings
from sandbox.remote import Remote
from sandbox.wecom import constants
from tests import services
from tests.dsl import bpmn, chain, start_task, task
from workers import running

PER_SECOND, SECONDS, WARM_UP = 50, 20, 100
READERS, CIRCULATIONS = 500, 3
SECRET = "a secret of the benches, long enough"

# whoever submits it has the next step too, so that 1,500 people get one card each
CARD = bpmn(
    f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{task("review")}{chain("s", "apply", "review", "e")}',
    key="card",
)


class Corp:
    """A hospital whose people are members of the stand-in's corp."""

    def __init__(self, at: Hospital, stand_in: Remote) -> None:
        self.at, self.stand_in = at, stand_in
        with at.db.unit_of_work() as session:
            active = select(Person.id, Person.staff_number).where(Person.disabled_at.is_(None)).order_by(Person.id)
            self.people = [(id_, number) for id_, number in session.execute(active)]
            session.add_all(WeComAccount(person_id=id_, userid=n, userid_key=n.lower()) for id_, n in self.people)
        numbers = " ".join(number for _, number in self.people[:READERS])
        circulate = (
            '<userTask id="circulate" name="circulate"><extensionElements><piyue:task kind="read"/>'
            f'<piyue:assign rule="person" persons="{numbers}"/></extensionElements></userTask>'
        )
        at.deploy_files(CARD)
        line = chain("s", "apply", "circulate", "e")
        at.deploy_files(bpmn(f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{circulate}{line}', key="circular"))

    def cards(self) -> tuple[list[float], float]:
        """Submit matters at the rate; return the milliseconds from commit to receipt, and the rate that was kept."""
        chosen = self.people[-(WARM_UP + PER_SECOND * SECONDS) :]
        actors = [(self.at.actor(id_), number) for id_, number in chosen]
        began, committed = time.time(), {}
        for position, (actor, number) in enumerate(actors):
            time.sleep(max(0.0, began + position / PER_SECOND - time.time()))
            self.at.start(actor, "card", {})
            committed[number] = time.time()
        kept = len(actors) / (time.time() - began)
        until("the last cards", lambda: all(self.stand_in.messages(userid=number) for _, number in actors[-20:]))
        received = {number: self.stand_in.messages(userid=number)[0]["at"] for _, number in actors}
        return [(received[number] - committed[number]) * 1000 for _, number in actors[WARM_UP:]], kept

    def circulation(self) -> tuple[float, int]:
        """Circulate to the readers; return the seconds until the last has it, and the calls that it took."""
        self.stand_in.reset()
        self.at.start(self.at.actor("nurse"), "circular", {})
        committed = time.time()

        def sends() -> list[list[Any]]:
            calls: list[list[Any]] = self.stand_in.statistics(since=committed)["calls"]
            return [call for call in calls if call[0] == "message/send"]

        until("the readers", lambda: sum(call[-1] for call in sends()) >= READERS)
        taken = sends()
        return max(call[1] for call in taken) - committed, len(taken)


def main() -> None:
    """Measure and print the figures."""
    with ExitStack() as stack:
        at = stack.enter_context(hospital())
        redis_url = stack.enter_context(services.redis())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = services.free_port()
        stand_in = Remote(f"http://127.0.0.1:{port}")
        of_sandbox = program("sandbox", "wecom", "--port", str(port), environment={}, errors=folder / "sandbox")
        stack.enter_context(of_sandbox)
        until("the stand-in", stand_in.events)
        wecom_settings = {
            "corp_id": constants.CORP_ID,
            "agent_id": str(constants.AGENT_ID),
            "secret": constants.AGENT_SECRET,
            "api": stand_in.url,
        }
        environment = {f"PIYUE_WECOM_{name.upper()}": value for name, value in wecom_settings.items()}
        environment |= {
            "PIYUE_DATABASE_URL": at.url,
            "PIYUE_SECRET_KEY": SECRET,
            "PIYUE_REDIS_URL": redis_url,
            "PIYUE_VAR": str(folder / "var"),
        }
        stack.enter_context(program("worker", environment=environment, errors=folder / "worker"))
        settings = Settings(redis_url=SecretStr(redis_url))
        wecom.install(at.db, WeComSettings.model_validate(wecom_settings), settings.base_url)
        stack.enter_context(running.nudging(settings, at.db))
        corp = Corp(at, stand_in)
        at.settle()
        times, kept = corp.cards()
        circulations = [corp.circulation() for _ in range(CIRCULATIONS)]
        report("notify.per_s", kept, "per second")
        report("notify.median_ms", median(times), "ms")
        report("notify.p95_ms", sorted(times)[int(len(times) * 0.95)], "ms")
        report("notify.circulation_500_calls", median(calls for _, calls in circulations), "calls")
        report("notify.circulation_500_s", median(seconds for seconds, _ in circulations), "s")


if __name__ == "__main__":
    main()
