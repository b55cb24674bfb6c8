"""The demo hospital with WeCom switched on: stories of `tests.dsl`, and what each person's phone shows of them."""

from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import insert, select

from engine import clock
from engine.batch import Batch
from engine.bpm import mirrors
from engine.connectors import wecom as connector
from engine.connectors.wecom import clicks
from engine.connectors.wecom.models import WeComAccount, WeComDelivery
from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from sandbox.wecom import cards, constants
from sandbox.wecom.records import Copy
from sandbox.wecom.server import Running
from sandbox.wecom.state import State
from tests.dsl import Bpm, Story

BASE = "https://oa.hospital.example"
Json = dict[str, Any]


def number(who: str) -> str:
    """Return a member of the cast's staff number: their userid too."""
    return CAST[who].staff_number


class Phones:
    """What the people of a hospital see in WeCom, and what they press there."""

    def __init__(self, bpm: Bpm, state: State) -> None:
        self.bpm, self.state = bpm, state

    def messages(self, who: str) -> list[Copy]:
        """Return what stands in somebody's chat, the oldest first."""
        return [copy for copy in self.state.inbox(number(who)) if not copy.message.recalled]

    def cards(self, who: str) -> list[Json]:
        """Return somebody's interactive cards as they are now, the oldest first."""
        found = [copy.card for copy in self.messages(who) if copy.card]
        return [card for card in found if card["card_type"] == "button_interaction"]

    def card(self, who: str) -> Json:
        """Return somebody's newest card."""
        return self.cards(who)[-1]

    def says(self, who: str) -> str:
        """Return the words that the newest card says beside its figures."""
        return str(self.card(who).get("sub_title_text", ""))

    def texts(self, who: str) -> list[str]:
        """Return what somebody was told in text messages, the oldest first."""
        found = [copy.card for copy in self.messages(who) if copy.card]
        return [card["sub_title_text"] for card in found if card["card_type"] == "text_notice"]

    def buttons(self, who: str) -> list[str]:
        """Return the texts of the newest card's buttons."""
        return [button["text"] for button in self.card(who)["button_list"]]

    def acting(self, who: str) -> list[str]:
        """Return those of them that act in WeCom."""
        return [b["text"] for b in self.card(who)["button_list"] if not b.get("type")]

    def event(self, who: str, text: str, *, card: int = -1) -> Json:
        """Press a button by its text and return the event that WeCom sends of it; what isn't there can't be pressed."""
        copy = [c for c in self.messages(who) if c.card and c.card["card_type"] == "button_interaction"][card]
        assert copy.card is not None
        key = next(b["key"] for b in copy.card["button_list"] if b["text"] == text and not b.get("type"))
        assert key in cards.keys(copy.card)
        return {
            "ToUserName": constants.CORP_ID,
            "FromUserName": copy.userid,
            "CreateTime": str(int(clock.now().timestamp())),
            "MsgType": "event",
            "Event": "template_card_event",
            "EventKey": key,
            "TaskId": copy.message.task_id,
            "CardType": "button_interaction",
            "ResponseCode": self.state.new_code(copy.message),
            "AgentID": str(constants.AGENT_ID),
        }

    def tap(self, who: str, text: str, *, card: int = -1) -> str:
        """Press a button, let the worker follow, and return what became of the click."""
        return self.hear(self.event(who, text, card=card))

    def hear(self, event: Json) -> str:
        """Let an event of a click arrive, and the worker follow."""
        result = str(clicks.clicked(self.bpm.db, event))
        self.bpm.work()
        return result

    def look_again(self, story: Story) -> None:
        """Let the worker compare WeCom with an instance once more."""
        with self.bpm.db.unit_of_work() as session:
            batch = Batch()
            mirrors.changed(session, batch, story.id)
            batch.run(session)
        self.bpm.work()

    def deliveries(self, who: str) -> list[WeComDelivery]:
        """Return what was kept of sending to somebody, the oldest first."""
        mine = select(WeComDelivery).where(WeComDelivery.person_id == self.bpm.person(who)).order_by(WeComDelivery.id)
        with self.bpm.db.reading() as session:
            return list(session.scalars(mine))

    def calls(self, endpoint: str) -> int:
        """Return how often the server API was called."""
        return sum(call.endpoint == endpoint for call in self.state.calls)

    def at(self, moment: datetime) -> None:
        """Move both clocks to a moment."""
        clock.freeze(moment)
        self.state.offset += moment.timestamp() - self.state.now()


@pytest.fixture(name="phones")
def _phones(bpm: Bpm, wecom_sandbox: Running) -> Phones:
    """Everybody's phone: all people of the hospital are members, with their staff numbers as userids."""
    people = bpm.staff.people
    with bpm.db.unit_of_work() as session:
        rows = [{"person_id": id_, "userid": name, "userid_key": name.lower()} for name, id_ in people.items()]
        session.execute(insert(WeComAccount), rows)
    wecom_sandbox.call("http://127.0.0.1:9/", check=False)  # no callback goes there: `Phones.hear` takes them
    given: Json = wecom_sandbox.settings()
    connector.install(bpm.db, WeComSettings(**given), BASE)
    return Phones(bpm, wecom_sandbox.state)


def start(phones: Phones, files: Json, by: str = "nurse") -> Story:
    """Deploy a process and start it."""
    return phones.bpm.deploy_files(files).start("p", by)
