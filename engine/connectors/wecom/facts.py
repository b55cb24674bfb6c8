"""What the cards of an instance should say now, read off the rows."""

import uuid
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.bpm.closings import closing
from engine.bpm.mirrors import Offers
from engine.bpm.models import ActionLog, Instance, ItemState, Process, WorkItem, WorkRound
from engine.connectors.wecom import cards
from engine.connectors.wecom.models import WeComAccount
from engine.org.models import Person


class Facts:
    """One instance as it is, for the cards about it."""

    def __init__(self, session: Session, instance_id: uuid.UUID) -> None:
        self._session, self._id = session, instance_id

    @cached_property
    def subject(self) -> cards.Subject:
        """The instance as cards name it."""
        row = self._session.execute(
            select(Instance.title, Instance.summary, Process.name, Instance.urgency, Person.name, WeComAccount.userid)
            .join(Process, Process.key == Instance.process_key)
            .join(Person, Person.id == Instance.initiator_id)
            .outerjoin(WeComAccount, WeComAccount.person_id == Instance.initiator_id)
            .where(Instance.id == self._id)
        ).one()
        title, summary, process, urgency, applicant, userid = row
        return cards.Subject(self._id, title, summary, process, urgency, applicant, userid or "")

    def state(self, item: WorkItem, step_name: str) -> str:
        """Return what the card of an item should say, in short."""
        return cards.state(item, cards.figures(self.subject, step_name), stands=self._stands(item))

    def card(self, task_id: str, item: WorkItem, round_: WorkRound, links: cards.Links, remark: str = "") -> cards.Json:
        """Return the card of an item as it is true now."""
        if item.state == ItemState.OPEN:
            offer = self._offers.of(round_.step, round_.task_id)
            asked = cards.Asked(item.id, round_.step_name, item.opened_at, offer, self._returned(item), remark)
            return cards.asking(task_id, self.subject, asked, links)
        act = closing(self._session, self._id, item)
        # one's own outcome, unless somebody else's act closed the item
        chosen = item.outcome or (act.outcome if act is not None else None)
        outcome = self._offers.outcome(round_.step, chosen)
        words = cards.words(item, act, outcome, stands=self._stands(item))
        return cards.settled(task_id, self.subject, round_.step_name, words, item.id, links)

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

    def _stands(self, item: WorkItem) -> bool:
        """Whether the decision of an item that a take-back has cancelled lives on in the round opened again."""
        undone = item.state == ItemState.CANCELLED and item.outcome is not None
        return undone and (item.assignee_id, item.closed_at) in self._decisions

    def _returned(self, item: WorkItem) -> str:
        """Return why the step was opened by a return, with who did it; empty where it wasn't."""
        row = self._session.execute(
            select(Person.name, ActionLog.opinion)
            .join(Person, Person.id == ActionLog.actor_id)
            .where(ActionLog.instance_id == self._id, ActionLog.verb == "return", ActionLog.at == item.opened_at)
            .limit(1)
        ).first()
        return "" if row is None else f"{row[0]}：{row[1]}"
