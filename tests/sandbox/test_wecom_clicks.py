"""Pressing cards: the encrypted events, the answers to them, their retries, and those that must be refused."""

import time
from typing import Any

import pytest

from sandbox.remote import Refused
from sandbox.wecom import constants
from sandbox.wecom.crypto import encrypt
from sandbox.wecom.server import Running
from tests.sandbox.conftest import HEAD_NURSE, NURSE, App, Client
from tests.sandbox.test_wecom_cards import AGENT, BUTTONS, CHOICES, MENU, TEXT, URL, VOTE, send, shown, update


def press(wecom: Running, userid: str, key: str = "outcome:agree", **more: Any) -> Any:
    return wecom.control.click(userid=userid, msgid=shown(wecom, userid)["msgid"], key=key, wait=30, **more)


def test_a_click_tells_the_app_who_pressed_what(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS, to=f"{NURSE}|{HEAD_NURSE}")
    told = press(wecom_sandbox, NURSE)
    event = app.event()
    assert told["attempts"] == ["200"]
    assert event["FromUserName"] == NURSE
    assert (event["ToUserName"], event["AgentID"]) == (constants.CORP_ID, str(AGENT))
    assert (event["MsgType"], event["Event"], event["EventKey"]) == ("event", "template_card_event", "outcome:agree")
    assert (event["TaskId"], event["CardType"]) == ("t-1", "button_interaction")
    assert abs(int(event["CreateTime"]) - time.time()) < 30
    assert "SelectedItems" not in event
    assert shown(wecom_sandbox, HEAD_NURSE)["busy"] == "", "only the card of who pressed is busy"


def test_a_card_is_busy_until_it_is_updated(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS)
    press(wecom_sandbox, NURSE)
    assert shown(wecom_sandbox, NURSE)["busy"] == "outcome:agree"
    with pytest.raises(Refused, match="正在处理"):
        press(wecom_sandbox, NURSE)
    update(client, app.event()["ResponseCode"], userids=[NURSE], button={"replace_name": "已同意"})
    copy = shown(wecom_sandbox, NURSE)
    assert (copy["busy"], copy["replaced"], copy["clicked"]) == ("", "已同意", "outcome:agree")
    with pytest.raises(Refused, match="不能点击"):
        press(wecom_sandbox, NURSE)


def test_every_click_brings_another_code(wecom_sandbox: Running, client: Client, app: App) -> None:
    codes = {send(client, BUTTONS, to=f"{NURSE}|{HEAD_NURSE}")["response_code"]}
    codes |= {press(wecom_sandbox, userid)["fields"]["ResponseCode"] for userid in (NURSE, HEAD_NURSE)}
    assert len(codes) == 3
    for code in codes:
        assert update(client, code, atall=1, button={"replace_name": "x"})["errcode"] == 0


def test_what_can_not_be_pressed(wecom_sandbox: Running, client: Client, app: App) -> None:
    msgid = send(client, BUTTONS)["msgid"]
    with pytest.raises(Refused, match="没有这个按钮"):
        press(wecom_sandbox, NURSE, "outcome:reject")
    with pytest.raises(Refused, match="没有收到"):
        wecom_sandbox.control.click(userid=HEAD_NURSE, msgid=msgid, key="outcome:agree")
    wecom_sandbox.control.callback(agentid=AGENT)
    with pytest.raises(Refused, match="没有设置接收消息"):
        press(wecom_sandbox, NURSE)
    client.post("message/recall", data={"msgid": msgid})
    with pytest.raises(Refused, match="已撤回"):
        press(wecom_sandbox, NURSE)
    assert app.events == []


def test_what_opens_a_page(wecom_sandbox: Running, client: Client, app: App) -> None:
    def opened(msgid: str, text: str = "") -> str:
        return str(wecom_sandbox.control.press(userid=NURSE, msgid=msgid, text=text)["url"])

    card = send(client, {**BUTTONS, "card_action": {"type": 1, "url": f"{URL}#card"}})["msgid"]
    assert (opened(card, "退回"), opened(card)) == (URL, f"{URL}#card")
    with pytest.raises(Refused, match="没有能打开网页的“同意”"):
        opened(card, "同意")
    textcard = client.message.send_text_card(AGENT, NURSE, "t", "d", URL)["msgid"]
    article = {"title": "t", "description": "", "url": f"{URL}#news", "image": ""}
    news = client.message.send_articles(AGENT, NURSE, [article])["msgid"]
    assert (opened(textcard), opened(news)) == (URL, f"{URL}#news")
    with pytest.raises(Refused, match="不打开网页"):
        opened(client.message.send_text(AGENT, NURSE, "x")["msgid"])
    assert app.events == []


def test_choices_come_with_the_click(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, VOTE)
    with pytest.raises(Refused, match="请先选择"):
        press(wecom_sandbox, NURSE, "submit")
    with pytest.raises(Refused, match="没有这个选项"):
        press(wecom_sandbox, NURSE, "submit", selected={"q": ["z"]})
    press(wecom_sandbox, NURSE, "submit", selected={"q": ["a", "b"]})
    item = app.event()["SelectedItems"]["SelectedItem"]
    assert item == {"QuestionKey": "q", "OptionIds": {"OptionId": ["a", "b"]}}
    question = {"question_key": "r", "option_list": [{"id": "1", "text": "x"}, {"id": "2", "text": "y"}]}
    card = {**CHOICES, "select_list": [*CHOICES["select_list"], {**question, "selected_id": "2"}]}
    msgid = send(client, card, to=HEAD_NURSE)["msgid"]
    with pytest.raises(Refused, match="只能选一项"):
        press(wecom_sandbox, HEAD_NURSE, "submit", selected={"r": ["1", "2"]})
    wecom_sandbox.control.click(userid=HEAD_NURSE, msgid=msgid, key="submit")
    items = app.event(1)["SelectedItems"]["SelectedItem"]
    assert [item["OptionIds"]["OptionId"] for item in items] == ["a", "2"]
    assert shown(wecom_sandbox, HEAD_NURSE)["selected"] == {"q": ["a"], "r": ["2"]}


def test_the_menu_of_a_card(wecom_sandbox: Running, client: Client, app: App) -> None:
    msgid = send(client, {**TEXT, "task_id": "m", "action_menu": MENU})["msgid"]
    with pytest.raises(Refused, match="没有这一项"):
        wecom_sandbox.control.choose_from_menu(userid=NURSE, msgid=msgid, key="other")
    wecom_sandbox.control.choose_from_menu(userid=NURSE, msgid=msgid, key="mute")
    event = app.event()
    assert (event["Event"], event["EventKey"], event["TaskId"]) == ("template_card_menu_event", "mute", "m")
    assert (event["CardType"], shown(wecom_sandbox, NURSE)["busy"]) == ("text_notice", "")
    assert update(client, event["ResponseCode"], atall=1, template_card=TEXT)["errcode"] == 0


def reply(app: App, name: str) -> bytes:
    text = f"<xml><MsgType>update_button</MsgType><Button><ReplaceName>{name}</ReplaceName></Button></xml>"
    told: str = app.crypto.encrypt_message(text, "nonce", "1700000000")
    return told.encode()


def test_a_passive_reply_changes_the_card_of_who_pressed(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS, to=f"{NURSE}|{HEAD_NURSE}")
    app.answers = [reply(app, "已由单晓燕处理")]
    assert press(wecom_sandbox, NURSE)["reply"] == "update_button"
    assert shown(wecom_sandbox, NURSE)["replaced"] == "已由单晓燕处理"
    assert (shown(wecom_sandbox, NURSE)["busy"], shown(wecom_sandbox, HEAD_NURSE)["replaced"]) == ("", "")


def test_a_reply_that_is_not_the_apps_changes_nothing(wecom_sandbox: Running, client: Client, app: App) -> None:
    foreign = encrypt(constants.CALLBACK_AES_KEY, b"<xml><MsgType>text</MsgType></xml>", constants.CORP_ID)
    unsigned = f"<xml><Encrypt>{foreign}</Encrypt><MsgSignature>0</MsgSignature><TimeStamp>1</TimeStamp>".encode()
    app.answers = [b"success", unsigned + b"<Nonce>n</Nonce></xml>"]
    told = []
    for userid, task in ((NURSE, "a"), (HEAD_NURSE, "b")):
        send(client, {**BUTTONS, "task_id": task}, to=userid)
        told.append(press(wecom_sandbox, userid)["reply"])
    assert told == ["unreadable", "not signed by the app"]
    assert shown(wecom_sandbox, NURSE)["busy"] == "outcome:agree"


def test_three_more_tries_after_an_error(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS)
    app.answers = [500, 404, 302]
    told = press(wecom_sandbox, NURSE)
    assert (told["attempts"], told["delivered"]) == (["500", "404", "302", "200"], True)
    assert len({event["ResponseCode"] for event in app.events}) == 1, "it is the same event each time"
    assert len(set(app.bodies)) == 4, "encrypted anew"


def test_and_after_no_answer_in_time(wecom_sandbox: Running, client: Client, app: App) -> None:
    assert wecom_sandbox.control.limits()["callback_seconds"] == 5.0
    wecom_sandbox.control.limits(callback_seconds=0.3)
    send(client, BUTTONS)
    app.answers = [1.0]
    assert press(wecom_sandbox, NURSE)["attempts"] == ["timeout", "200"]


def test_a_card_is_free_again_when_nobody_answers(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS)
    app.answers = [500] * 4
    told = press(wecom_sandbox, NURSE)
    assert (told["attempts"], told["delivered"]) == (["500"] * 4, False)
    assert len(app.events) == 4
    copy = shown(wecom_sandbox, NURSE)
    assert (copy["busy"], copy["problem"]) == ("", "应用没有响应，请稍后再试")
    assert press(wecom_sandbox, NURSE)["delivered"]


def test_an_address_is_taken_only_where_it_answers_the_check(wecom_sandbox: Running, app: App) -> None:
    callback = {"token": constants.CALLBACK_TOKEN, "aes_key": constants.CALLBACK_AES_KEY}
    before = wecom_sandbox.state.agents[AGENT].callback
    with pytest.raises(Refused, match="40057"):
        wecom_sandbox.control.callback(agentid=AGENT, url=app.url, token="other", aes_key=callback["aes_key"])
    with pytest.raises(Refused, match="40057"):
        wecom_sandbox.control.callback(agentid=AGENT, url="http://127.0.0.1:1/", **callback)
    assert wecom_sandbox.state.agents[AGENT].callback is before
    wecom_sandbox.control.callback(agentid=AGENT, url=f"{app.url}?a=1", **callback)
    assert wecom_sandbox.state.agents[AGENT].callback != before


def test_callbacks_that_an_app_must_refuse(wecom_sandbox: Running, client: Client, app: App) -> None:
    """wechatpy refuses what is wrongly signed or encrypted; it has no opinion on the time, and no memory."""
    fields = {"Event": "template_card_event", "EventKey": "outcome:agree", "FromUserName": NURSE}

    def forged(kind: str) -> str:
        try:
            return str(wecom_sandbox.control.forge(agentid=AGENT, kind=kind, fields=fields)["status"])
        except Refused:
            return "no answer"  # the app's handler broke

    assert [forged(kind) for kind in ("signature", "token", "key", "corp", "garbage")] == ["no answer"] * 5
    assert app.events == []
    assert [forged(kind) for kind in ("late", "early")] == ["200", "200"]
    assert [event["EventKey"] for event in app.events] == ["outcome:agree"] * 2


def test_an_event_is_repeated_and_replayed(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS)
    event = press(wecom_sandbox, NURSE)["id"]
    assert wecom_sandbox.control.repeat(event=event) == {"status": 200}
    assert wecom_sandbox.control.replay(event=event) == {"status": 200}
    assert app.events[0] == app.events[1] == app.events[2]
    assert app.bodies[0] == app.bodies[2] != app.bodies[1]


def test_entering_an_app(wecom_sandbox: Running, client: Client, app: App) -> None:
    client.message.send_text(AGENT, NURSE, "x")
    assert not shown(wecom_sandbox, NURSE)["read"]
    wecom_sandbox.control.enter(userid=NURSE, agentid=AGENT)
    assert (app.event()["Event"], app.event()["FromUserName"]) == ("enter_agent", NURSE)
    assert shown(wecom_sandbox, NURSE)["read"]


def test_events_of_other_kinds(wecom_sandbox: Running, app: App) -> None:
    job = {"JobId": "j1", "JobType": "sync_user", "ErrCode": 0, "ErrMsg": "ok"}
    approval = {"ThirdNo": "2024-1", "OpenSpName": "付款", "ApprovalNodes": {"ApprovalNode": [{"NodeStatus": 1}]}}
    send_event = wecom_sandbox.control.send_event
    contacts = constants.CONTACTS_ID
    assert send_event(agentid=contacts, fields={"Event": "batch_job_result", "BatchJob": job}, wait=30)["delivered"]
    assert send_event(agentid=AGENT, fields={"Event": "open_approval_change", "ApprovalInfo": approval}, wait=30)
    told = {event["Event"]: event for event in (app.event(0), app.event(1))}
    assert told["batch_job_result"]["BatchJob"] == {**job, "ErrCode": "0"}
    assert told["open_approval_change"]["ApprovalInfo"]["ApprovalNodes"]["ApprovalNode"] == {"NodeStatus": "1"}


def test_texts_that_would_break_out_of_the_xml(wecom_sandbox: Running, app: App) -> None:
    text = "]]></EventKey><EventKey>approve</EventKey>&<![CDATA["
    wecom_sandbox.control.send_event(agentid=AGENT, fields={"Event": "x", "EventKey": text})
    assert app.event()["EventKey"] == text


def test_the_clock_of_signatures(wecom_sandbox: Running, app: App) -> None:
    def signed_at() -> int:
        event = wecom_sandbox.control.send_event(agentid=AGENT, fields={"Event": "x"}, wait=30)["id"]
        sent = wecom_sandbox.state.events[event - 1].sent
        assert sent is not None
        return int(sent[0].split("timestamp=")[1].split("&")[0])

    now = time.time()
    wecom_sandbox.control.advance(seconds=86_400)
    assert abs(signed_at() - now - 86_400) < 60
    wecom_sandbox.control.sign_by_real_clock()
    assert abs(signed_at() - now) < 60
    wecom_sandbox.control.sign_by_real_clock(offset=-400)
    assert abs(signed_at() - now + 400) < 60
