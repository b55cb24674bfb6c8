"""Weaver e-cology (泛微): its unified to-do centre (统一待办中心), whichever way its operations are called.

receiveRequestInfo puts an item into any list and is an upsert, so it is used for all but deletions; `receivets` orders
the writes of an item, an older one is answered as a success and changes nothing. The OA finds an item again by its
flowid, our key, and its receiver. An open item that is `viewtype` 0 (unread) is announced to its person.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from pydantic import Field

from engine.connectors.oa.adapters import errors
from engine.connectors.oa.adapters.http import unanswered
from engine.connectors.oa.adapters.moments import local
from engine.connectors.oa.adapters.paservice import PaService, Pull
from engine.connectors.oa.adapters.protocol import Foreign, Handled, Shown, State, Take, Todo, fold
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.adapters.texts import clean, titled
from engine.outbox import Permanent

RECEIVE, DELETE = "receiveRequestInfoByJson", "deleteUserRequestInfoByJson"
_REMARK = {State.TODO: "0", State.DONE: "2", State.FINISHED: "4", State.READ: "8"}  # isremark
_UNREAD, _SEEN = "0", "1"  # viewtype
_NAME = 100  # characters
_NOBODY = "0" * 32  # flowid of nothing


class WeaverSite(Site):
    """What the OA's administrator tells: under which code this system is registered there."""

    kind: Literal["weaver.soap", "weaver.rest"]
    syscode: Annotated[str, Field(min_length=1, max_length=50)]  # 异构系统标识
    older_server: bool = False  # which knows no 待阅 (isremark 8)
    wsdl: Annotated[str, Field(pattern=r"^[^/\\]*$")] = ""  # weaver.soap: file in the site's folder; "" the shipped one
    pull: Pull | None = None  # how the OA's lists are read


class Calls(Protocol):
    """One of the two ways to call an operation of the to-do centre."""

    def call(self, operation: str, fields: Mapping[str, str], *hidden: str) -> Any:
        """Return the answer, read from its JSON; `hidden`: as `errors.refused`. Raises as `Adapter.put`."""

    def close(self) -> None:
        """Close the connections."""


class Weaver:
    """The unified to-do centre; see `Adapter`. Its lists are read where E9's paService is configured."""

    quick = False

    def __init__(self, site: WeaverSite, calls: Calls, take: Take) -> None:
        self._site, self._calls = site, calls
        self._lists = None if site.pull is None else PaService(site, site.pull, take)
        self.states = frozenset(State) - ({State.READ} if site.older_server else frozenset())
        self.polls = self._lists is not None
        self.reads_back = self._lists is not None and self._lists.reads_back

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        """Bring the OA to show an item in a state; see `Adapter`. In doubt it is just put again."""
        state = fold(self.states, state)
        if state is State.DELETED:
            self._delete(todo.key, todo.account, todo.title)
            return
        fields = self._fields(todo, state)
        try:
            self._do(RECEIVE, fields, todo.title, fields["requestname"])
        except errors.UnknownCreator:
            if fields["creator"] == todo.account:
                raise
            self._do(RECEIVE, fields | {"creator": todo.account}, todo.title, fields["requestname"])

    def check(self) -> str:
        """Delete what isn't there, and get a token where lists are read; see `Adapter`."""
        try:
            self._delete(_NOBODY, self._site.user or self._site.syscode)
        except Permanent:  # in the OA's own words, so it lets us in
            pass
        if self._lists is not None:
            self._lists.check()
        return f"泛微统一待办中心接受了我们的请求（异构系统标识“{self._site.syscode}”）"

    def shown(self, account: str) -> list[Shown]:
        """Return our items in a person's open lists; see `Adapter`."""
        return [] if self._lists is None else self._lists.shown(account)

    def waiting(self, account: str) -> list[Foreign]:
        """Return the OA's own items that wait for a person; see `Adapter`."""
        return [] if self._lists is None else self._lists.waiting(account)

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        """Return the OA's own items that a person has handled; see `Adapter`."""
        return [] if self._lists is None else self._lists.done_since(account, since)

    def handled(self, accounts: Iterable[str], since: datetime) -> list[Handled]:
        """Return nothing: an item of ours is handled with us."""
        return []

    def close(self) -> None:
        """Close the connections."""
        self._calls.close()
        if self._lists is not None:
            self._lists.close()

    def _fields(self, todo: Todo, state: State) -> dict[str, str]:
        return {
            "syscode": self._site.syscode,
            "flowid": todo.key,
            "requestname": titled(todo.title),
            "workflowname": clean(todo.workflow)[:_NAME],
            "nodename": clean(todo.node)[:_NAME],
            "pcurl": todo.link,
            "appurl": todo.mobile_link or todo.link,
            "isremark": _REMARK[state],
            "viewtype": _UNREAD if state.open and not todo.quiet else _SEEN,
            "creator": todo.sender_account or todo.account,
            "createdatetime": local(todo.started_at),
            "receiver": todo.account,
            "receivedatetime": local(todo.opened_at),
            "receivets": str(todo.stamp),
        }

    def _delete(self, key: str, account: str, *hidden: str) -> None:
        """Take an item out of a person's lists; it is as wanted where it isn't there."""
        fields = {"syscode": self._site.syscode, "flowid": key, "userid": account}
        try:
            self._do(DELETE, fields, *hidden)
        except errors.Missing:
            pass

    def _do(self, operation: str, fields: Mapping[str, str], *hidden: str) -> None:
        """Call an operation; raises what its refusal stands for."""
        answer = self._calls.call(operation, fields, *hidden)
        if not isinstance(answer, dict) or str(answer.get("operResult")) not in ("0", "1"):
            raise unanswered("没有 operResult")
        if str(answer["operResult"]) == "1":
            return
        raise errors.refused(str(answer.get("message") or ""), *hidden)
