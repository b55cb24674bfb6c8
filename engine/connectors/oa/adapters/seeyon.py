"""Seeyon A8 (致远): third-party to-dos (第三方待办) over REST, one row for each receiver, `taskId` the item's key.

Facts: design 05. There is no list for what is only to be read, no deletion (a cancelled item is done with 取消), and no
way to read our rows back. A token goes in the query of each request.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from engine.connectors.oa.adapters.errors import Missing, refused
from engine.connectors.oa.adapters.http import Answer, Http, unanswered
from engine.connectors.oa.adapters.moments import local
from engine.connectors.oa.adapters.protocol import State, Take, Todo, fold
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.adapters.texts import clean, titled
from engine.connectors.oa.adapters.unsupported import NeitherReadsNorPolls
from engine.connectors.tokens import Flights, InProcess
from engine.outbox import Configuration, Permanent

_REST = "/seeyon/rest"
_KEPT = "seeyon"  # key of the token
_NOBODY = "0" * 32  # taskId of nothing
_OPEN, _CLOSED = "0", "1"  # state
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
            self._change(todo, _CLOSED, _sub_state(todo, state))
        elif not doubtful or not self._change(todo, _OPEN):
            self._receive(todo)

    def check(self) -> str:
        """Ask for a token, and whether our registration is good: to change what isn't there tells."""
        try:
            self._post("updatePendingState", {"taskId": _NOBODY, "state": "1"})
        except Missing:
            pass
        return f"致远 OA 接受了我们的请求（系统注册编码“{self._site.register_code}”）"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _receive(self, todo: Todo) -> None:
        bound = self._site.receiver == "bound"
        fields = {
            "taskId": todo.key,
            "title": titled(todo.title),
            "senderName": clean(todo.sender or todo.person),
            "content": clean(f"{todo.workflow} {todo.node}"),
            "state": _OPEN,
            "creationDate": local(todo.opened_at),
            "url": todo.link,
            "h5url": todo.mobile_link or todo.link,
            "thirdReceiverId" if bound else "noneBindingReceiver": todo.account,
        }
        if todo.sender_account:
            fields["thirdSenderId" if bound else "noneBindingSender"] = todo.sender_account
        try:
            self._post("receive", fields, todo.title)
        except Permanent as error:
            if type(error) is not Permanent or not self._change(todo, _OPEN):
                raise

    def _change(self, todo: Todo, state: str, sub_state: str = "") -> bool:
        """Change the state of an item; return whether the OA has it."""
        fields = {"taskId": todo.key, "state": state} | ({"subState": sub_state} if sub_state else {})
        try:
            self._post("updatePendingState", fields, todo.title)
        except Missing:
            return False
        return True

    def _post(self, operation: str, fields: dict[str, str], *hidden: str) -> None:
        """Do an operation on one item; a token that the OA knows no more is renewed once."""
        fields = {"registerCode": self._site.register_code, **fields}
        token = self._token()
        answer = self._ask(operation, fields, token)
        if answer.status == 401:
            self._tokens.tokens.drop(_KEPT, token)
            token = self._token()
            answer = self._ask(operation, fields, token)
        hidden = (*hidden, token, self._site.password.get_secret_value())
        content = answer.json(*hidden)
        if not isinstance(content, dict) or not isinstance(content.get("success"), bool):
            raise unanswered("没有 success")
        if not content["success"]:
            raise refused(_messages(content.get("errorMsgs")), *hidden)

    def _ask(self, operation: str, fields: dict[str, str], token: str) -> Answer:
        path = f"{_REST}/thirdpartyPending/{operation}"
        return self._http.ask("POST", path, params={"token": token}, json=fields)

    def _token(self) -> str:
        return self._tokens.get(_KEPT, self._new_token)

    def _new_token(self) -> tuple[str, float]:
        password = self._site.password.get_secret_value()
        answer = self._http.ask("POST", f"{_REST}/token", json={"userName": self._site.user, "password": password})
        content = answer.json(password)
        token = content.get("id") if isinstance(content, dict) else None
        if not isinstance(token, str) or token in ("", "-1"):  # of a wrong password some versions say -1
            raise Configuration("OA 没有给出令牌：请检查 REST 用户的用户名、密码，以及允许的地址")
        return token, self._site.token_minutes * 60


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
