"""What members do with what they see: press a card's buttons and its menu, follow its links, enter and leave apps."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sandbox.wecom import callbacks, cards
from sandbox.wecom.records import Copy, Event, Json

if TYPE_CHECKING:
    from sandbox.wecom.state import State

Selected = Mapping[str, Sequence[str]]  # option ids by question_key


class ClickRefused(Exception):
    """The phone doesn't let a member press that; the text says why, in Chinese."""


def click(state: "State", userid: str, msgid: str, key: str, selected: Selected | None = None) -> Event:
    """Press a button that calls back; the card is busy until the app updates it, replies, or fails to answer.

    `selected` are the chosen options; a question that isn't named keeps what its card says. Raises ClickRefused.
    """
    with state.lock:
        copy, card = _card(state, userid, msgid)
        if key not in cards.keys(card):
            raise ClickRefused("卡片上没有这个按钮")
        if copy.replaced:
            raise ClickRefused("按钮已不能点击")
        if copy.busy:
            raise ClickRefused("正在处理，请稍候")
        chosen = _chosen(card, selected or {})
        fields = _event(state, "template_card_event", userid, copy, key)
        items = [{"QuestionKey": question, "OptionIds": {"OptionId": ids}} for question, ids in chosen.items()]
        if items:
            fields["SelectedItems"] = {"SelectedItem": items}
        event = _posted(state, copy, fields)
        copy.busy = copy.clicked = key
        copy.selected, copy.problem = chosen, ""
        state.touch()
        return event


def choose_from_menu(state: "State", userid: str, msgid: str, key: str) -> Event:
    """Choose from the menu in the card's upper right corner. Raises ClickRefused."""
    with state.lock:
        copy, card = _card(state, userid, msgid)
        if key not in cards.menu_keys(card):
            raise ClickRefused("卡片的菜单里没有这一项")
        return _posted(state, copy, _event(state, "template_card_menu_event", userid, copy, key))


def press(state: "State", userid: str, msgid: str, text: str = "") -> str:
    """Press what opens a page, by its text (a button, a jump, a line), or the message itself; return the address."""
    with state.lock:
        copy = _copy(state, userid, msgid)
        copy.read = True
        content = copy.card if copy.card is not None else copy.message.content
        for name, label in (("button_list", "text"), ("jump_list", "title"), ("horizontal_content_list", "value")):
            for row in content.get(name) or ():
                if text and row.get(label) == text and row.get("type") == 1:
                    return str(row["url"])
        if text:
            raise ClickRefused(f"没有能打开网页的“{text}”")
        articles = content.get("articles") or [{}]
        url = content.get("card_action", {}).get("url") or content.get("url") or articles[0].get("url", "")
        if not url:
            raise ClickRefused("这条消息不打开网页")
        state.touch()
        return str(url)


def enter(state: "State", userid: str, agentid: int) -> Event | None:
    """Open an app's chat: what is there is read, and the app hears of it (enter_agent)."""
    with state.lock:
        for copy in state.inbox(userid, agentid):
            copy.read = True
        state.touch()
        return callbacks.post(state, agentid, {"FromUserName": userid, "Event": "enter_agent", "EventKey": ""})


def _copy(state: "State", userid: str, msgid: str) -> Copy:
    copy = state.copy(userid, msgid)
    if copy is None:
        raise ClickRefused("没有收到这条消息")
    if copy.message.recalled:
        raise ClickRefused("消息已撤回")
    return copy


def _card(state: "State", userid: str, msgid: str) -> tuple[Copy, Json]:
    copy = _copy(state, userid, msgid)
    if copy.card is None:
        raise ClickRefused("这条消息不是卡片")
    copy.read = True
    return copy, copy.card


def _chosen(card: Json, selected: Selected) -> dict[str, list[str]]:
    """Return what is chosen of each question."""
    chosen: dict[str, list[str]] = {}
    for question in cards.questions(card):
        key, options = question["question_key"], [option["id"] for option in question["option_list"]]
        given = list(selected.get(key, ()))
        if not given or question.get("disable"):
            marked = [option["id"] for option in question["option_list"] if option.get("is_checked")]
            picked = question.get("selected_id")
            default = [picked if picked in options else options[0]]
            given = [str(each) for each in (marked if question is card.get("checkbox") else default)]
        if not set(given) <= set(options) or (len(given) > 1 and question.get("mode") != 1):
            raise ClickRefused("没有这个选项，或只能选一项")
        if not given:
            raise ClickRefused("请先选择")
        chosen[key] = given
    return chosen


def _event(state: "State", name: str, userid: str, copy: Copy, key: str) -> Json:
    member = state.member(userid)
    return {
        "FromUserName": member.userid if member else userid,
        "Event": name,
        "EventKey": key,
        "TaskId": copy.message.task_id,
        "CardType": (copy.card or {})["card_type"],
        "ResponseCode": state.new_code(copy.message),
    }


def _posted(state: "State", copy: Copy, fields: Json) -> Event:
    event = callbacks.post(state, copy.message.agentid, fields, copy)
    if event is None:
        raise ClickRefused("应用没有设置接收消息的地址")
    return event
