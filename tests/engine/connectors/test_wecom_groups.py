"""A group chat about an instance: its people, once, with a link; who comes later joins."""

import threading

import pytest
from sqlalchemy import text

from engine.connectors.wecom import groups
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.models import WeComAccount
from engine.errors import Conflict, Forbidden, NotFound
from tests.dsl import Story, task
from tests.engine.bpm.contracts.kit import line
from tests.engine.connectors.phones import BASE, Phones, _phones, number, start  # noqa: F401

pytestmark = pytest.mark.backend("sqlite", "postgresql")

FILES = line(("a", task("a", "surgeon")), ("b", task("b", "archivist")), ("r", task("r", "doctor", kind="read")))


def open_chat(phones: Phones, story: Story, who: str) -> None:
    with phones.bpm.db.unit_of_work() as session:
        groups.open_chat(session, phones.bpm.actor(who), story.id)
    phones.bpm.work()


def test_a_chat_holds_who_takes_part_with_a_link(phones: Phones) -> None:
    story = start(phones, FILES)
    open_chat(phones, story, "surgeon")
    [chat] = phones.state.chats.values()
    assert (chat.owner, set(chat.userids)) == (number("surgeon"), {number("surgeon"), number("nurse")})
    assert chat.name == story.instance.title
    assert chat.messages[0].content["content"].endswith(f"{BASE}/open/{story.id}")


def test_it_is_opened_once_and_who_comes_later_joins(phones: Phones) -> None:
    story = start(phones, FILES)
    open_chat(phones, story, "surgeon")
    open_chat(phones, story, "nurse")
    story.approve("surgeon")
    [chat] = phones.state.chats.values()
    assert set(chat.userids) == {number("surgeon"), number("nurse"), number("archivist")}
    assert len(chat.messages) == 1
    story.approve("archivist")  # whoever only reads it isn't drawn into the discussion
    assert number("doctor") not in chat.userids


@pytest.mark.backend("postgresql")
def test_two_who_open_it_at_once_open_one(phones: Phones) -> None:
    story = start(phones, FILES)
    refused: list[Exception] = []

    def join() -> None:
        try:
            open_chat(phones, story, "nurse")
        except Exception as error:
            refused.append(error)

    second = threading.Thread(target=join)
    with phones.bpm.db.unit_of_work() as session:
        groups.open_chat(session, phones.bpm.actor("surgeon"), story.id)
        second.start()
        while second.is_alive() and not session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            second.join(0.02)
    second.join()
    phones.bpm.work()
    assert refused == []
    assert len(phones.state.chats) == 1


def test_it_is_for_those_who_take_part(phones: Phones) -> None:
    story = start(phones, FILES)
    with pytest.raises(NotFound):
        open_chat(phones, story, "doctor")
    story.approve("surgeon").approve("archivist")
    with pytest.raises(Forbidden):
        open_chat(phones, story, "doctor")
    with phones.bpm.db.unit_of_work() as session:
        session.delete(session.get_one(WeComAccount, phones.bpm.person("surgeon")))
    with pytest.raises(Conflict, match="企业微信账号"):
        open_chat(phones, story, "surgeon")
    assert phones.state.chats == {}


def test_nobody_opens_a_chat_with_oneself(phones: Phones) -> None:
    story = start(phones, FILES)
    with phones.bpm.db.unit_of_work() as session:
        session.delete(session.get_one(WeComAccount, phones.bpm.person("surgeon")))
    with pytest.raises(Conflict, match="建不了群"):
        open_chat(phones, story, "nurse")


def test_a_crash_after_it_was_made_makes_no_second_one(phones: Phones) -> None:
    story = start(phones, FILES)
    userids = [number("surgeon"), number("nurse")]
    wecom = phones.bpm.db.part(WeCom)
    assert wecom is not None
    wecom.create_chat("x", userids[0], userids, story.id.hex)
    open_chat(phones, story, "surgeon")
    [chat] = phones.state.chats.values()
    assert len(chat.messages) == 1
