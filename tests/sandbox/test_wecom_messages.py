"""Sending: who gets it, who doesn't, what each type must have, what is cut, dropped, or sent only once."""

from typing import Any

import pytest

from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.conftest import DIRECTOR, HEAD_NURSE, NURSE, Client, refusal

AGENT = constants.AGENT_ID
PICTURE = b"\x89PNG\r\n\x1a\n" + b"0" * 20


def test_a_text_reaches_those_who_are_named(wecom_sandbox: Running, client: Client) -> None:
    answer = client.message.send_text(AGENT, [NURSE, HEAD_NURSE], "请看")
    assert (answer["errcode"], "invaliduser" in answer, "response_code" in answer) == (0, False, False)
    for userid in (NURSE, HEAD_NURSE):
        (message,) = wecom_sandbox.control.messages(userid=userid)
        assert (message["msgid"], message["content"], message["card"]) == (answer["msgid"], {"content": "请看"}, None)
    assert wecom_sandbox.control.messages(userid=DIRECTOR) == []


def test_whoever_can_not_get_it_is_named_in_lower_case(wecom_sandbox: Running, client: Client) -> None:
    wecom_sandbox.control.add_member(userid="ZhangSan", name="张三", departments=[1])
    answer = client.message.send_text(AGENT, ["zhangSAN", "NoBody", "Else"], "x", party_ids=["999"], tag_ids=["7"])
    assert (answer["errcode"], answer["invaliduser"]) == (0, "else|nobody")
    assert (answer["invalidparty"], answer["invalidtag"]) == ("999", "7")
    assert len(wecom_sandbox.control.messages(userid="zhangsan")) == 1
    assert refusal(lambda: client.message.send_text(AGENT, ["NoBody"], "x")) == 81013
    assert refusal(lambda: client.message.send_text(AGENT, [], "x")) == 81012


def test_only_members_in_the_visible_scope(wecom_sandbox: Running, client: Client) -> None:
    member = wecom_sandbox.state.members[NURSE]
    wecom_sandbox.control.agent(agentid=AGENT, users=[DIRECTOR], parties=[], tags=[])
    assert client.message.send_text(AGENT, [NURSE, DIRECTOR], "x")["invaliduser"] == NURSE
    assert refusal(lambda: client.message.send_text(AGENT, NURSE, "x")) == 81013
    wecom_sandbox.control.agent(agentid=AGENT, users=[], parties=[member.main_department], tags=[])
    assert "invaliduser" not in client.message.send_text(AGENT, NURSE, "x")
    wecom_sandbox.control.change_tag(number=5, add_users=[DIRECTOR])
    wecom_sandbox.control.agent(agentid=AGENT, users=[], parties=[], tags=[5])
    assert "invaliduser" not in client.message.send_text(AGENT, DIRECTOR, "x")
    wecom_sandbox.control.change_member(userid=DIRECTOR, changes={"status": 2})
    assert refusal(lambda: client.message.send_text(AGENT, DIRECTOR, "x")) == 81013


def test_departments_tags_and_everybody(wecom_sandbox: Running, client: Client) -> None:
    state = wecom_sandbox.state
    department = state.members[NURSE].main_department
    wecom_sandbox.control.change_tag(number=5, add_users=[DIRECTOR], add_parties=[department])
    answer = client.message.send_text(AGENT, [], "x", party_ids=[str(department)])
    inside = {m.key for m in state.members_of(department, deep=True) if m.status == 1}
    assert set(state.messages[answer["msgid"]].copies) == inside
    answer = client.message.send_text(AGENT, [NURSE], "x", tag_ids=["5"])
    assert set(state.messages[answer["msgid"]].copies) == {*inside, DIRECTOR}
    answer = client.message.send_text(AGENT, "@all", "x")
    assert len(state.messages[answer["msgid"]].copies) == sum(m.status == 1 for m in state.members.values()) > 1500


def test_how_many_may_be_named(client: Client) -> None:
    thousand = [f"u{number}" for number in range(1000)]
    assert "invaliduser" in client.message.send_text(AGENT, [*thousand[1:], NURSE], "x")
    assert refusal(lambda: client.message.send_text(AGENT, [*thousand, NURSE], "x")) == 40032
    hundred = [str(number) for number in range(1, 102)]
    assert refusal(lambda: client.message.send_text(AGENT, NURSE, "x", party_ids=hundred)) == 82002
    assert refusal(lambda: client.message.send_text(AGENT, NURSE, "x", tag_ids=hundred)) == 82003


def sent(client: Client, kind: str, content: object, **more: Any) -> Any:
    message = {"touser": NURSE, "agentid": AGENT, "msgtype": kind, kind: content, **more}
    return client.post("message/send", data=message)


URL = "https://oa.example/" + "x" * 2029  # 2048 bytes
CARD = {"title": "标题", "description": "内容", "url": "https://oa.example"}
ARTICLE = {"title": "t", "url": "https://oa.example"}


@pytest.mark.parametrize(
    ("kind", "content", "errcode"),
    [
        ("poem", {"content": "x"}, 40008),
        ("text", "x", 40063),
        ("text", {}, 44004),
        ("markdown", {"content": "汉" * 683}, 45002),  # 2049 bytes
        ("textcard", CARD | {"title": ""}, 41016),
        ("textcard", CARD | {"description": ""}, 41033),
        ("textcard", CARD | {"url": ""}, 41010),
        ("textcard", CARD | {"url": URL + "x"}, 40039),
        ("textcard", CARD | {"url": "oa.example"}, 45034),
        ("news", {"articles": []}, 45008),
        ("news", {"articles": [ARTICLE] * 9}, 45008),
        ("news", {"articles": [{"title": "t"}]}, 41010),
        ("news", {"articles": [{"url": "https://oa.example"}]}, 41016),
        ("image", {"media_id": "invented"}, 40007),
        ("file", {}, 40007),
        ("mpnews", {"articles": [{"title": "t", "content": "c", "thumb_media_id": "invented"}]}, 40007),
    ],
)
def test_what_a_message_must_have(client: Client, kind: str, content: object, errcode: int) -> None:
    assert refusal(lambda: sent(client, kind, content)) == errcode


def test_what_just_fits_and_what_is_cut(wecom_sandbox: Running, client: Client) -> None:
    sent(client, "markdown", {"content": "汉" * 682 + "xx"})
    sent(client, "text", {"content": "汉" * 683})
    sent(client, "textcard", CARD | {"title": "汉" * 43, "description": "x" * 513, "url": URL, "btntxt": "一二三四五"})
    sent(client, "news", {"articles": [ARTICLE] * 8})
    markdown, text, card, news = (m["content"] for m in wecom_sandbox.control.messages(userid=NURSE))
    assert len(markdown["content"].encode()) == 2048
    assert text["content"] == "汉" * 682
    assert (card["title"], len(card["description"]), card["btntxt"]) == ("汉" * 42, 512, "一二三四")
    assert len(news["articles"]) == 8


def test_files_are_sent_by_their_media_id(wecom_sandbox: Running, client: Client) -> None:
    picture = client.media.upload("image", ("a.png", PICTURE))["media_id"]
    client.message.send_image(AGENT, NURSE, picture)
    client.message.send_file(AGENT, NURSE, picture)
    client.message.send_video(AGENT, NURSE, picture, "t" * 200, "d")
    assert len(wecom_sandbox.control.messages(userid=NURSE)[2]["content"]["title"]) == 128
    wecom_sandbox.control.advance(seconds=3 * 86_400)
    client.fetch_access_token()
    assert refusal(lambda: client.message.send_image(AGENT, NURSE, picture)) == 40007


def test_the_same_message_arrives_once_within_its_interval(wecom_sandbox: Running, client: Client) -> None:
    once = {"enable_duplicate_check": 1, "duplicate_check_interval": 600}
    first = sent(client, "text", {"content": "x"}, **once)
    assert sent(client, "text", {"content": "x"}, **once)["msgid"] == first["msgid"]
    assert sent(client, "text", {"content": "y"}, **once)["msgid"] != first["msgid"]
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 2
    wecom_sandbox.control.advance(seconds=600)
    sent(client, "text", {"content": "x"}, **once)
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 3
    for interval in (0, 4 * 3600 + 1, "1"):
        once["duplicate_check_interval"] = interval  # type: ignore[assignment]
        assert refusal(lambda: sent(client, "text", {"content": "x"}, **once)) == 40058


def test_more_than_30_a_minute_are_dropped_and_nobody_is_told(wecom_sandbox: Running, client: Client) -> None:
    for number in range(32):
        answer = client.message.send_text(AGENT, [NURSE], str(number))
        assert (answer["errcode"], "invaliduser" in answer) == (0, False)
    assert [m["content"]["content"] for m in wecom_sandbox.control.messages(userid=NURSE)][-1] == "29"
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    other.message.send_text(constants.OTHER_AGENT_ID, NURSE, "from another app")
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 31
    wecom_sandbox.control.advance(seconds=60)
    client.message.send_text(AGENT, [NURSE], "later")
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 32


def test_and_more_than_1000_an_hour(wecom_sandbox: Running, client: Client) -> None:
    wecom_sandbox.control.limits(member_hour=3)
    for _ in range(4):
        client.message.send_text(AGENT, [NURSE], "x")
        wecom_sandbox.control.advance(seconds=61)
    assert len(wecom_sandbox.control.messages(userid=NURSE)) == 3
    assert wecom_sandbox.control.limits()["member_hour"] == 3


def test_so_many_recipients_a_day(wecom_sandbox: Running, client: Client) -> None:
    wecom_sandbox.control.limits(people_day=0)
    assert refusal(lambda: client.message.send_text(AGENT, NURSE, "x")) == 45009
    wecom_sandbox.control.limits(people_day=200)
    assert client.message.send_text(AGENT, NURSE, "x")["msgid"]


def test_an_app_sends_in_its_own_name_only(client: Client) -> None:
    assert refusal(lambda: client.message.send_text(constants.OTHER_AGENT_ID, NURSE, "x")) == 301002
    assert client.refused("message/send", {"touser": NURSE, "msgtype": "text", "text": {"content": "x"}}) == 41011
    assert client.refused("message/send", {"touser": NURSE, "agentid": "x"}) == 40056
    assert client.refused("message/send", {"touser": [NURSE], "agentid": AGENT}) == 40058


def test_a_message_is_taken_back_within_a_day(wecom_sandbox: Running, client: Client) -> None:
    first = client.message.send_text(AGENT, NURSE, "x")["msgid"]
    client.post("message/recall", data={"msgid": first})
    assert [m["recalled"] for m in wecom_sandbox.control.messages(userid=NURSE)] == [True]
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    assert other.refused("message/recall", {"msgid": first}) == 40058
    assert client.refused("message/recall", {"msgid": "invented"}) == 40058
    wecom_sandbox.control.advance(seconds=86_400)
    client.fetch_access_token()
    assert client.refused("message/recall", {"msgid": first}) == 42052
