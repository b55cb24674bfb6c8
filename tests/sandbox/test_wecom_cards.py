"""Template cards: what each type demands, and how a card changes afterwards."""

from copy import deepcopy
from typing import Any

import pytest

from sandbox.wecom import constants
from sandbox.wecom.server import Running
from tests.sandbox.conftest import DIRECTOR, HEAD_NURSE, NURSE, App, Client, refusal

AGENT = constants.AGENT_ID
URL = "https://oa.example/items/1"
LINK = {"type": 1, "url": URL}
OPTION = {"id": "a", "text": "一"}

BUTTONS: dict[str, Any] = {
    "card_type": "button_interaction",
    "task_id": "t-1",
    "main_title": {"title": "请假审批", "desc": "单晓燕 3 天"},
    "horizontal_content_list": [{"keyname": "申请人", "value": "单晓燕", "type": 3, "userid": NURSE}],
    "button_list": [
        {"text": "同意", "style": 1, "key": "outcome:agree"},
        {"text": "退回", "style": 4, "type": 1, "url": URL},
    ],
    "card_action": LINK,
}
TEXT: dict[str, Any] = {"card_type": "text_notice", "main_title": {"title": "已办结"}, "card_action": LINK}
NEWS = {**TEXT, "card_type": "news_notice", "card_image": {"url": URL}}
VOTE: dict[str, Any] = {
    "card_type": "vote_interaction",
    "task_id": "t-2",
    "main_title": {"title": "投票"},
    "checkbox": {"question_key": "q", "option_list": [OPTION, {"id": "b", "text": "二"}], "mode": 1},
    "submit_button": {"text": "提交", "key": "submit"},
}
CHOICES: dict[str, Any] = {
    "card_type": "multiple_interaction",
    "task_id": "t-3",
    "main_title": {"title": "选择"},
    "select_list": [{"question_key": "q", "option_list": [OPTION]}],
    "submit_button": {"text": "提交", "key": "submit"},
}


def send(client: Client, card: object, to: str = NURSE, **more: Any) -> Any:
    message = {"touser": to, "agentid": AGENT, "msgtype": "template_card", "template_card": card, **more}
    return client.post("message/send", data=message)


def changed(card: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """Return a card with one value changed, or without it where the value is None."""
    copy = deepcopy(card)
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    at: Any = copy
    for step in way:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return copy


def options(number: int) -> list[dict[str, str]]:
    return [{"id": f"o{at}", "text": "x"} for at in range(number)]


MENU: dict[str, Any] = {"desc": "更多", "action_list": [{"text": "不再提醒", "key": "mute"}]}
ROW = {"keyname": "k", "value": "v"}


@pytest.mark.parametrize(
    ("card", "path", "value", "errcode"),
    [
        (TEXT, "card_type", "poem", 42031),
        (TEXT, "main_title", None, 42033),
        (TEXT, "card_action", None, 42045),
        (TEXT, "card_action", {"type": 0}, 42045),
        (TEXT, "card_action", {"type": 1}, 42028),
        (TEXT, "card_action", {"type": 2}, 42030),
        (TEXT, "card_action", {"type": 1, "url": "oa.example"}, 45034),
        (TEXT, "action_menu", MENU, 42014),  # needs a task_id
        (TEXT, "task_id", "a b", 42014),
        (TEXT, "task_id", "x" * 129, 42014),
        (TEXT, "horizontal_content_list", [ROW] * 7, 42035),
        (TEXT, "horizontal_content_list", [{"value": "v"}], 42027),
        (TEXT, "horizontal_content_list", [{**ROW, "type": 1}], 42028),
        (TEXT, "horizontal_content_list", [{**ROW, "type": 2}], 42029),
        (TEXT, "horizontal_content_list", [{**ROW, "type": 2, "media_id": "invented"}], 40007),
        (TEXT, "horizontal_content_list", [{**ROW, "type": 3}], 42050),
        (TEXT, "vertical_content_list", [{"title": "t"}] * 5, 42036),
        (TEXT, "vertical_content_list", [{"desc": "d"}], 42033),
        (TEXT, "jump_list", [{"title": "t"}] * 4, 42042),
        (TEXT, "jump_list", [{"title": "t", "type": 1}], 42028),
        (TEXT, "jump_list", [{"type": 1, "url": URL}], 42033),
        (NEWS, "card_image", None, 42044),
        (NEWS, "card_image", {"aspect_ratio": 2}, 42044),
        (BUTTONS, "task_id", None, 42014),
        (BUTTONS, "main_title.title", "", 42033),
        (BUTTONS, "button_list", [], 42039),
        (BUTTONS, "button_list", [{"text": "t", "key": str(at)} for at in range(7)], 42039),
        (BUTTONS, "button_list", [{"text": "t", "key": "a"}, {"text": "u", "key": "a"}], 42039),
        (BUTTONS, "button_list.0.text", None, 42038),
        (BUTTONS, "button_list.0.key", None, 42039),
        (BUTTONS, "button_list.0.key", "k" * 1025, 42039),
        (BUTTONS, "button_list.1.url", None, 42028),
        (BUTTONS, "button_selection", {"question_key": "q", "option_list": options(11)}, 42037),
        (BUTTONS, "button_selection", {"option_list": [OPTION]}, 42043),
        (BUTTONS, "action_menu", {"action_list": []}, 42051),
        (BUTTONS, "action_menu", {"action_list": MENU["action_list"] * 2}, 42051),
        (BUTTONS, "action_menu", {"action_list": [{"text": "t", "key": str(at)} for at in range(4)]}, 42051),
        (VOTE, "checkbox", None, 42043),
        (VOTE, "checkbox.question_key", "k" * 1025, 42043),
        (VOTE, "checkbox.option_list", [], 42037),
        (VOTE, "checkbox.option_list", options(21), 42037),
        (VOTE, "checkbox.option_list.0.id", "i" * 129, 42040),
        (VOTE, "checkbox.option_list.0.id", "b", 42040),
        (VOTE, "checkbox.option_list.0.text", None, 42041),
        (VOTE, "submit_button", None, 42046),
        (VOTE, "submit_button.key", None, 42046),
        (VOTE, "submit_button.text", None, 42049),
        (CHOICES, "select_list", [], 42047),
        (CHOICES, "select_list", [{"question_key": str(at), "option_list": [OPTION]} for at in range(4)], 42047),
        (CHOICES, "select_list", [{"question_key": "q", "option_list": [OPTION]}] * 2, 42043),
        (CHOICES, "select_list.0.option_list", options(11), 42037),
    ],
)
def test_what_a_card_must_have(
    client: Client, app: App, card: dict[str, Any], path: str, value: object, errcode: int
) -> None:
    assert refusal(lambda: send(client, changed(card, path, value))) == errcode
    assert "msgid" in send(client, card), "and without that change it is sent"


@pytest.mark.parametrize(
    ("card", "path", "value"),
    [
        (TEXT, "horizontal_content_list", [ROW] * 6),
        (TEXT, "jump_list", [{"title": "t", "type": 1, "url": URL}] * 3),
        (NEWS, "vertical_content_list", [{"title": "t"}] * 4),
        (BUTTONS, "task_id", "Az09_-@" * 18),
        (BUTTONS, "button_list", [{"text": "t", "key": f"{at}" + "k" * 1023} for at in range(6)]),
        (BUTTONS, "button_selection", {"question_key": "q", "option_list": options(10)}),
        (VOTE, "checkbox.option_list", options(20)),
        (CHOICES, "select_list", [{"question_key": str(at), "option_list": options(10)} for at in range(3)]),
    ],
)
def test_what_just_fits(client: Client, app: App, card: dict[str, Any], path: str, value: object) -> None:
    assert "msgid" in send(client, changed(card, path, value))


def test_cards_that_call_back_need_somewhere_to_call(client: Client) -> None:
    assert refusal(lambda: send(client, BUTTONS)) == 43012
    assert refusal(lambda: send(client, {**TEXT, "task_id": "m", "action_menu": MENU})) == 43012
    assert refusal(lambda: send(client, VOTE)) == 43012
    links_only = changed(BUTTONS, "button_list", BUTTONS["button_list"][1:])
    assert send(client, links_only)["response_code"]


def test_which_cards_come_with_a_code(client: Client, app: App) -> None:
    with_menu = {**TEXT, "task_id": "m", "action_menu": MENU}
    codes = [send(client, card).get("response_code") for card in (BUTTONS, VOTE, CHOICES, with_menu, TEXT, NEWS)]
    assert [code is not None for code in codes] == [True, True, True, True, False, False]


def test_a_task_id_is_used_once_in_an_app(wecom_sandbox: Running, client: Client, app: App) -> None:
    send(client, BUTTONS)
    assert refusal(lambda: send(client, BUTTONS)) == 42014
    assert refusal(lambda: send(client, BUTTONS, enable_duplicate_check=1)) == 42014
    refusal(lambda: send(client, VOTE, to="nobody"))
    assert send(client, VOTE)["msgid"], "what wasn't sent hasn't used its task_id"
    wecom_sandbox.control.callback(agentid=constants.OTHER_AGENT_ID, url=app.url, check=False)
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    message = {"touser": NURSE, "agentid": constants.OTHER_AGENT_ID, "msgtype": "template_card"}
    assert other.post("message/send", data={**message, "template_card": BUTTONS})["errcode"] == 0


def update(client: Client, code: str, **more: Any) -> Any:
    return client.post("message/update_template_card", data={"agentid": AGENT, "response_code": code, **more})


def shown(wecom_sandbox: Running, userid: str) -> Any:
    (message,) = wecom_sandbox.control.messages(userid=userid)
    return message


def test_a_button_is_replaced_for_some_and_a_card_for_all(wecom_sandbox: Running, client: Client, app: App) -> None:
    code = send(client, BUTTONS, to=f"{NURSE}|{HEAD_NURSE}")["response_code"]
    answer = update(client, code, userids=[NURSE.lower(), "NoBody", DIRECTOR], button={"replace_name": "已同意"})
    assert answer["invaliduser"] == [DIRECTOR, "nobody"]
    assert (shown(wecom_sandbox, NURSE)["replaced"], shown(wecom_sandbox, HEAD_NURSE)["replaced"]) == ("已同意", "")
    event = wecom_sandbox.control.click(
        userid=HEAD_NURSE, msgid=shown(wecom_sandbox, HEAD_NURSE)["msgid"], key="outcome:agree"
    )
    done = changed(BUTTONS, "main_title.title", "曾淑贞 已同意") | {"replace_text": "已处理"}
    update(client, event["fields"]["ResponseCode"], atall=1, template_card=done)
    for userid in (NURSE, HEAD_NURSE):
        copy = shown(wecom_sandbox, userid)
        assert (copy["card"]["main_title"]["title"], copy["replaced"], copy["busy"]) == ("曾淑贞 已同意", "已处理", "")
        assert copy["content"]["main_title"]["title"] == "请假审批", "what was sent is kept"


def test_a_card_becomes_one_of_another_type(wecom_sandbox: Running, client: Client, app: App) -> None:
    code = send(client, BUTTONS)["response_code"]
    update(client, code, userids=[NURSE], template_card=TEXT)
    assert shown(wecom_sandbox, NURSE)["card"]["card_type"] == "text_notice"


def test_a_code_works_once_for_72_hours_and_for_its_app(wecom_sandbox: Running, client: Client, app: App) -> None:
    code = send(client, BUTTONS)["response_code"]
    button = {"replace_name": "已同意"}
    assert refusal(lambda: update(client, "invented", atall=1, button=button)) == 60140
    assert refusal(lambda: update(client, code, button=button)) == 82101
    assert refusal(lambda: update(client, code, atall=1)) == 42020
    assert refusal(lambda: update(client, code, atall=1, template_card={"card_type": "poem"})) == 42031
    assert refusal(lambda: update(client, code, userids=["u"] * 1001, button=button)) == 40032
    other = Client(wecom_sandbox.url, constants.OTHER_AGENT_SECRET)
    wrong = {"agentid": constants.OTHER_AGENT_ID, "response_code": code, "atall": 1, "button": button}
    assert other.refused("message/update_template_card", wrong) == 42015
    assert shown(wecom_sandbox, NURSE)["replaced"] == ""
    update(client, code, atall=1, button=button)
    assert refusal(lambda: update(client, code, atall=1, button=button)) == 60140
    late = send(client, VOTE)["response_code"]
    wecom_sandbox.control.advance(seconds=72 * 3600)
    client.fetch_access_token()
    assert refusal(lambda: update(client, late, atall=1, button=button)) == 60140


def test_a_notice_has_no_button_to_replace(client: Client, app: App) -> None:
    code = send(client, {**TEXT, "task_id": "m", "action_menu": MENU})["response_code"]
    assert refusal(lambda: update(client, code, atall=1, button={"replace_name": "x"})) == 42031
    assert update(client, code, atall=1, template_card=TEXT)["errcode"] == 0
