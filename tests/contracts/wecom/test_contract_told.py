"""Who is told what, and how much: one's own choice, quiet hours, the limit of a member, many readers, group chats.

Issue 4, "Messages", "Group chat", "Workbench key data", "Bars"; design 04, "Limits and errors to honour".
"""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine import clock
from engine.connectors.wecom import accounts
from engine.org.demo import CAST, roster
from tests.contracts.wecom.ward import AGENT, Ward, name, number
from tests.dsl import bpmn, chain, start_task, task

pytestmark = pytest.mark.backend("sqlite")

EVENING = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)  # 22:30 in the hospital
NIGHT = {"quiet_from": 22 * 60, "quiet_to": 7 * 60}


def choose(ward: Ward, who: str, **choice: Any) -> None:
    with ward.api(who) as api:
        answer = api.put("/api/v1/me/wecom", json={"muted": [], "quiet_from": None, "quiet_to": None, **choice})
        assert answer.status_code < 300, answer.text


def at(moment: datetime, ward: Ward) -> None:
    """Set both clocks to a moment of the future of the tests."""
    now = datetime.now(UTC)
    target = moment + timedelta(days=365 * 2)
    ward.control.advance(seconds=(target - now).total_seconds())
    clock.freeze(target)


def received(ward: Ward) -> tuple[int, int]:
    """Return how many person-times were sent, and how many arrived."""
    calls = ward.control.statistics()["calls"]
    sent = sum(people for endpoint, _, _, _, errcode, people in calls if endpoint == "message/send" and not errcode)
    return sent, sum(len(ward.control.messages(userid=m.staff_number)) for m in CAST.values())


READING = bpmn(
    '<startEvent id="s"/>' + start_task() + task("review", "head_nurse") + task("circulate", "doctor", kind="read")
    + '<endEvent id="e"/>' + chain("s", "apply", "review", "circulate", "e")
)  # fmt: skip


def test_what_one_has_muted_does_not_come_and_is_in_the_product_all_the_same(ward: Ward) -> None:
    choose(ward, "doctor", muted=["read"])
    ward.bpm.deploy_files(READING)
    ward.bpm.start("p", by="nurse").approve(by="head_nurse")
    assert ward.chat("doctor") == []
    with ward.api("doctor") as api:
        assert len(api.get("/api/v1/boxes/read-todo").json()["rows"]) == 1
        assert api.get("/api/v1/notices").json()["notices"]


@pytest.mark.parametrize("kind", ["todo", "returned", "nonsense"])
def test_what_waits_for_oneself_cannot_be_muted(ward: Ward, kind: str) -> None:
    with ward.api("head_nurse") as api:
        answer = api.put("/api/v1/me/wecom", json={"muted": [kind], "quiet_from": None, "quiet_to": None})
    assert answer.status_code == 422
    ward.begin("head_nurse")
    assert "同意" in ward.card("head_nurse").acting


def test_a_choice_is_ones_own(ward: Ward) -> None:
    choose(ward, "doctor", muted=["read"], **NIGHT)
    with ward.api("surgeon") as api:
        assert api.get("/api/v1/me/wecom").json()["muted"] == []
    with ward.api("doctor") as api:
        shown = api.get("/api/v1/me/wecom").json()
    assert (shown["muted"], shown["quiet_from"], shown["quiet_to"]) == (["read"], 1320, 420)


def test_quiet_hours_put_it_off_until_the_morning(ward: Ward) -> None:
    at(EVENING, ward)
    choose(ward, "head_nurse", **NIGHT)
    story = ward.begin("head_nurse", "pediatrics_head")
    assert ward.chat("head_nurse") == []
    assert "同意" in ward.card("pediatrics_head").acting, "others are told at once"
    ward.pass_time(8 * 3600 + 1800)  # 7 o'clock
    ward.work()
    ward.pass_time(60)
    ward.work()
    assert "同意" in ward.card("head_nurse").acting
    ward.press("head_nurse", "同意")
    assert story.open_steps == {"then"}


def test_what_is_over_by_the_morning_is_not_told(ward: Ward) -> None:
    at(EVENING, ward)
    choose(ward, "head_nurse", **NIGHT)
    story = ward.begin("head_nurse", "pediatrics_head")
    story.approve(by="pediatrics_head")
    ward.pass_time(9 * 3600)
    ward.work()
    assert [c for c in ward.chat("head_nurse") if c.acting] == []


def test_many_of_a_night_come_as_one_digest(ward: Ward) -> None:
    at(EVENING, ward)
    choose(ward, "head_nurse", **NIGHT)
    ward.begin("head_nurse")
    for _ in range(7):
        ward.bpm.start("p", by="nurse")
    ward.pass_time(9 * 3600)
    ward.work()
    ward.pass_time(60)
    ward.work()
    kinds = Counter(c.raw["msgtype"] for c in ward.chat("head_nurse"))
    assert sum(kinds.values()) <= 4, kinds
    assert kinds["markdown"] >= 1, kinds
    digest = next(c for c in ward.chat("head_nurse") if c.raw["msgtype"] == "markdown")
    assert len(str(digest.raw["content"]["content"]).encode()) <= 2048
    assert ward.url in digest.text


def test_no_message_is_dropped_in_silence_however_many_there_are(ward: Ward) -> None:
    """30 a minute per member; the excess is held back and told later, in fewer messages."""
    at(EVENING, ward)
    ward.begin("head_nurse")
    for _ in range(35):
        ward.bpm.start("p", by="nurse")
    sent, arrived = received(ward)
    assert sent == arrived, "WeCom has dropped some in silence"
    first = len(ward.chat("head_nurse"))
    assert first <= 30
    for _ in range(5):
        ward.pass_time(61)
        ward.work()
    sent, arrived = received(ward)
    assert sent == arrived
    assert len(ward.chat("head_nurse")) > first, "what was held back is told"
    digests = [c for c in ward.chat("head_nurse") if c.raw["msgtype"] == "markdown"]
    assert len([c for c in ward.chat("head_nurse") if c.acting]) == 36 or digests
    assert not ward.undelivered()


def test_five_hundred_readers_are_at_most_two_calls(ward: Ward) -> None:
    cast = {m.staff_number for m in CAST.values()}
    people = [p.number for p in roster()[1] if p.state == "在职" and p.number not in cast][:500]
    with ward.db.unit_of_work() as session:
        for each in people:
            accounts.link(session, None, each, each)
    reads = (
        '<userTask id="circulate" name="传阅"><extensionElements><piyue:task kind="read"/>'
        f'<piyue:assign rule="person" persons="{" ".join(people)}"/></extensionElements></userTask>'
    )
    body = '<startEvent id="s"/>' + start_task() + reads + '<endEvent id="e"/>' + chain("s", "apply", "circulate", "e")
    ward.bpm.deploy_files(bpmn(body))
    ward.bpm.start("p", by="nurse")
    assert 1 <= ward.calls("message/send") <= 2
    for each in (people[0], people[250], people[-1]):
        message = ward.card(each)
        assert message.raw["msgtype"] in ("template_card", "textcard")
    sent = sum(c[5] for c in ward.control.statistics()["calls"] if c[0] == "message/send")
    assert sent == 500


BOXES = {"待办": "todo", "待阅": "read-todo", "我发起": "started"}


def board(ward: Ward, who: str) -> dict[str, str]:
    shown = ward.control.workbench(userid=number(who), agentid=AGENT)
    items = shown.get("keydata", shown).get("items", [])
    return {item["key"]: item["data"] for item in items}


def boxes(ward: Ward, who: str) -> dict[str, str]:
    with ward.api(who) as api:
        rows = {
            key: str(len(api.get(f"/api/v1/boxes/{box}", params={"limit": 100}).json()["rows"]))
            for key, box in BOXES.items()
        }
        rows["我发起"] = str(
            len(api.get("/api/v1/boxes/started", params={"limit": 100, "state": "running"}).json()["rows"])
        )
    return rows


def test_the_workbench_shows_what_the_boxes_count(ward: Ward) -> None:
    ward.bpm.deploy_files(READING)
    stories = [ward.bpm.start("p", by="nurse") for _ in range(4)]
    stories[0].approve(by="head_nurse")
    stories[1].approve(by="head_nurse").read(by="doctor")
    ward.pass_time(30)
    ward.work()
    for who in ("nurse", "head_nurse", "doctor"):
        shown, counted = board(ward, who), boxes(ward, who)
        assert {key: shown.get(key, "0") for key in counted} == counted, who
    stories[2].act("withdraw", "nurse", stories[2].id, reason="不请了")
    ward.pass_time(30)
    ward.work()
    for who in ("nurse", "head_nurse"):
        assert {k: v for k, v in board(ward, who).items() if k in BOXES} == boxes(ward, who), who


def test_the_workbench_is_debounced(ward: Ward) -> None:
    ward.begin("head_nurse")
    for _ in range(14):
        ward.bpm.start("p", by="nurse")
    assert ward.calls("agent/set_workbench_data") == 0
    ward.pass_time(30)
    ward.work()
    assert board(ward, "head_nurse")["待办"] == "15"
    assert ward.calls("agent/set_workbench_data") == 2, "one each for the nurse and the head nurse"
    ward.pass_time(30)
    ward.work()
    assert ward.calls("agent/set_workbench_data") == 2, "nothing has changed"


def test_what_is_overdue_is_counted(ward: Ward) -> None:
    """逾期 is what the boxes show when they are narrowed to what is overdue."""
    ward.begin("head_nurse")
    ward.pass_time(30)
    ward.work()
    with ward.api("head_nurse") as api:
        late = api.get("/api/v1/boxes/todo", params={"overdue": "true"}).json()["rows"]
    assert board(ward, "head_nurse")["逾期"] == str(len(late))


def open_chat(ward: Ward, who: str, instance: Any) -> int:
    with ward.api(who) as api:
        status = api.post(f"/api/v1/instances/{instance}/chat").status_code
    ward.work()
    return status


def test_a_group_chat_on_demand_is_made_once_with_a_link(ward: Ward) -> None:
    story = ward.begin("head_nurse", "pediatrics_head")
    assert open_chat(ward, "nurse", story.id) < 300
    assert open_chat(ward, "head_nurse", story.id) < 300
    assert ward.calls("appchat/create") == 1
    for who in ("nurse", "head_nurse", "pediatrics_head"):
        told = [c for c in ward.chat(who) if c.raw["chatid"]]
        assert told, who
        assert ward.url in told[0].text
        assert told[0].raw["msgtype"] != "template_card"
    assert not [c for c in ward.chat("surgeon") if c.raw["chatid"]]


def test_whoever_comes_to_handle_it_later_joins_the_chat(ward: Ward) -> None:
    story = ward.begin("head_nurse")
    open_chat(ward, "nurse", story.id)
    story.approve(by="head_nurse")
    ward.control.statistics()
    assert ward.calls("appchat/update") >= 1
    assert ward.calls("appchat/create") == 1


@pytest.mark.parametrize("who", ["surgeon", "process_admin", "auditor"])
def test_nobody_else_opens_one(ward: Ward, who: str) -> None:
    story = ward.begin("head_nurse")
    assert open_chat(ward, who, story.id) in (403, 404)
    assert ward.calls("appchat/create") == 0


def test_the_applicant_is_told_how_it_ended(ward: Ward) -> None:
    story = ward.begin("head_nurse", after="pediatrics_head")
    story.approve(by="head_nurse").approve(by="pediatrics_head")
    said = " ".join(c.text for c in ward.chat("nurse"))
    assert name("pediatrics_head") in said or "结束" in said or "办结" in said, said


def test_who_has_no_account_stops_nobody(ward: Ward) -> None:
    with ward.db.unit_of_work() as session:
        accounts.unlink(session, None, number("pediatrics_head"))
    ward.begin("head_nurse", "pediatrics_head")
    assert "同意" in ward.card("head_nurse").acting
    assert not ward.undelivered()


def test_who_is_outside_the_scope_stops_nobody(ward: Ward) -> None:
    ward.show_to("head_nurse")
    story = ward.begin("pediatrics_head", "head_nurse")
    assert "同意" in ward.card("head_nurse").acting
    ward.press("head_nurse", "同意")
    assert story.open_steps == {"then"}
