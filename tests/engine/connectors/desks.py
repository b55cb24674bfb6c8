"""The demo hospital beside an OA: stories of `tests.dsl`, and what each person's list there shows of them."""

from datetime import timedelta
from typing import Any, cast

from sqlalchemy import delete, func, select, update

from engine import clock, outbox
from engine.bpm.models import ItemState, WorkItem
from engine.connectors import oa as connector
from engine.connectors.oa import pushing, reconciling
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.models import OAItem
from engine.connectors.oa.sites import Connection, Sites
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox import Outbox
from engine.settings import Settings
from sandbox.oa.records import Kind, OAName
from sandbox.oa.server import Running
from tests.dsl import Bpm, Story

BASE = "https://oa.hospital.example"
OPEN = ("todo", "read")
PRODUCTS: dict[str, OAName] = {
    "landray.soap": "landray",
    "landray.rest": "landray",
    "weaver.soap": "weaver",
    "weaver.rest": "weaver",
    "seeyon": "seeyon",
    "template": "plain",
}


def number(who: str) -> str:
    """Return a member of the cast's staff number: their account in the OA."""
    return CAST[who].staff_number


def site(oa: Running, kind: str, code: str = "ekp", **settings: Any) -> Site:
    """Return the site that connects to an OA of the sandbox, quick enough that no test waits for its rate."""
    model, _ = KINDS[kind]
    return model.model_validate({"code": code, "folder": ".", "per_minute": 60_000, **oa.site(kind), **settings})


class Desk:
    """What the people of a hospital see in one OA."""

    def __init__(self, bpm: Bpm, oa: Running, kind: str, code: str = "ekp", **settings: Any) -> None:
        self.bpm, self.oa, self.kind = bpm, oa, kind
        self.product: Any = getattr(oa.state, PRODUCTS[kind])
        self.site = site(oa, kind, code, **settings)
        connect(bpm, self.site)

    @property
    def connection(self) -> Connection:
        """The site as handlers find it."""
        sites = self.bpm.db.part(Sites)
        found = None if sites is None else sites.get(self.site.code)
        assert found is not None
        return found

    def fault(self, kind: str, operation: str = "*", **options: Any) -> None:
        """Let the OA fail."""
        self.oa.state.faults.add(PRODUCTS[self.kind], operation, cast(Kind, kind), **options)

    def seen(self, who: str, *states: str) -> list[str]:
        """Return the steps that somebody's list shows in these states (open ones where none is given), sorted."""
        mine = [r for r in self.product.rows() if r.account == number(who) and r.state in (states or OPEN)]
        nodes = {i.item_id.hex: i.node for i in self.items()}
        return sorted(nodes.get(r.key, "?") for r in mine)

    def requests(self) -> int:
        """Return how many requests the OA has had."""
        return len(self.oa.state.requests(PRODUCTS[self.kind]))

    def items(self) -> list[OAItem]:
        """Return our record of what the OA shows, in the order of the items."""
        with self.bpm.db.reading() as session:
            return list(session.scalars(select(OAItem).where(OAItem.site == self.site.code).order_by(OAItem.item_id)))

    def item(self, story: Story, who: str) -> OAItem:
        """Return that record of somebody's only item in an instance."""
        mine = (i for i in self.items() if i.instance_id == story.id and i.person_id == self.bpm.person(who))
        [found] = mine
        return found

    def open(self, *stories: Story) -> set[tuple[str, str]]:
        """Return what is open with us, of some stories or of all: keys, and whose they are."""
        opened = select(WorkItem.id, Person.staff_number).join(Person, Person.id == WorkItem.assignee_id)
        opened = opened.where(WorkItem.state == ItemState.OPEN)
        if stories:
            opened = opened.where(WorkItem.instance_id.in_([story.id for story in stories]))
        with self.bpm.db.reading() as session:
            return {(id_.hex, account) for id_, account in session.execute(opened)}

    def differences(self, *stories: Story) -> tuple[list[Any], list[Any]]:
        """Return what is open with us and not there, and what is open there and not with us; twice is a difference.

        Where stories are given, only their items are looked at on our side.
        """
        theirs = sorted((r.key, r.account) for r in self.product.rows() if r.state in OPEN)
        missing, more = sorted(self.open(*stories)), list(theirs)
        for each in list(missing):
            if each in more:
                more.remove(each)
                missing.remove(each)
        return missing, more

    def reconcile(self) -> None:
        """Compare both sides and repair, as every night."""
        self.bpm.only_the_cast()
        with self.bpm.db.unit_of_work() as session:
            reconciling.start(session, None, self.connection, repair=True, by="nightly")
        self.bpm.work()

    def settle(self, hours: float = 3) -> None:
        """Let time pass, minute by minute at first, until nothing waits for the OA any more."""
        self.oa.state.faults.release()
        self.oa.state.faults.clear()
        until, step = clock.now() + timedelta(hours=hours), timedelta(minutes=1)
        while clock.now() < until:
            clock.freeze(clock.now() + step)
            self.bpm.work()
            self.confirm()
            self.bpm.work()
            if not self.pending() and not any(i.doubtful_at or i.sending for i in self.items()):
                break
            step = min(step * 2, timedelta(minutes=20))

    def forget(self) -> None:
        """Let the OA lose everything, and us what we know of it and what was open."""
        self.oa.state.reset()
        with self.bpm.db.unit_of_work() as session:
            live = update(WorkItem).where(WorkItem.state.in_((ItemState.OPEN, ItemState.STANDBY, ItemState.QUEUED)))
            session.execute(live.values(state=ItemState.CANCELLED))
            for table in (OAItem, outbox.ChannelIncident, outbox.OutboxChannel, Outbox):
                session.execute(delete(table))

    def restart(self) -> None:
        """Restart the OA: its tokens and what is on its way are lost, its rows are not."""
        self.oa.state.restart(PRODUCTS[self.kind])

    def confirm(self) -> None:
        """Look after what ended unknown a while ago, as the leader's tick does."""
        pushing.confirm(self.bpm.db, 1000)

    def pending(self, state: str = "pending") -> int:
        """Return how many rows wait for the OA (or are dead)."""
        with self.bpm.db.reading() as session:
            waiting = select(func.count()).where(Outbox.system == self.site.system, Outbox.state == state)
            return session.scalar(waiting) or 0

    def reasons(self) -> list[str]:
        """Return the reasons of the dead letters."""
        with self.bpm.db.reading() as session:
            dead = select(Outbox.last_error).where(Outbox.system == self.site.system, Outbox.state == "dead")
            return list(session.scalars(dead.order_by(Outbox.id)))

    def state(self) -> Any:
        """Return how the channel is."""
        with self.bpm.db.reading() as session:
            return session.get_one(outbox.OutboxChannel, self.site.system)


def connect(bpm: Bpm, *sites: Site) -> Sites:
    """Connect the hospital to these OAs."""
    return connector.install(bpm.db, Settings(base_url=BASE), list(sites))
