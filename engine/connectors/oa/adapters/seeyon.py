"""Seeyon A8 (致远): third-party to-dos (第三方待办) over REST, one row for each receiver, `taskId` the item's key.

Facts: design 05. There is no list for what is only to be read, no deletion (a cancelled item is done with 取消), and no
way to read our rows back. A token goes in the query of each request.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.connectors.oa.adapters.errors import refused, sorted_message
from engine.connectors.oa.adapters.http import Answer, Http, unanswered
from engine.connectors.oa.adapters.moments import local
from engine.connectors.oa.adapters.protocol import State, Take, Todo, fold
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.adapters.unsupported import NeitherReadsNorPolls
from engine.connectors.tokens import Flights, InProcess
from engine.outbox import Configuration, Permanent

_REST = "/seeyon/rest"
_TOKEN = "token"
_TITLE = 85  # characters: 255 bytes of UTF-8
_AGREED, _REFUSED, _CANCELLED, _RETURNED = "0", "1", "2", "3"  # subState


class SeeyonSite(Site):
    """A site of Seeyon A8."""

    kind: Literal["seeyon"]
    user: Annotated[str, Field(min_length=1)]  # of REST (REST用户)
    register_code: Annotated[str, Field(min_length=1, max_length=40)]  # 系统注册编码
    receiver: Literal["login", "bound"] = "login"  # bound: people are bound to their accounts here (人员绑定)
    token_minutes: Annotated[int, Field(ge=3, le=1440)] = 10  # less than the OA keeps one


class Seeyon(NeitherReadsNorPolls):
    """A Seeyon OA; see `protocol.Adapter`."""

    states = frozenset({State.TODO, State.DONE, State.DELETED})

    def __init__(self, site: SeeyonSite, take: Take) -> None:
        self._site, self._http, self._tokens = site, Http(site, take), Flights(InProcess())

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        """Bring the OA to show the item in this state.

        What may be there already is changed and not sent anew: some versions refuse a taskId that they have, others
        notify again.
        """
        state = fold(self.states, state)
        if not state.open:
            self._change(todo, "1", _sub_state(todo, state))
        elif not doubtful or not self._change(todo, "0"):
            self._receive(todo)

    def check(self) -> str:
        """Ask for a token, and whether our registration is good: a change of nothing tells."""
        nobody = {"registerCode": self._site.register_code, "taskId": "0" * 32, "state": "1"}
        message = self._post("updatePendingState", nobody)
        if message and sorted_message(message, Permanent) is Configuration:
            raise refused(message, *self._hidden())
        return f"“{self._site.name}”已连通，REST 用户与注册编码有效"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _receive(self, todo: Todo) -> None:
        receiver = "thirdReceiverId" if self._site.receiver == "bound" else "noneBindingReceiver"
        sender = "thirdSenderId" if self._site.receiver == "bound" else "noneBindingSender"
        message = self._post(
            "receive",
            {
                "registerCode": self._site.register_code,
                "taskId": todo.key,
                "title": todo.title if len(todo.title) <= _TITLE else todo.title[: _TITLE - 1] + "…",
                "senderName": todo.sender,
                "classify": todo.workflow,
                "contentType": todo.node,
                "state": "0",
                "creationDate": local(todo.opened_at),
                "content": f"{todo.workflow} {todo.node}",
                "url": todo.link,
                "h5url": todo.mobile_link,
                receiver: todo.account,
            }
            | ({sender: todo.sender_account} if todo.sender_account else {}),
        )
        if message and not (_is_there(message) and self._change(todo, "0")):
            raise refused(message, *self._hidden(todo))

    def _change(self, todo: Todo, state: str, sub_state: str = "") -> bool:
        """Change the state of an item; return whether the OA has it."""
        changed = {"registerCode": self._site.register_code, "taskId": todo.key, "state": state}
        message = self._post("updatePendingState", changed | ({"subState": sub_state} if sub_state else {}))
        if not message:
            return True
        if _is_missing(message):
            return False
        raise refused(message, *self._hidden(todo))

    def _post(self, operation: str, fields: dict[str, str]) -> str:
        """Return why the OA refuses, "" where it doesn't."""
        token = self._token()
        answer = self._ask(operation, fields, token)
        if answer.status == 401:
            self._tokens.tokens.drop(_TOKEN, token)
            answer = self._ask(operation, fields, self._token())
        content = answer.json(*self._hidden())
        if not isinstance(content, dict) or not isinstance(content.get("success"), bool):
            raise unanswered("没有 success")
        return "" if content["success"] else _messages(content.get("errorMsgs")) or "没有说明原因"

    def _ask(self, operation: str, fields: dict[str, str], token: str) -> Answer:
        path = f"{_REST}/thirdpartyPending/{operation}"
        return self._http.ask("POST", path, params={"token": token}, json=fields)

    def _token(self) -> str:
        return self._tokens.get(_TOKEN, self._new_token)

    def _new_token(self) -> tuple[str, float]:
        password = self._site.password.get_secret_value()
        answer = self._http.ask("POST", f"{_REST}/token", json={"userName": self._site.user, "password": password})
        content = answer.json(password)
        token = content.get("id") if isinstance(content, dict) else None
        if not isinstance(token, str) or token in ("", "-1"):  # of a wrong password some versions say -1
            raise Configuration("OA 没有给出令牌：请检查 REST 用户的用户名、密码，以及允许的地址")
        return token, self._site.token_minutes * 60

    def _hidden(self, todo: Todo | None = None) -> tuple[str, ...]:
        token = self._tokens.tokens.get(_TOKEN) or ""
        return (self._site.password.get_secret_value(), token, *(() if todo is None else (todo.title, todo.account)))


def _sub_state(todo: Todo, state: State) -> str:
    if state is State.DELETED:
        return _CANCELLED
    if todo.outcome == "return":
        return _RETURNED
    return _AGREED if todo.positive else _REFUSED


def _messages(found: Any) -> str:
    """Return the words in `errorMsgs`: texts, or objects with a text and the item that it is about."""
    listed = found if isinstance(found, list) else [found]
    texts = (next(iter(_texts(each)), "") if isinstance(each, dict) else each for each in listed)
    return "；".join(str(text) for text in texts if text)


def _texts(found: dict[str, Any]) -> list[Any]:
    return [found[name] for name in ("errorMsg", "errorMessage", "message", "msg") if found.get(name)]


def _is_there(message: str) -> bool:
    return any(words in message for words in ("已存在", "已经存在", "重复"))


def _is_missing(message: str) -> bool:
    about = any(words in message for words in ("待办", "任务", "taskId"))
    return about and any(words in message for words in ("不存在", "未找到", "找不到", "没有找到"))
