"""What the cards of an instance should say now, read off the rows."""

import uuid
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.batch import Batch, Statement
from engine.bpm.closings import closing
from engine.bpm.mirrors import Offers
from engine.bpm.models import ItemState, WorkItem
from engine.connectors.wecom import cards
from engine.connectors.wecom.deliveries import Item

_SUBJECT = Statement(
    "SELECT i.title, i.summary, c.name AS process, i.urgency, p.name AS applicant, a.userid FROM instance i "
    "JOIN process c ON c.key = i.process_key JOIN person p ON p.id = i.initiator_id "
    "LEFT JOIN wecom_account a ON a.person_id = i.initiator_id WHERE i.id = :id"
)
_RETURNED = Statement(
    "SELECT p.name, l.opinion FROM action_log l JOIN person p ON p.id = l.actor_id "
    "WHERE l.instance_id = :id AND l.verb = 'return' AND l.at = :at LIMIT 1"
)


class Facts:
    """One instance as it is, for the cards about it."""

    def __init__(self, session: Session, instance_id: uuid.UUID) -> None:
        self._session, self._id = session, instance_id

    @cached_property
    def subject(self) -> cards.Subject:
        """The instance as cards name it."""
        [row] = self._ask(_SUBJECT)
        return cards.Subject(
            self._id, row.title, row.summary, row.process, row.urgency, row.applicant, row.userid or ""
        )

    def state(self, item: Any, step_name: str) -> str:
        """Return what the card of an item should say, in short."""
        return cards.state(item, cards.figures(self.subject, step_name), stands=self._stands(item))

    def card(self, task_id: str, item: Item, links: cards.Links, remark: str = "") -> cards.Json:
        """Return the card of an item as it is true now."""
        if item.state == ItemState.OPEN:
            offer = self._offers.of(item.step, item.task_id)
            asked = cards.Asked(item.id, item.step_name, item.opened_at, offer, self._returned(item), remark)
            return cards.asking(task_id, self.subject, asked, links)
        act = closing(self._session, self._id, item)
        # one's own outcome, unless somebody else's act closed the item
        chosen = item.outcome or (act.outcome if act is not None else None)
        outcome = self._offers.outcome(item.step, chosen)
        words = cards.words(item, act, outcome, stands=self._stands(item))
        return cards.settled(task_id, self.subject, item.step_name, words, item.id, links)

    @cached_property
    def _offers(self) -> Offers:
        return Offers(self._session, self._id)

    @cached_property
    def _decisions(self) -> set[Any]:
        """Who has decided when: decisions that stand."""
        done = select(WorkItem.assignee_id, WorkItem.closed_at).where(
            WorkItem.instance_id == self._id, WorkItem.state == ItemState.DONE
        )
        return {(person_id, at) for person_id, at in self._session.execute(done)}

    def _stands(self, item: Any) -> bool:
        """Whether the decision of an item that a take-back has cancelled lives on in the round opened again."""
        undone = item.state == ItemState.CANCELLED and item.outcome is not None
        return undone and (item.assignee_id, item.closed_at) in self._decisions

    def _returned(self, item: Item) -> str:
        """Return why the step was opened by a return, with who did it; empty where it wasn't."""
        found = self._ask(_RETURNED, at=item.opened_at)
        return f"{found[0].name}：{found[0].opinion}" if found else ""

    def _ask(self, query: Statement, **params: Any) -> list[Any]:
        batch = Batch()
        batch.query(query, {"id": self._id, **params})
        rows: list[Any] = batch.run(self._session)[0]
        return rows
