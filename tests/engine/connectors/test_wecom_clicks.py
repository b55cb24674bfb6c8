"""A click is bound to the card and the clicker, checks what a page checks, and decides once."""

from pathlib import Path

import pytest
from sqlalchemy import select, update

from api.app import create_app
from engine import clock
from engine.bpm.models import Instance
from engine.connectors.wecom import clicks
from engine.connectors.wecom.models import WeComCallback, WeComDelivery
from engine.org.models import Person
from engine.settings import Settings
from sandbox.serving import serving
from sandbox.wecom.server import Running
from tests.dsl import task
from tests.engine.bpm.contracts.kit import form, line
from tests.engine.connectors.phones import BASE, Phones, _phones, number, start  # noqa: F401

pytestmark = pytest.mark.backend("sqlite", "postgresql")

ANY = line(("a", task("a", "head_nurse", "surgeon")), ("b", task("b", "archivist")))


def test_a_second_click_and_the_event_sent_again_decide_nothing(phones: Phones) -> None:
    story = start(phones, ANY)
    first, second = phones.event("surgeon", "同意"), phones.event("surgeon", "同意")
    assert phones.hear(first) == "done"
    assert phones.hear(first) == "done"  # its callback is handled once more: the same request
    assert phones.hear(second) == "refused: item_closed"
    assert [verb for verb, step, _ in story.trail if step == "a"] == ["complete"]
    assert phones.says("surgeon").startswith("已同意 · ")
    assert len(phones.cards("surgeon")) == 1


def test_two_who_click_at_once_get_one_decision(phones: Phones) -> None:
    story = start(phones, ANY)
    surgeon, head = phones.event("surgeon", "同意"), phones.event("head_nurse", "同意")
    assert clicks.clicked(phones.bpm.db, surgeon) == "done"
    assert phones.hear(head) == "refused: item_closed"
    name = phones.bpm.actor("surgeon").name
    assert phones.says("head_nurse").startswith(f"已由{name}同意，您无需再办")
    story.expect_open("b")


def test_somebody_elses_card_can_not_be_clicked(phones: Phones) -> None:
    story = start(phones, ANY)
    event = phones.event("surgeon", "同意") | {"FromUserName": number("archivist")}
    assert phones.hear(event) == "refused: not the recipient"
    story.expect_open("a")
    assert phones.acting("surgeon") == ["同意"]


def test_another_cards_button_says_nothing_of_whose_item_it_is(phones: Phones) -> None:
    story = start(phones, ANY)
    assert phones.hear(phones.event("surgeon", "同意") | {"EventKey": "outcome:nothing"}) == "refused: outcome_unknown"
    assert phones.hear(phones.event("surgeon", "同意") | {"EventKey": "delete"}) == "refused: wecom_button"
    story.expect_open("a")
    assert "这张卡片上的按钮已失效" in phones.says("surgeon")


def test_who_is_disabled_decides_nothing(phones: Phones) -> None:
    story = start(phones, ANY)
    event = phones.event("surgeon", "同意")
    with phones.bpm.db.unit_of_work() as session:
        gone = update(Person).where(Person.id == phones.bpm.person("surgeon"))
        session.execute(gone.values(disabled_at=clock.now()))
    assert phones.hear(event) == "refused: disabled"
    story.expect_open("a")


def test_a_refusal_stands_on_the_card_and_can_be_tried_again(phones: Phones) -> None:
    words = '<piyue:outcome id="approve" name="同意"/><piyue:outcome id="reject" name="不同意" opinion="required"/>'
    story = start(phones, line(("a", task("a", "surgeon", inner=words))))
    forged = phones.event("surgeon", "同意") | {"EventKey": "outcome:reject"}
    assert phones.hear(forged) == "refused: opinion_required"
    assert phones.says("surgeon") == "未办成：“不同意”需要填写意见。请打开办理，或再试一次"
    assert {b["url"] for b in phones.card("surgeon")["button_list"] if b.get("type")} >= {
        f"{BASE}/items/{story.item('surgeon').id}"
    }
    assert phones.tap("surgeon", "同意") == "done"
    assert phones.says("surgeon").startswith("已同意 · ")


def test_after_a_refusal_a_decision_on_the_page_still_reaches_the_card(phones: Phones) -> None:
    story = start(phones, ANY)
    phones.hear(phones.event("surgeon", "同意") | {"EventKey": "delete"})
    story.approve("head_nurse")
    name = phones.bpm.actor("head_nurse").name
    assert phones.says("surgeon").startswith(f"已由{name}同意，您无需再办")
    assert len(phones.cards("surgeon")) == 1


def test_a_decision_on_figures_that_changed_is_refused_and_shows_the_new_ones(phones: Phones) -> None:
    story = start(phones, ANY)
    with phones.bpm.db.unit_of_work() as session:
        session.execute(update(Instance).where(Instance.id == story.id).values(summary="病假 5 天"))
    assert phones.tap("surgeon", "同意") == "refused: wecom_figures"
    rows = {row["keyname"]: row["value"] for row in phones.card("surgeon")["horizontal_content_list"]}
    assert rows["内容"] == "病假 5 天"
    assert phones.tap("surgeon", "同意") == "done"
    story.expect_open("b")


def test_a_double_tap_does_not_decide_on_figures_that_nobody_has_seen(phones: Phones) -> None:
    story = start(phones, ANY)
    first, second = phones.event("surgeon", "同意"), phones.event("surgeon", "同意")
    with phones.bpm.db.unit_of_work() as session:
        session.execute(update(Instance).where(Instance.id == story.id).values(summary="病假 50 天"))
    assert clicks.clicked(phones.bpm.db, first) == "refused: wecom_figures"
    assert phones.hear(second) == "refused: wecom_figures"  # the card couldn't be changed between the two
    story.expect_open("a")
    assert phones.tap("surgeon", "同意") == "done"
    story.expect_open("b")


def test_a_step_whose_form_lacks_something_is_handled_on_the_page(phones: Phones) -> None:
    step = (
        '<userTask id="a" name="a"><extensionElements><piyue:task kind="decide" form="f"/>'
        f'<piyue:assign rule="person" persons="{number("surgeon")}"/><piyue:field key="amount" access="edit"/>'
        "</extensionElements></userTask>"
    )
    start(phones, line(("a", step)) | form("f", "amount", required=("amount",)))
    assert phones.acting("surgeon") == []
    assert phones.buttons("surgeon")[0] == "去办理"


def test_a_click_keeps_the_code_for_the_answer_and_uses_it_once(phones: Phones) -> None:
    start(phones, ANY)
    event = phones.event("surgeon", "同意")
    phones.hear(event)
    code = phones.state.codes[event["ResponseCode"]]
    assert code.used
    assert phones.deliveries("surgeon")[0].response_code is None


def test_a_crash_between_send_and_mark_repeats_the_send_under_its_key(phones: Phones) -> None:
    story = start(phones, ANY)
    with phones.bpm.db.unit_of_work() as session:  # as if the mark had never been written
        session.execute(
            update(WeComDelivery).values(shown="", msgid=None, response_code=None, code_at=None, task_id=None)
        )
    phones.look_again(story)
    assert len(phones.cards("surgeon")) == 1
    delivery = phones.deliveries("surgeon")[0]
    assert delivery.shown.startswith("open:")
    assert delivery.response_code is None
    assert phones.tap("surgeon", "同意") == "done"  # the click brings a code of its own
    assert phones.says("surgeon").startswith("已同意 · ")


def test_a_card_may_be_clicked_before_its_send_was_noted(phones: Phones) -> None:
    story = start(phones, ANY)
    with phones.bpm.db.unit_of_work() as session:  # as after a crash
        unmarked = {"shown": "", "msgid": None, "response_code": None, "code_at": None, "task_id": None}
        session.execute(update(WeComDelivery).values(unmarked))
    assert phones.tap("surgeon", "同意") == "done"
    assert phones.says("surgeon").startswith("已同意 · ")
    story.expect_open("b")
    assert phones.tap("head_nurse", "同意") == "refused: item_closed"  # of a card that nobody knows was sent
    assert phones.says("head_nurse").startswith(f"已由{phones.bpm.actor('surgeon').name}同意，您无需再办")


def test_a_click_writes_one_line_into_the_log(phones: Phones, caplog: pytest.LogCaptureFixture) -> None:
    start(phones, ANY)
    event = phones.event("surgeon", "同意") | {"TaskId": "x\n2026-03-02 ERROR engine forged"}
    assert phones.hear(event) == "refused: not the recipient"
    (line,) = [record.getMessage() for record in caplog.records if "click refused" in record.getMessage()]
    assert len(line.splitlines()) == 1


def test_a_task_that_is_none_of_ours_is_refused(phones: Phones) -> None:
    start(phones, ANY)
    for task_id in ("", "x", "0" * 32, "１" * 32):
        assert phones.hear(phones.event("surgeon", "同意") | {"TaskId": task_id}) == "refused: not the recipient"


def test_a_click_travels_from_the_phone_to_the_card(phones: Phones, wecom_sandbox: Running, tmp_path: Path) -> None:
    story = start(phones, ANY)
    service = create_app(Settings(mode="demo", var=tmp_path), phones.bpm.db)
    with serving(service) as url:
        wecom_sandbox.call(f"{url}/wecom/callback")
        copy = phones.messages("surgeon")[-1]
        told = wecom_sandbox.control.click(userid=copy.userid, msgid=copy.message.msgid, key="outcome:approve", wait=30)
        assert told["delivered"], told
    phones.bpm.work()
    assert phones.says("surgeon").startswith("已同意 · ")
    assert phones.says("head_nurse").startswith(f"已由{phones.bpm.actor('surgeon').name}同意，您无需再办")
    story.expect_open("b")
    with phones.bpm.db.reading() as session:
        [kept] = session.scalars(select(WeComCallback)).all()
        assert kept.result == "done"
