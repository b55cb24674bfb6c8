"""An office whose staff use the hospital's OA: stories, and what each list there shows of them."""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import select, update

from engine import clock, outbox
from engine.bpm.models import WorkItem, WorkRound
from engine.connectors.oa import people, reconciling
from engine.connectors.oa.reconciling import Report
from engine.org.models import Person
from sandbox.oa.records import Row, Seen
from sandbox.oa.server import Running
from tests.dsl import Bpm, Story, bpmn, chain, flow, start_task, task
from tests.engine.connectors.desks import OPEN, PRODUCTS, Desk, number

_TWINS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("landray.rest", "weaver.soap")]
ALL = ["landray.soap", "weaver.rest", "seeyon", "template", *_TWINS]
EACH_PRODUCT = ["landray.soap", "weaver.rest", "seeyon", "template"]
TWO_PRODUCTS = [
    "landray.soap",
    "weaver.rest",
    *(pytest.param(k, marks=pytest.mark.slow) for k in ("seeyon", "template")),
]
READ_BACK = ["landray.soap", "weaver.rest", "template", *_TWINS]
HEAD, CHIEF = "head_nurse", "pediatrics_head"


def process(
    *persons: str, policy: str = "any", timer: str = "", after: str = "doctor", kind: str = "decide", key: str = "p"
) -> dict[str, str]:
    """Return a process: the applicant's step, one step of these people, one more of `after`."""
    inner = f'<piyue:round policy="{policy}"/>' if kind == "decide" else ""
    body = '<startEvent id="s"/>' + start_task() + task("review", *persons, kind=kind, inner=inner)
    body += task("then", after) + '<endEvent id="e"/>' + chain("s", "apply", "review", "then", "e")
    if timer:
        body += (
            '<boundaryEvent id="late" attachedToRef="review" cancelActivity="true"><timerEventDefinition>'
            f"<timeDuration>{timer}</timeDuration></timerEventDefinition></boundaryEvent>"
            '<endEvent id="gone"/>' + flow("late", "gone")
        )
    return bpmn(body, key)


class Office(Desk):
    """The hospital beside one OA."""

    def begin(self, *persons: str, by: str = "nurse", **how: Any) -> Story:
        """Start a process in which these people have to do something."""
        self.bpm.deploy_files(process(*persons, **how))
        return self.bpm.start(how.get("key", "p"), by=by)

    def start(self) -> Story:
        """Start once more what was begun last."""
        return self.bpm.start("p", by="nurse")

    def row(self, who: str) -> Row:
        """Return the only open row of somebody's that is ours."""
        found: Row
        [found] = [r for r in self.product.rows() if r.account == number(who) and r.state in OPEN and not r.own]
        return found

    def asked(self, operation: str | None = None) -> list[Seen]:
        """Return the requests that the OA has had."""
        return self.oa.state.requests(PRODUCTS[self.kind], operation)

    def exact(self) -> None:
        """Assert that open here is open there, once, and nothing else."""
        assert self.differences() == ([], [])

    def later(self, **time: float) -> None:
        """Let time pass here and there, and do what is due."""
        clock.freeze(clock.now() + timedelta(**time))
        self.oa.state.advance(timedelta(**time).total_seconds())
        self.bpm.work()

    def unmapped(self) -> list[str]:
        """Return whose items the OA can't show, as the list for the admins says."""
        with self.bpm.db.reading() as session:
            return [each.number for each in people.unmapped(session, self.bpm.actor("system_admin"), self.site.code)]

    def compare(self, *, repair: bool = False) -> Report:
        """Reconcile to the end, and push what that mends."""
        self.bpm.only_the_cast()
        with self.bpm.db.unit_of_work() as session:
            check = reconciling.start(session, self.bpm.actor("system_admin"), self.connection, repair=repair)
        self.bpm.work()
        with self.bpm.db.reading() as session:
            return reconciling.report(session, None, check.id)

    def pause(self) -> None:
        """Pause the channel by hand."""
        with self.bpm.db.unit_of_work() as session:
            outbox.pause(session, self.bpm.actor("process_admin"), self.site.system, "OA 升级")

    def resume(self) -> None:
        """Let the channel go on."""
        with self.bpm.db.unit_of_work() as session:
            outbox.resume(session, self.bpm.actor("process_admin"), self.site.system)
        self.bpm.work()

    def requeue(self) -> None:
        """Bring back every dead letter of the channel."""
        with self.bpm.db.unit_of_work() as session:
            dead = session.scalars(
                select(outbox.Outbox.id).where(outbox.Outbox.system == self.site.system, outbox.Outbox.state == "dead")
            ).all()
            for each in dead:
                outbox.requeue(session, self.bpm.actor("process_admin"), each)
        self.bpm.work()

    def person(self, who: str, **changed: Any) -> None:
        """Change the record of a person."""
        with self.bpm.db.unit_of_work() as session:
            session.execute(update(Person).where(Person.id == self.bpm.person(who)).values(changed))


def task_of(bpm: Bpm, story: Story, who: str) -> int:
    """Return the token's number at somebody's step."""
    with bpm.db.reading() as session:
        found = session.scalar(select(WorkRound.task_id).join(WorkItem).where(WorkItem.id == story.item(who).id))
    assert found is not None
    return found


def signed(link: str, account: str, item: str, secret: str, *, at: int | None = None, nonce: str = "n" * 16) -> str:
    """Return path and query of a link as an OA with a shared secret signs it, by the guide for administrators."""
    at = at if at is not None else int(clock.now().timestamp() * 1000)
    text = "\n".join((account, str(at), nonce, item))
    sign = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"{urlsplit(link).path}?account={account}&at={at}&nonce={nonce}&sign={sign}"


@contextmanager
def clicking(oa: Running) -> Iterator[httpx.Client]:
    """Return a browser on the OA's own pages, which follows nothing by itself."""
    with httpx.Client(base_url=oa.url, follow_redirects=False, timeout=30, verify=False) as browser:
        yield browser


def counts(report: Report) -> tuple[int, int, int]:
    """Return how much is missing, a ghost, stale."""
    return report.missing, report.ghost, report.stale


def kinds(report: Report) -> Sequence[tuple[str, str, str | None]]:
    """Return the differences as (kind, side, staff number)."""
    return sorted((each.kind, each.side, each.number) for each in report.differences)
