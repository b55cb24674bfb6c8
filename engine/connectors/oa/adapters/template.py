"""Any OA with an HTTP interface, as the site's file describes it (`template_site`): no product is known here."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.connectors.oa.adapters import moments
from engine.connectors.oa.adapters.conversation import Conversation
from engine.connectors.oa.adapters.interface import Compiled
from engine.connectors.oa.adapters.protocol import Foreign, Handled, Shown, State, Take, Todo, Unknown, fold
from engine.connectors.oa.adapters.template_site import TemplateSite
from engine.connectors.oa.adapters.texts import clean, titled

MAX_PAGES = 100


class TemplateOA:
    """An OA that is spoken to by templates; see `protocol.Adapter`."""

    def __init__(self, site: TemplateSite, take: Take) -> None:
        self._site, self._compiled = site, Compiled(site)
        self._conversation = Conversation(site, self._compiled, take)
        self.states = frozenset(self._compiled.put)
        self.reads_back = "shown" in self._compiled.rows
        self.polls = "waiting" in self._compiled.rows
        self.quick = "handled" in self._compiled.rows

    def put(self, todo: Todo, state: State, *, doubtful: bool = False) -> None:
        """Bring the OA to show the item in this state."""
        state = fold(self.states, state)
        if doubtful and state.open and not self._site.template.repeatable and self._shows(todo, state):
            return
        call, already = self._compiled.put[state]
        cleaned = replace(
            todo,
            title=titled(todo.title),
            person=clean(todo.person),
            workflow=clean(todo.workflow),
            node=clean(todo.node),
            sender=clean(todo.sender),
        )
        private = (todo.title, cleaned.title)
        self._conversation.ask(call, {"todo": cleaned, "state": state.value}, private, already)

    def check(self) -> str:
        """Ask what the file names for it."""
        self._conversation.ask(self._compiled.check, {})
        return f"“{self._site.name}”已连通，接口应答正常"

    def shown(self, account: str) -> list[Shown]:
        """Return our items that the OA shows as open."""
        rows = (
            Shown(
                key=_text(row["key"]),
                account=account,
                state=self._state(row["state"]),
                title=_text(row["title"]),
                node=_text(row["node"]),
                received_at=moments.read(row["received_at"]),
            )
            for row in self._list("shown", {"account": account})
        )
        return [row for row in rows if row.state.open]

    def waiting(self, account: str) -> list[Foreign]:
        """Return the OA's own open items of a person."""
        return [row for row in self._own("waiting", {"account": account}) if row.state.open]

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        """Return the OA's own items that a person has handled; none where the file doesn't tell how to ask."""
        if "done_since" not in self._compiled.rows:
            return []
        return self._own("done_since", {"account": account, "since": since})

    def handled(self, accounts: Iterable[str], since: datetime) -> list[Handled]:
        """Return our items that were handled in the OA: asked once for everybody, or for each where it must be."""
        each = "account" in self._compiled.rows["handled"].call.names
        found = list[Handled]()
        for account in accounts if each else ("",):
            for row in self._list("handled", {"account": account, "since": since}):
                at = moments.read(row["at"])
                if at is None:
                    raise self._misread("handled.at")
                told = {name: _text(row[name]) for name in ("key", "account", "outcome", "opinion")}
                found.append(Handled(**told, at=at))
        return found

    def close(self) -> None:
        """Close the connections."""
        self._conversation.close()

    def _shows(self, todo: Todo, state: State) -> bool:
        return any(row.key == todo.key and row.state == state for row in self.shown(todo.account))

    def _own(self, name: str, values: Mapping[str, Any]) -> list[Foreign]:
        found = list[Foreign]()
        for row in self._list(name, values):
            received_at = moments.read(row["received_at"])
            if received_at is None or not _text(row["request_id"]):
                raise self._misread(f"{name}.received_at 或 {name}.request_id")
            names = ("request_id", "title", "workflow", "node", "sender", "link", "mobile_link")
            told = {field: _text(row[field]) for field in names}
            handled_at = moments.read(row.get("handled_at"))
            found.append(
                Foreign(state=self._state(row["state"]), received_at=received_at, handled_at=handled_at, **told)
            )
        return found

    def _list(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        listing, found = self._compiled.rows[name], list[dict[str, Any]]()
        for page in range(1, MAX_PAGES + 1):
            context = self._conversation.ask(listing.call, {**values, "page": page})
            rows = listing.read(context, values["account"])
            if rows is None:
                raise self._misread(f"{name}.rows")
            found += rows
            if listing.more.value(context) is not True or not rows:
                return found
        raise Unknown(f"“{self._site.name}”的列表超过 {MAX_PAGES} 页：请检查 [template.{name}] 的 more")

    def _state(self, value: object) -> State:
        try:
            return State(_text(value))
        except ValueError:
            raise self._misread("state") from None

    def _misread(self, place: str) -> Unknown:
        return Unknown(f"“{self._site.name}”的回答与 site.toml 里 {place} 的公式不符，读不出来")


def _text(value: object) -> str:
    return "" if value is None else str(value)
