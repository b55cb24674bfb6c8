"""When WeCom doesn't do what it is asked: nothing is lost, nothing is sent twice, and nobody else waits."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from engine import clock, outbox
from engine.connectors.wecom import planning
from engine.org.demo import CAST
from engine.outbox import Outbox
from sandbox.wecom.records import Fault
from tests.dsl import task
from tests.engine.bpm.contracts.kit import line
from tests.engine.connectors.phones import Phones, _phones, start  # noqa: F401

pytestmark = pytest.mark.backend("sqlite", "postgresql")

ANY = line(("a", task("a", "head_nurse", "surgeon")), ("b", task("b", "archivist")))
CARD_REFUSED = 42039


def dead(phones: Phones) -> list[Outbox]:
    with phones.bpm.db.reading() as session:
        return list(session.scalars(select(Outbox).where(Outbox.state == "dead")))


def test_what_is_refused_for_one_reaches_the_other_and_is_brought_back(phones: Phones) -> None:
    phones.state.faults.append(Fault("message/send", errcode=CARD_REFUSED))
    story = start(phones, ANY)
    reached = [who for who in ("head_nurse", "surgeon") if phones.cards(who)]
    assert len(reached) == 1
    [letter] = dead(phones)
    assert letter.topic == "tell"
    phones.look_again(story)  # a later change doesn't try again what can't be had
    assert (len(dead(phones)), phones.calls("message/send")) == (1, 2)
    with phones.bpm.db.unit_of_work() as session:
        outbox.requeue(session, phones.bpm.actor("process_admin"), letter.id)
    phones.bpm.work()
    assert dead(phones) == []
    assert [phones.acting(who) for who in ("head_nurse", "surgeon")] == [["同意"], ["同意"]]


def test_what_is_brought_back_is_tried_again_though_a_younger_change_stands_for_it(phones: Phones) -> None:
    phones.state.faults.append(Fault("message/send", errcode=CARD_REFUSED))
    story = start(phones, ANY)
    [letter] = dead(phones)
    clock.freeze(clock.now() + timedelta(minutes=1))
    with phones.bpm.db.unit_of_work() as session:
        outbox.requeue(session, phones.bpm.actor("process_admin"), letter.id)
        planning.look(session, story.id)
    phones.bpm.work()
    assert dead(phones) == []
    assert [phones.acting(who) for who in ("head_nurse", "surgeon")] == [["同意"], ["同意"]]
    with phones.bpm.db.reading() as session:
        assert session.get_one(Outbox, letter.id).last_error == outbox.SUPERSEDED


def test_a_send_without_an_answer_is_repeated_under_its_key(phones: Phones) -> None:
    phones.state.faults.append(Fault("message/send", silent=0.1))  # it was done, and nobody heard of it
    start(phones, line(("a", task("a", "surgeon"))))
    clock.freeze(clock.now() + timedelta(minutes=1))
    phones.bpm.work()
    assert len(phones.cards("surgeon")) == 1
    assert phones.tap("surgeon", "同意") == "done"
    assert phones.says("surgeon").startswith("已同意 · ")


def test_a_message_without_an_answer_comes_once(phones: Phones) -> None:
    phones.state.faults.append(Fault("message/send", silent=0.1))
    start(phones, line(("r", task("r", "surgeon", "doctor", kind="read"))))
    clock.freeze(clock.now() + timedelta(minutes=1))
    phones.bpm.work()
    assert phones.texts("surgeon") == ["请阅读：r"]
    assert [d.shown for d in phones.deliveries("doctor")] == ["sent"]


def test_an_update_that_is_lost_on_the_way_is_made_good(phones: Phones) -> None:
    story = start(phones, ANY)
    phones.state.faults.append(Fault("message/update_template_card", silent=0.1))  # done, and the code with it
    story.approve("surgeon")
    clock.freeze(clock.now() + timedelta(minutes=1))
    phones.bpm.work()
    name = phones.bpm.actor("surgeon").name
    assert phones.says("surgeon").startswith("已同意 · ")
    assert phones.says("head_nurse").startswith(f"已由{name}同意，您无需再办")
    assert [len(phones.cards(who)) for who in ("surgeon", "head_nurse")] == [1, 1]


def test_while_wecom_is_away_what_is_over_is_never_sent(phones: Phones) -> None:
    phones.state.faults.append(Fault("message/send", times=50, status=503))
    story = start(phones, line(("a", task("a", "surgeon"))))
    story.approve("surgeon")
    phones.state.faults.clear()
    clock.freeze(clock.now() + timedelta(minutes=10))
    phones.bpm.work()
    assert phones.cards("surgeon") == []
    assert [d.reason for d in phones.deliveries("surgeon")] == ["发送之前已不需要办理"]
    assert phones.texts("nurse") == ["您发起的事项已办结"]


def test_many_that_are_refused_end_as_one_dead_letter(phones: Phones) -> None:
    everybody = [who for who in CAST if who != "nurse"]
    assert len(everybody) > 20  # more than one run calls
    phones.state.faults.append(Fault("message/send", times=1000, errcode=CARD_REFUSED))
    start(phones, line(("a", task("a", *everybody))))
    assert [letter.topic for letter in dead(phones)] == ["tell"]
    phones.state.faults.clear()
    with phones.bpm.db.unit_of_work() as session:
        outbox.requeue(session, phones.bpm.actor("process_admin"), dead(phones)[0].id)
    phones.bpm.work()
    assert {who for who in everybody if not phones.cards(who)} == set()
