"""A ward whose staff hold phones: the product on a port of its own, connected to the stand-in for WeCom.

What a test reads here is what a user sees: the inbox of a member, pages, answers of the API. Outbox rows are handled
when the test says so (`work`), so that a story has an order.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import select

from api.app import create_app
from engine import clock
from engine.connectors import wecom
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.entry import codes
from engine.connectors.wecom.models import WeComAccount
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.org.demo import CAST
from engine.org.models import Person
from engine.outbox.table import Outbox
from engine.settings import Settings
from sandbox.serving import serving
from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.dsl import Bpm, Story, bpmn, chain, flow, start_task, task
from tests.services import free_port
from tests.serving import share_pages
from web.app import mount

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 wxwork/4.1.22 MicroMessenger/7.0.1"
DESKTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"


def number(who: str) -> str:
    """Return the staff number of a member of the cast, which is their userid too; others are meant as they are."""
    return CAST[who].staff_number if who in CAST else who


def name(who: str) -> str:
    """Return the name of a member of the cast."""
    return CAST[who].name


@dataclass
class Card:
    """One message in a member's chat."""

    raw: dict[str, Any]

    @property
    def msgid(self) -> str:
        """The id by which the stand-in knows it."""
        return str(self.raw["msgid"])

    @property
    def text(self) -> str:
        """Everything that can be read on it."""
        shown = self.raw["card"] if self.raw["card"] is not None else self.raw["content"]
        return json.dumps([shown, self.raw["replaced"]], ensure_ascii=False)

    @property
    def buttons(self) -> list[dict[str, Any]]:
        """The buttons that a finger can press, none once a replacement stands there."""
        if self.raw["replaced"] or self.raw["card"] is None:
            return []
        return list(self.raw["card"].get("button_list", ()))

    @property
    def acting(self) -> dict[str, str]:
        """Text to key of the buttons that do something, other than opening a page."""
        return {b["text"]: b["key"] for b in self.buttons if b.get("type", 0) != 1 and b.get("key")}

    @property
    def links(self) -> dict[str, str]:
        """Text to address of the buttons that open a page."""
        return {b["text"]: b["url"] for b in self.buttons if b.get("type", 0) == 1}


class Ward:
    """The product and the stand-in together."""

    def __init__(self, bpm: Bpm, stand_in: Running, settings: WeComSettings, url: str) -> None:
        self.bpm, self.db, self.stand_in, self.settings, self.url = bpm, bpm.db, stand_in, settings, url
        self.control = stand_in.control

    @property
    def client(self) -> WeCom:
        """The connector's client."""
        found = self.db.part(WeCom)
        assert found is not None
        return found

    # -- phones -----------------------------------------------------------------------------------------------------

    def chat(self, who: str) -> list[Card]:
        """Return what a member sees in the app's chat, oldest first, without what was taken back."""
        return [Card(m) for m in self.control.messages(userid=number(who)) if not m["recalled"]]

    def card(self, who: str) -> Card:
        """Return the newest message."""
        found = self.chat(who)
        assert found, f"nothing has come to {who}"
        return found[-1]

    def press(self, who: str, text: str, card: Card | None = None, *, work: bool = True) -> dict[str, Any]:
        """Press a button by its text, and let the worker handle the callback."""
        card = card or self.card(who)
        assert text in card.acting, (text, card.buttons, card.raw["replaced"])
        event = self.control.click(userid=number(who), msgid=card.msgid, key=card.acting[text], wait=10.0)
        if work:
            self.bpm.work()
        return dict(event)

    def work(self) -> None:
        """Handle what is due."""
        self.bpm.work()

    def pass_time(self, seconds: float) -> None:
        """Move both clocks on."""
        self.control.advance(seconds=seconds)
        clock.freeze(clock.now() + timedelta(seconds=seconds))

    def show_to(self, *who: str) -> None:
        """Let the app be visible to these members alone; the 1,600 others' events of leaving are not sent."""
        self.control.callback(agentid=constants.AGENT_ID)
        self.control.agent(agentid=constants.AGENT_ID, users=[number(each) for each in who], parties=[], tags=[])
        self.stand_in.call(f"{self.url}/wecom/callback", home=f"{self.url}/", check=False)

    def calls(self, endpoint: str) -> int:
        """Return how many calls of an endpoint there have been."""
        return int(self.control.statistics()["endpoints"].get(endpoint, 0))

    def begin(self, *persons: str, **how: str) -> Story:
        """Start a process that asks these people, by the nurse."""
        self.bpm.deploy_files(deciding(*persons, **how))
        return self.bpm.start("p", by="nurse")

    def undelivered(self) -> list[tuple[str, str | None]]:
        """Return the state and error of every outbox row that has failed or was given up."""
        with self.db.reading() as session:
            rows = session.execute(select(Outbox.state, Outbox.last_error, Outbox.attempts)).all()
        return [(state, error) for state, error, attempts in rows if state == "dead" or (attempts and state != "done")]

    # -- browsers ---------------------------------------------------------------------------------------------------

    def browser(self, agent: str = DESKTOP) -> httpx.Client:
        """Return a browser that follows nothing by itself."""
        headers = {"User-Agent": agent}
        return httpx.Client(base_url=self.url, headers=headers, follow_redirects=False, timeout=30, verify=False)

    @contextmanager
    def api(self, who: str) -> Iterator[httpx.Client]:
        """Return somebody's own programme against the API, logged in as in the demo."""
        with self.browser() as browser:
            answer = browser.post("/api/v1/session/demo", json={"staff_number": number(who)})
            assert answer.status_code < 300, answer.text
            token = browser.get("/api/v1/me").json()["csrf"]
            browser.headers["X-CSRF-Token"] = token
            yield browser


def join(db: Database, *who: str) -> None:
    """Give members of the cast (all of them by default) their accounts, as the contacts' synchronisation does."""
    with db.unit_of_work() as session:
        numbers = [number(each) for each in who or CAST]
        for id_, found in session.execute(
            select(Person.id, Person.staff_number).where(Person.staff_number.in_(numbers))
        ):
            session.add(WeComAccount(person_id=id_, userid=found, userid_key=found.lower()))


@contextmanager
def opened(
    bpm: Bpm,
    stand_in: Running,
    folder: Path,
    *,
    callbacks: bool = True,
    mode: str = "demo",
    everybody: bool = True,
    **more: Any,
) -> Iterator[Ward]:
    """Open a ward: install WeCom, serve the product, let WeCom call it."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = WeComSettings(**{**stand_in.settings(), **more})
    wecom.install(bpm.db, settings, url)
    if everybody:
        join(bpm.db)
    product = Settings(
        secure_cookie=False, mode=mode, var=folder, secret_key="a key of the tests, long enough for all", base_url=url
    )
    codes.provide(bpm.db, product)
    share_pages(folder)
    app = create_app(product, bpm.db)
    mount(app)
    with serving(app, port=port):
        if callbacks:
            stand_in.call(f"{url}/wecom/callback", home=f"{url}/", check=False)  # the check is timed
            stand_in.control.limits(callback_seconds=60.0)  # the machine may be busy
        yield Ward(bpm, stand_in, settings, url)
    bpm.db.mirrors = ()
    clock.freeze(None)


def deciding(
    *persons: str, policy: str = "any", outcomes: str = "", timer: str = "", after: str = "doctor"
) -> dict[str, str]:
    """Return a process: the applicant's step, a decision of these people, and one more of `after`.

    `timer`: a duration after which the decision is left for the end.
    """
    rules = f'<piyue:round policy="{policy}"/>{outcomes}'
    body = '<startEvent id="s"/>' + start_task() + task("review", *persons, inner=rules) + task("then", after)
    body += '<endEvent id="e"/>' + chain("s", "apply", "review", "then", "e")
    if timer:
        body += (
            '<boundaryEvent id="late" attachedToRef="review" cancelActivity="true"><timerEventDefinition>'
            f"<timeDuration>{timer}</timeDuration></timerEventDefinition></boundaryEvent>"
            '<endEvent id="gone"/>' + flow("late", "gone")
        )
    return bpmn(body)


AGENT = constants.AGENT_ID
