"""What each type of message must have (D 90236); titles and descriptions that are too long are cut, as WeCom does."""

from collections.abc import Callable
from typing import Any

from sandbox.wecom import cards
from sandbox.wecom.api.endpoints import cut, sized
from sandbox.wecom.errors import ApiError
from sandbox.wecom.records import MEDIA_SECONDS, Json
from sandbox.wecom.state import State

_TITLE, _DESCRIPTION, _TEXT, _URL = 128, 512, 2048, 2048  # bytes


def check(state: State, body: Json, *, group: bool = False) -> Json:
    """Return a copy of a message as it is shown. Raises ApiError. Groups take no template cards."""
    kind = body.get("msgtype", "")
    if kind not in _KINDS or (group and kind == "template_card"):
        raise ApiError(40008, "invalid message type")
    content = body.get(kind)
    if not isinstance(content, dict):
        raise ApiError(40063, f"missing {kind}")
    return {**body, kind: _KINDS[kind](state, dict(content))}


def _text(state: State, content: Json) -> Json:
    return {**content, "content": cut(_needed(content, "content", 44004), _TEXT)}


def _markdown(state: State, content: Json) -> Json:
    sized(_needed(content, "content", 44004), _TEXT, 45002, "markdown")
    return content


def _textcard(state: State, content: Json) -> Json:
    content["title"] = cut(_needed(content, "title", 41016), _TITLE)
    content["description"] = cut(_needed(content, "description", 41033), _DESCRIPTION)
    _link(_needed(content, "url", 41010))
    content["btntxt"] = (content.get("btntxt") or "详情")[:4]
    return content


def _news(state: State, content: Json) -> Json:
    articles = [dict(article) for article in _articles(content)]
    for article in articles:
        article["title"] = cut(_needed(article, "title", 41016), _TITLE)
        article["description"] = cut(article.get("description") or "", _DESCRIPTION)
        if not article.get("appid"):
            _link(_needed(article, "url", 41010))
        sized(article.get("picurl") or "", _URL, 40039, "picurl")
    return {"articles": articles}


def _mpnews(state: State, content: Json) -> Json:
    articles = [dict(article) for article in _articles(content)]
    for article in articles:
        article["title"] = cut(_needed(article, "title", 41016), _TITLE)
        _needed(article, "content", 44004)
        sized(article["content"], 666 * 1024, 45002, "content")
        sized(article.get("author") or "", 64, 45032, "author")
        _media(state, article.get("thumb_media_id"))
    return {"articles": articles}


def _file(state: State, content: Json) -> Json:
    _media(state, content.get("media_id"))
    return content


def _video(state: State, content: Json) -> Json:
    _media(state, content.get("media_id"))
    content["title"] = cut(content.get("title") or "", _TITLE)
    content["description"] = cut(content.get("description") or "", _DESCRIPTION)
    return content


def _card(state: State, content: Json) -> Json:
    card = cards.check(content)
    for row in card.get("horizontal_content_list") or ():
        if row.get("type") == 2:
            _media(state, row["media_id"])
    return card


_KINDS: dict[str, Callable[[State, Json], Json]] = {
    "text": _text,
    "markdown": _markdown,
    "textcard": _textcard,
    "news": _news,
    "mpnews": _mpnews,
    "image": _file,
    "voice": _file,
    "file": _file,
    "video": _video,
    "template_card": _card,
}


def _needed(content: Json, name: str, errcode: int) -> str:
    value = content.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(errcode, f"missing {name}")
    return value


def _link(url: str) -> None:
    sized(url, _URL, 40039, "url")
    if not url.startswith(("http://", "https://")):
        raise ApiError(45034, "url must have a protocol")


def _articles(content: Json) -> list[Any]:
    articles = content.get("articles")
    if not isinstance(articles, list) or not 1 <= len(articles) <= 8 or not all(isinstance(a, dict) for a in articles):
        raise ApiError(45008, "articles must be 1 to 8")
    return articles


def _media(state: State, media_id: object) -> None:
    media = state.media.get(media_id) if isinstance(media_id, str) else None
    if media is None or media.at + MEDIA_SECONDS <= state.now():
        raise ApiError(40007, "invalid media_id")
