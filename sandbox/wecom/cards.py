"""Template cards (模板卡片): what WeCom demands of each type before it sends or updates one (D 90236, 94888)."""

import re
from collections.abc import Iterator

from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import Json

TASK_ID = re.compile(r"[0-9A-Za-z_\-@]{1,128}")
NOTICES = ("text_notice", "news_notice")
INTERACTIONS = ("button_interaction", "vote_interaction", "multiple_interaction")
_KEY_BYTES, _OPTION_BYTES = 1024, 128


def check(card: object) -> Json:
    """Return a card that is as WeCom wants it; raise ApiError 42014–42051 otherwise."""
    if not isinstance(card, dict):
        raise ApiError(40063, "missing template_card")
    kind = card.get("card_type")
    if kind not in (*NOTICES, *INTERACTIONS):
        raise ApiError(42031, "invalid card_type")
    task_id = card.get("task_id", "")
    if task_id and not (isinstance(task_id, str) and TASK_ID.fullmatch(task_id)):
        raise ApiError(42014, "invalid task_id")
    _check_head(card, kind)
    _check_content(card)
    _check_links(card, kind)
    match kind:
        case "news_notice":
            _check_picture(card)
        case "button_interaction":
            _check_buttons(card)
        case "vote_interaction":
            _check_question(_table(card, "checkbox", 42043), 20)
            _check_submit(card)
        case "multiple_interaction":
            for question in _rows(card, "select_list", 1, 3, 42047):
                _check_question(question, 10)
            _distinct([q["question_key"] for q in card["select_list"]], 42043, "question_key")
            _check_submit(card)
    return card


def calls_back(card: Json) -> bool:
    """Return whether somebody can press something on a card of which the app is told."""
    return bool(list(keys(card))) or card["card_type"] in INTERACTIONS[1:]


def updatable(card: Json) -> bool:
    """Return whether a card comes with a response_code: the interactive types, and notices with an action_menu."""
    return card["card_type"] in INTERACTIONS or bool(card.get("action_menu"))


def keys(card: Json) -> Iterator[str]:
    """Return the keys of the buttons that call back: not those that open a page, and not the menu's."""
    for button in card.get("button_list", ()):
        if not button.get("type"):
            yield button["key"]
    if "submit_button" in card:
        yield card["submit_button"]["key"]


def menu_keys(card: Json) -> list[str]:
    """Return the keys of the menu in the upper right corner."""
    return [action["key"] for action in card.get("action_menu", {}).get("action_list", ())]


def questions(card: Json) -> Iterator[Json]:
    """Return the questions of a card: button_selection, checkbox, select_list."""
    for name in ("button_selection", "checkbox"):
        if name in card:
            yield card[name]
    yield from card.get("select_list", ())


def _check_head(card: Json, kind: str) -> None:
    title = _table(card, "main_title").get("title", "")
    if kind == "text_notice":
        if not title and not card.get("sub_title_text"):
            raise ApiError(42033, "missing main_title.title and sub_title_text")
    elif not title:
        raise ApiError(42033, "missing main_title.title")
    if card.get("action_menu"):
        actions = _rows(_table(card, "action_menu"), "action_list", 1, 3, 42051)
        for action in actions:
            _text(action, "text", 42051)
            _key(action, "key", 42051)
        _distinct([a["key"] for a in actions], 42051, "action_list.key")
        if not card.get("task_id"):
            raise ApiError(42014, "missing task_id")
    if kind in INTERACTIONS and not card.get("task_id"):
        raise ApiError(42014, "missing task_id")


def _check_content(card: Json) -> None:
    for row in _rows(card, "horizontal_content_list", 0, 6, 42035):
        _text(row, "keyname", 42027)
        match row.get("type", 0):
            case 0:
                pass
            case 1:
                _url(row)
            case 2:
                _text(row, "media_id", 42029)
            case 3:
                _text(row, "userid", 42050)
            case _:
                raise ApiError(42035, "invalid horizontal_content_list.type")
    for row in _rows(card, "vertical_content_list", 0, 4, 42036):
        _text(row, "title", 42033)
    quote = _table(card, "quote_area")
    if quote.get("type") == 1:
        _url(quote)


def _check_links(card: Json, kind: str) -> None:
    for row in _rows(card, "jump_list", 0, 3, 42042):
        _text(row, "title", 42033)
        _check_target(row)
    action = _table(card, "card_action")
    if kind in NOTICES and action.get("type") not in (1, 2):
        raise ApiError(42045, "missing card_action")
    _check_target(action)


def _check_target(row: Json) -> None:
    match row.get("type", 0):
        case 0:
            pass
        case 1:
            _url(row)
        case 2:
            _text(row, "appid", 42030)
        case _:
            raise ApiError(42045, "invalid type of a link")


def _check_picture(card: Json) -> None:
    picture, area = card.get("card_image"), card.get("image_text_area")
    if not picture and not area:
        raise ApiError(42044, "missing card_image and image_text_area")
    if picture:
        _text(_table(card, "card_image"), "url", 42044)
    if area:
        _text(_table(card, "image_text_area"), "image_url", 42044)


def _check_buttons(card: Json) -> None:
    buttons = _rows(card, "button_list", 1, 6, 42039)
    for button in buttons:
        _text(button, "text", 42038)
        if button.get("type", 0) == 1:
            _url(button)
        else:
            _key(button, "key", 42039)
    _distinct(list(keys(card)), 42039, "button_list.key")
    if card.get("button_selection"):
        _check_question(_table(card, "button_selection"), 10)


def _check_question(question: Json, most: int) -> None:
    _key(question, "question_key", 42043)
    options = _rows(question, "option_list", 1, most, 42037)
    for option in options:
        if len(_text(option, "id", 42040).encode()) > _OPTION_BYTES:
            raise ApiError(42040, f"option id exceeds {_OPTION_BYTES} bytes")
        _text(option, "text", 42041)
    _distinct([o["id"] for o in options], 42040, "option id")


def _check_submit(card: Json) -> None:
    button = _table(card, "submit_button", 42046)
    _text(button, "text", 42049)
    _key(button, "key", 42046)


def _table(card: Json, name: str, missing: int = 0) -> Json:
    found = card.get(name)
    if not found and missing:
        raise ApiError(missing, f"missing {name}")
    if found is not None and not isinstance(found, dict):
        raise ApiError(40058, f"{name} must be an object")
    return found or {}


def _rows(card: Json, name: str, least: int, most: int, errcode: int) -> list[Json]:
    rows = card.get(name) or []
    if not isinstance(rows, list) or not least <= len(rows) <= most or not all(isinstance(r, dict) for r in rows):
        raise ApiError(errcode, f"{name} must have {least} to {most} elements")
    return rows


def _text(row: Json, name: str, errcode: int) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(errcode, f"missing {name}")
    return value


def _key(row: Json, name: str, errcode: int) -> None:
    if len(_text(row, name, errcode).encode()) > _KEY_BYTES:
        raise ApiError(errcode, f"{name} exceeds {_KEY_BYTES} bytes")


def _url(row: Json) -> None:
    if not _text(row, "url", 42028).startswith(("http://", "https://")):
        raise ApiError(45034, "url must have a protocol")


def _distinct(values: list[str], errcode: int, what: str) -> None:
    if len(set(values)) != len(values):
        raise ApiError(errcode, f"{what} is not unique")
