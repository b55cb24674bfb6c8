"""What a person wants to be told and when, and how much at once: nothing is lost, nobody is flooded."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from engine.batch import Batch
from engine.bpm.models import Instance
from engine.connectors.wecom import cards, planning, preferences
from engine.connectors.wecom.models import WeComAccount, WeComDelivery
from engine.connectors.wecom.preferences import Choice
from engine.db import new_id
from engine.errors import Invalid
from engine.notices import NewNotice, Notice, add_many
from sandbox.wecom.records import Fault
from tests.dsl import Story, task
from tests.engine.bpm.contracts.kit import MONDAY, line
from tests.engine.connectors.phones import BASE, Phones, _phones, number, start  # noqa: F401

pytestmark = pytest.mark.backend("sqlite", "postgresql")

ONE = line(("a", task("a", "surgeon")))
READ = line(("r", task("r", "surgeon", "doctor", kind="read")))
TEN_AT_NIGHT, SEVEN = 22 * 60, 7 * 60


def choose(phones: Phones, who: str, *muted: str, quiet: tuple[int, int] | None = None) -> None:
    with phones.bpm.db.unit_of_work() as session:
        actor = phones.bpm.actor(who)
        begin, end = quiet or (None, None)
        preferences.choose(session, actor, muted=muted, quiet_from=begin, quiet_to=end)


@pytest.mark.backend("postgresql")
def test_two_windows_may_choose_at_once(phones: Phones) -> None:
    refused: list[Exception] = []

    def again() -> None:
        try:
            choose(phones, "surgeon", "copy")
        except Exception as error:
            refused.append(error)

    second = threading.Thread(target=again)
    with phones.bpm.db.unit_of_work() as session:
        preferences.choose(session, phones.bpm.actor("surgeon"), muted=["read"], quiet_from=None, quiet_to=None)
        second.start()
        while second.is_alive() and not session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            second.join(0.02)
    second.join()
    assert refused == []
    with phones.bpm.db.reading() as session:
        assert preferences.choice(session, phones.bpm.actor("surgeon")).muted == {"copy"}


def forms(phones: Phones, who: str) -> list[str]:
    return [delivery.form for delivery in phones.deliveries(who)]


def remind(phones: Phones, story: Story, who: str, *texts: str) -> None:
    """Tell somebody several things about an instance at once."""
    person = phones.bpm.person(who)
    batch = Batch()
    add_many(batch, [NewNotice(person, "urge", "请假", text, instance_id=story.id) for text in texts])
    with phones.bpm.db.unit_of_work() as session:
        batch.run(session)
    phones.look_again(story)


def test_who_has_chosen_nothing_is_told_everything(phones: Phones) -> None:
    start(phones, READ)
    assert phones.texts("surgeon") == ["请阅读：r"]


def test_what_somebody_has_switched_off_is_kept_with_its_reason(phones: Phones) -> None:
    choose(phones, "surgeon", "read")
    start(phones, READ)
    assert (phones.texts("surgeon"), phones.texts("doctor")) == ([], ["请阅读：r"])
    assert [(d.form, d.reason) for d in phones.deliveries("surgeon")] == [("none", "本人关闭了这类消息")]


def test_what_waits_for_oneself_can_not_be_switched_off(session: Session, phones: Phones) -> None:
    for kind in ("todo", "return", "nonsense"):
        with pytest.raises(Invalid) as refused:
            preferences.choose(session, phones.bpm.actor("surgeon"), muted=[kind], quiet_from=None, quiet_to=None)
        assert refused.value.errors[0]["place"] == "muted"


@pytest.mark.parametrize(("begin", "end"), [(1, None), (None, 1), (5, 5), (-1, 5), (0, 1440)])
def test_quiet_hours_are_a_span_of_a_day(session: Session, phones: Phones, begin: int, end: int) -> None:
    with pytest.raises(Invalid):
        preferences.choose(session, phones.bpm.actor("surgeon"), muted=[], quiet_from=begin, quiet_to=end)


def test_quiet_hours_may_span_midnight() -> None:
    night = Choice(quiet_from=TEN_AT_NIGHT, quiet_to=SEVEN)
    evening, morning = MONDAY + timedelta(hours=13, minutes=30), MONDAY + timedelta(hours=20)  # 22:30, 5:00
    assert night.quiet_until(evening) == MONDAY + timedelta(hours=22)
    assert night.quiet_until(morning) == MONDAY + timedelta(hours=22)
    assert night.quiet_until(MONDAY) is None
    assert night.quiet_until(MONDAY + timedelta(hours=22)) is None
    noon = Choice(quiet_from=12 * 60, quiet_to=14 * 60)
    assert noon.quiet_until(MONDAY + timedelta(hours=4)) == MONDAY + timedelta(hours=5)


def test_in_quiet_hours_nothing_rings_and_afterwards_the_card_comes(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))  # 23:00
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    start(phones, ONE)
    assert (phones.messages("surgeon"), forms(phones, "surgeon")) == ([], ["held"])
    phones.at(MONDAY + timedelta(hours=22))  # 7:00
    phones.bpm.work()
    assert phones.acting("surgeon") == ["同意"]
    assert phones.tap("surgeon", "同意") == "done"


def test_what_was_done_in_quiet_hours_never_comes(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    story = start(phones, ONE).approve("surgeon")
    phones.at(MONDAY + timedelta(hours=22))
    phones.bpm.work()
    assert (phones.messages("surgeon"), forms(phones, "surgeon")) == ([], ["none"])
    story.expect_state("completed")


def test_what_is_urgent_breaks_through(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    files = line(("a", task("a", "head_nurse")), ("b", task("b", "surgeon")))
    story = start(phones, files)
    with phones.bpm.db.unit_of_work() as session:
        session.execute(update(Instance).where(Instance.id == story.id).values(urgency=2))
    story.approve("head_nurse")
    assert phones.acting("surgeon") == ["同意"]
    assert phones.card("surgeon")["source"]["desc_color"] == 2


def test_after_quiet_hours_more_than_three_become_one_digest(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    story = start(phones, ONE)
    for count in range(4):
        remind(phones, story, "surgeon", f"催办 {count}")
    assert phones.messages("surgeon") == []
    phones.at(MONDAY + timedelta(hours=22))
    phones.bpm.work()
    [digest] = phones.messages("surgeon")
    text = digest.message.content["content"]
    assert text.startswith("**您有 5 条消息**")
    assert f"]({BASE}/items/{story.item('surgeon').id}) 请办理：a" in text
    assert f"]({BASE}/open/{story.id}) 催办 3" in text
    assert forms(phones, "surgeon") == ["digest"] * 5


def test_who_ends_their_quiet_hours_is_told_at_once(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    start(phones, ONE)
    assert phones.messages("surgeon") == []
    choose(phones, "surgeon")
    phones.bpm.work()
    assert phones.acting("surgeon") == ["同意"]


def test_who_shortens_their_quiet_hours_is_told_when_the_new_ones_are_over(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))  # 23:00
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    start(phones, ONE)
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, 0))
    start(phones, ONE)
    assert forms(phones, "surgeon") == ["held", "held"]
    phones.at(MONDAY + timedelta(hours=15))  # 0:00
    phones.bpm.work()
    assert forms(phones, "surgeon") == ["card", "card"]
    assert len(phones.cards("surgeon")) == 2


def test_who_prolongs_them_is_left_in_peace(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, 0))
    start(phones, ONE)
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    phones.at(MONDAY + timedelta(hours=15))
    phones.bpm.work()
    assert phones.messages("surgeon") == []
    phones.at(MONDAY + timedelta(hours=22))
    phones.bpm.work()
    assert phones.acting("surgeon") == ["同意"]


def test_a_digest_that_is_late_leaves_out_what_was_done_meanwhile(phones: Phones) -> None:
    phones.at(MONDAY + timedelta(hours=14))
    choose(phones, "surgeon", quiet=(TEN_AT_NIGHT, SEVEN))
    story, *_ = [start(phones, ONE) for _ in range(5)]
    phones.state.faults.append(Fault("message/send", times=3, status=503))
    phones.at(MONDAY + timedelta(hours=22))
    phones.bpm.work()
    assert (phones.messages("surgeon"), forms(phones, "surgeon")) == ([], ["digest"] * 5)
    phones.state.faults.clear()
    story.approve("surgeon")
    phones.at(MONDAY + timedelta(hours=22, minutes=10))
    phones.bpm.work()
    [digest] = phones.messages("surgeon")
    assert digest.message.content["content"].startswith("**您有 4 条消息**")
    assert forms(phones, "surgeon") == ["none"] + ["digest"] * 4


def test_no_member_gets_more_than_wecom_delivers_in_a_minute(phones: Phones) -> None:
    phones.at(MONDAY)
    story = start(phones, ONE)
    remind(phones, story, "surgeon", *(f"提醒 {n}" for n in range(60)))
    assert len(phones.messages("surgeon")) == planning.A_MINUTE
    dropped = [m for m in phones.state.messages.values() if m.dropped]
    assert dropped == []
    phones.at(MONDAY + timedelta(minutes=2))
    phones.bpm.work()
    last = phones.messages("surgeon")[-1]
    assert last.message.content["content"].startswith("**您有 36 条消息**")
    assert len(phones.messages("surgeon")) == planning.A_MINUTE + 1
    assert sorted(set(forms(phones, "surgeon"))) == ["card", "digest", "text"]


def test_nor_more_than_it_delivers_in_an_hour(phones: Phones) -> None:
    phones.at(MONDAY)
    story = start(phones, ONE)
    phones.at(MONDAY + timedelta(minutes=30))
    batch = Batch()  # as if a busy half-hour had gone by
    add_many(batch, [NewNotice(phones.bpm.person("surgeon"), "urge", "x", "x")] * (planning.AN_HOUR - 1))
    with phones.bpm.db.unit_of_work() as session:
        batch.run(session)
    with phones.bpm.db.unit_of_work() as session:
        for id_ in session.scalars(select(Notice.id).where(Notice.title == "x")):
            session.add(
                WeComDelivery(
                    id=new_id(), notice_id=id_, person_id=phones.bpm.person("surgeon"), form="text", shown="sent",
                    reason="", sent_at=MONDAY + timedelta(minutes=10),
                )
            )  # fmt: skip
    remind(phones, story, "surgeon", "太多")
    assert "太多" not in phones.texts("surgeon")
    phones.at(MONDAY + timedelta(minutes=75))
    phones.bpm.work()
    assert phones.texts("surgeon")[-1] == "太多"


def test_who_has_no_account_is_noted_with_the_reason(phones: Phones) -> None:
    with phones.bpm.db.unit_of_work() as session:
        session.delete(session.get_one(WeComAccount, phones.bpm.person("surgeon")))
    start(phones, ONE)
    assert [(d.form, d.reason) for d in phones.deliveries("surgeon")] == [("none", "没有企业微信账号，或已停用")]


def test_who_is_no_member_is_noted_and_the_others_are_told(phones: Phones) -> None:
    del phones.state.members[number("surgeon").lower()]
    start(phones, READ)
    assert phones.texts("doctor") == ["请阅读：r"]
    assert [d.form for d in phones.deliveries("surgeon")] == ["none"]
    assert "可见范围" in phones.deliveries("surgeon")[0].reason
    start(phones, ONE)
    assert [d.form for d in phones.deliveries("surgeon")] == ["none", "none"]


def test_what_is_older_than_three_days_is_not_told(phones: Phones) -> None:
    phones.at(MONDAY)
    phones.bpm.db.mirrors = ()
    story = start(phones, ONE)
    phones.bpm.db.mirrors = ("wecom",)
    phones.at(MONDAY + timedelta(days=4))
    phones.look_again(story)
    assert phones.messages("surgeon") == []
    later = start(phones, ONE)
    assert phones.acting("surgeon") == ["同意"]
    assert later.id != story.id


def test_a_digest_is_never_longer_than_wecom_takes() -> None:
    rows = [("标题" * 60, "说明" * 90, f"{BASE}/open/{n}") for n in range(40)]
    text = cards.digest(rows, f"{BASE}/box/todo")
    assert 1000 < len(text.encode()) <= cards.MARKDOWN
    assert f"，打开批阅查看]({BASE}/box/todo)" in text
    one = cards.digest([("[坏]标题\n> 换行", "`x`", BASE)], BASE)
    assert one == f"**您有 1 条消息**\n> [［坏］标题 > 换行]({BASE}) 'x'"
