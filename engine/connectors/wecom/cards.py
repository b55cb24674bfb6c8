"""What a card says (卡片): pure functions from what is true to WeCom's JSON, within its limits.

A card for somebody who must act is a `button_interaction`, also where no button acts and after all is done: a
`text_notice` comes without a response_code and could never change (ADR 0013). Everything else is a `text_notice`.
WeCom documents 90236 (send) and 94888 (update). The lengths that it recommends are counted there in characters and
kept here in bytes of Chinese ones, so that the phone never cuts in the middle.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import urlencode

from engine.bpm.closings import BY_ITSELF, Act
from engine.bpm.extensions import Outcome
from engine.bpm.mirrors import Offer
from engine.bpm.models import ItemState
from engine.clock import LOCAL

Json = dict[str, Any]

OUTCOME = "outcome:"
"""How the key of a button begins that decides."""
MARKDOWN = 2048  # bytes
_TITLE, _DESCRIPTION, _SUBTITLE, _NAME, _VALUE, _BUTTON = 108, 132, 480, 15, 78, 30  # bytes
_MOST_BUTTONS = 6
_STYLES = {"primary": 1, "default": 2, "warn": 4}
_URGENCIES = ("", "平急", "加急", "特急")
_GREY, _RED = 0, 2
FINAL = frozenset({"done", "closed", "reassigned", "cancelled", "taken_back"})
"""States from which nothing more is asked of the person; what `state` begins with."""


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses that messages point to; `base` is the service's own, without a slash at its end."""

    base: str

    def item(self, item_id: uuid.UUID) -> str:
        """The exact work item, in its current state."""
        return f"{self.base}/items/{item_id}"

    def returning(self, item_id: uuid.UUID) -> str:
        """The work item with the dialog of a return (退回); a query, because a fragment doesn't survive a login."""
        return f"{self.base}/items/{item_id}?do=return"

    def open(self, instance_id: uuid.UUID) -> str:
        """The same for everybody: whatever the viewer has to do with an instance."""
        return f"{self.base}/open/{instance_id}"

    def todo(self) -> str:
        """What waits for the viewer."""
        return self.box("todo")

    def box(self, name: str, **filters: str) -> str:
        """One of the viewer's boxes, narrowed."""
        return f"{self.base}/box/{name}" + (f"?{urlencode(filters)}" if filters else "")


@dataclass(frozen=True, slots=True)
class Subject:
    """An instance as cards name it; `userid` is the applicant's in WeCom, empty without an account."""

    id: uuid.UUID
    title: str
    summary: str
    process: str
    urgency: int
    applicant: str
    userid: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a card asks of one person; `returned` is why an earlier step sent it back, `remark` what a click met."""

    item_id: uuid.UUID
    step: str
    opened_at: datetime
    offer: Offer
    returned: str = ""
    remark: str = ""


def figures(subject: Subject, step: str) -> str:
    """Return a digest of what a decision rests on: a click on a card with other figures doesn't count."""
    said = "\0".join((subject.title, subject.summary, str(subject.urgency), step))
    return blake2b(said.encode(), digest_size=6).hexdigest()


def state(item: Any, figures_now: str, *, stands: bool) -> str:
    """Return what the card of a work item should say, in short: `kind:details`, kept in `WeComDelivery.shown`.

    `stands`: whether the decision of a cancelled item lives on in another one, as the others' do after a take-back.
    """
    if item.state == ItemState.OPEN:
        return f"open:{figures_now}"
    if item.state in (ItemState.STANDBY, ItemState.QUEUED):
        return str(item.state)
    kind = str(item.state)
    if item.state == ItemState.CANCELLED and item.outcome is not None:
        kind = "done" if stands else "taken_back"
    return f"{kind}:{item.outcome or ''}:{item.closed_at:%Y%m%d%H%M%S%f}"


def kind_of(shown: str) -> str:
    """Return the kind of a state."""
    return shown.partition(":")[0]


def asking(task_id: str, subject: Subject, asked: Asked, links: Links) -> Json:
    """Return the card of an open item: the deciding figure, who applies, and the buttons."""
    rows = [_row("内容", subject.summary), _applicant(subject)]
    if subject.urgency:
        rows.append(_row("缓急", _URGENCIES[subject.urgency]))
    if asked.returned:
        rows.append(_row("退回原因", asked.returned))
    rows.append(_row("到达", moment(asked.opened_at)))
    remark = f"未办成：{cut(asked.remark, _SUBTITLE - 60)}。请打开办理，或再试一次" if asked.remark else ""
    return _card(
        task_id, subject, asked.step, remark, rows, _buttons(asked, links), links.item(asked.item_id), asks=True
    )


def settled(task_id: str, subject: Subject, step: str, words: str, item_id: uuid.UUID, links: Links) -> Json:
    """Return the card of an item that asks for nothing now: how it came out, by whom, and no button that acts."""
    look = [_link("查看详情", links.item(item_id), 2)]
    rows = [_row("内容", subject.summary), _applicant(subject)]
    return _card(task_id, subject, step, words, rows, look, links.item(item_id), asks=False)


def words(item: Any, act: Act | None, outcome: Outcome | None, *, stands: bool) -> str:
    """Return how an item came out, for its assignee; `outcome` is the one that the act, or else the item, names."""
    by = "" if act is None or act.name is None else f" · {act.name} {moment(act.at)}"
    when = "" if act is None else f" · {moment(act.at)}"
    why = f"：{cut(act.opinion, _SUBTITLE // 2)}" if act is not None and act.opinion else ""
    if item.state == ItemState.QUEUED:
        return "还没有轮到您，请等前面的人办完"
    if item.state == ItemState.STANDBY:
        return f"已由{act.name}签收，您暂不用办{when}" if act and act.name else "已由别人签收，您暂不用办"
    if item.state == ItemState.CANCELLED and item.outcome is not None and not stands:
        return f"已撤回，请见新卡片{by}"
    if item.state == ItemState.DONE or (item.state == ItemState.CANCELLED and item.outcome is not None):
        if item.outcome == "return":
            return f"已退回{why}{by}"
        return f"{_did('', outcome)}{by}"
    if act is not None and act.verb == "reassign" and item.state == ItemState.REASSIGNED:
        return f"已转给{act.to}{why}{by}"
    if act is None:
        return "流程已离开这一步，您无需再办"
    if act.name is None:
        return f"已{BY_ITSELF.get(act.verb, '自动')}结束，您无需再办{when}"
    match act.verb:
        case "withdraw":
            return f"已撤销{why}{by}"
        case "terminate":
            return f"已终止{why}{by}"
        case "return":
            return f"已由{act.name}退回{why}，您无需再办{when}"
        case "take_back":
            return f"{act.name}已撤回上一步，您暂不用办{when}"
        case "jump":
            return f"{act.name}已把流程移到别的步骤{why}，您无需再办{when}"
        case _:
            return f"{_did(act.name, outcome)}，您无需再办{when}"


def notice(title: str, text: str, summary: str, at: datetime, url: str) -> Json:
    """Return the card of a message that asks for nothing in WeCom; equal ones are one send to many.

    `summary` is the deciding figure of what it is about: two requests of one kind look alike without.
    """
    card: Json = {
        "card_type": "text_notice",
        "source": {"desc": "批阅", "desc_color": _GREY},
        "main_title": {"title": cut(title, _TITLE), "desc": moment(at)},
        "sub_title_text": cut(text, _SUBTITLE),
        "card_action": {"type": 1, "url": url},
    }
    if summary:
        card["horizontal_content_list"] = [_row("内容", summary)]
    return card


def digest(rows: Sequence[tuple[str, str, str]], url: str) -> str:
    """Return several messages as one markdown text of at most 2048 bytes: (title, text, url) each; `url` shows all."""
    text = f"**您有 {len(rows)} 条消息**"
    rest = f"\n[另有 {len(rows)} 条，打开批阅查看]({url})"
    for done, (title, said, link) in enumerate(rows):
        line = f"\n> [{_plain(cut(title, _TITLE))}]({link}) {_plain(cut(said, _DESCRIPTION))}"
        left = len(rows) - done - 1
        if len((text + line + (rest if left else "")).encode()) > MARKDOWN:
            return text + f"\n[另有 {left + 1} 条，打开批阅查看]({url})"
        text += line
    return text


def cut(text: str, most: int) -> str:
    """Return a text within a number of bytes, with … where something is left out; never half a character."""
    data = text.encode()
    if len(data) <= most:
        return text
    return data[: most - len("…".encode())].decode(errors="ignore") + "…"


def moment(at: datetime) -> str:
    """Return day and time in the hospital's zone."""
    return str(at.astimezone(LOCAL).strftime("%m-%d %H:%M"))


def _did(name: str, outcome: Outcome | None) -> str:
    """Say that somebody, or oneself, chose an outcome; one like 不同意 takes no 已."""
    verb = "办理" if outcome is None else outcome.name
    negative = verb[:1] in "不未无已"
    if not name:
        return verb if negative else f"已{verb}"
    return f"{name}{verb}" if negative else f"已由{name}{verb}"


def _buttons(asked: Asked, links: Links) -> list[Json]:
    """Return what may be done: a tap where it goes through as it is, otherwise the page; outcomes come first."""
    item, offer = asked.item_id, asked.offer
    back = [_link("退回", links.returning(item), 4 if not offer.taps else 3)] if offer.returns else []
    if not offer.taps:
        name = "去办理" if not offer.fills else "去修改" if asked.returned else "去填写"
        return [_link(name, links.item(item), 1), *back]
    room = _MOST_BUTTONS - len(back) - 1
    acting = [
        {"text": cut(o.name, _BUTTON), "style": _STYLES.get(o.style, 2), "key": f"{OUTCOME}{o.id}"} for o in offer.taps
    ]
    others = [_link(o.name, links.item(item), _STYLES.get(o.style, 2)) for o in offer.others]
    return [*[*acting, *others][:room], *back, _link("详情", links.item(item), 3)]


def _link(text: str, url: str, style: int) -> Json:
    return {"text": cut(text, _BUTTON), "style": style, "type": 1, "url": url}


def _row(name: str, value: str) -> Json:
    return {"keyname": cut(name, _NAME), "value": cut(value, _VALUE)}


def _applicant(subject: Subject) -> Json:
    person = {"type": 3, "userid": subject.userid} if subject.userid else {}
    return _row("申请人", subject.applicant) | person


def _card(
    task_id: str,
    subject: Subject,
    step: str,
    said: str,
    rows: Iterable[Json],
    buttons: list[Json],
    url: str,
    *,
    asks: bool,
) -> Json:
    urgent = asks and subject.urgency > 1
    card: Json = {
        "card_type": "button_interaction",
        "task_id": task_id,
        "source": {"desc": "批阅", "desc_color": _RED if urgent else _GREY},
        "main_title": {
            "title": cut(subject.title, _TITLE),
            "desc": cut(f"{subject.process} · {step}", _DESCRIPTION),
        },
        "horizontal_content_list": [row for row in rows if row["value"]],
        "button_list": buttons,
        "card_action": {"type": 1, "url": url},
    }
    if said:
        card["sub_title_text"] = cut(said, _SUBTITLE)
    return card


def _plain(text: str) -> str:
    """Return a text without what markdown would read as a link or a new line."""
    return " ".join(text.replace("[", "［").replace("]", "］").replace("`", "'").split())
