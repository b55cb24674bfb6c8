"""The scene of one story: its instance, and the people, departments and files that its texts name."""

import hashlib
import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import clock
from engine.attachments import Attachment
from engine.attachments.kinds import KINDS
from engine.bpm.models import ActionLog, Instance, ItemState, WorkItem, WorkRound
from engine.db import new_id
from engine.org.actor import Actor
from engine.org.demo import CAST, DemoStaff
from engine.org.identity import actor_for


class Unexpected(Exception):
    """What a story expects is not so."""


class Scene:
    """One story's instance and how to look at it; `instance_id` is there once it has started."""

    def __init__(self, staff: DemoStaff) -> None:
        self.staff = staff
        self.started: uuid.UUID | None = None

    @property
    def instance_id(self) -> uuid.UUID:
        """The instance."""
        assert self.started is not None
        return self.started

    def instance(self, session: Session) -> Instance:
        """Return the instance's row."""
        return session.scalars(select(Instance).where(Instance.id == self.instance_id)).one()

    def data(self, session: Session) -> dict[str, Any]:
        """Return the instance's data."""
        found: dict[str, Any] = orjson.loads(self.instance(session).data)
        return found

    def path(self, session: Session) -> list[str]:
        """Return the elements and flows that the engine has walked, in order, each time it did."""
        query = select(ActionLog.path).where(ActionLog.instance_id == self.instance_id).order_by(ActionLog.id)
        return [element for path in session.scalars(query) for element in orjson.loads(path)]

    def open_items(self, session: Session, step: str | None = None) -> list[tuple[str, WorkItem]]:
        """Return (step, item) of what is open, of one step or all."""
        query = (
            select(WorkRound.step, WorkItem)
            .join(WorkRound, WorkRound.id == WorkItem.round_id)
            .where(WorkItem.instance_id == self.instance_id, WorkItem.state == ItemState.OPEN)
            .order_by(WorkItem.id)
        )
        if step is not None:
            query = query.where(WorkRound.step == step)
        return [(step, item) for step, item in session.execute(query)]

    def item(self, session: Session, args: Mapping[str, Any], state: ItemState = ItemState.OPEN) -> uuid.UUID:
        """Return the item of a step that a person (`by`) has: the newest in that state, otherwise the newest."""
        query = (
            select(WorkItem)
            .join(WorkRound, WorkRound.id == WorkItem.round_id)
            .where(WorkItem.instance_id == self.instance_id, WorkRound.step == args["step"])
            .where(WorkItem.assignee_id == self.staff.person(args["by"]))
            .order_by(WorkItem.id.desc())
        )
        items = session.scalars(query).all()
        if not items:
            raise Unexpected(f"{args['step']} 没有到过{CAST[args['by']].name}（{args['by']}）")
        return next((item for item in items if item.state == state), items[0]).id

    def situation(self, session: Session) -> str:
        """Say what is open and with whom, for the report of a problem."""
        keys = {self.staff.person(key): key for key in CAST}
        steps: dict[str, list[str]] = {}
        for step, item in self.open_items(session):
            steps.setdefault(step, []).append(keys.get(item.assignee_id, "…"))
        found = "；".join(f"{step}（{'、'.join(dict.fromkeys(people))}）" for step, people in steps.items())
        return f"此时流程 {self.instance(session).state}，打开的是：{found or '无'}"

    def actor(self, session: Session, name: str) -> Actor:
        """Return a member of the cast as an actor."""
        return actor_for(session, self.staff.person(name))

    def people(self, names: str | list[str]) -> list[uuid.UUID]:
        """Return the ids of members of the cast."""
        return [self.staff.person(name) for name in each(names)]

    def resolve(self, session: Session, actor: Actor | None, value: Any) -> Any:
        """Put ids in the place of `@doctor`, `@department:EK` and `@file:来文.pdf`, and the value for `@data:field`."""
        if isinstance(value, dict):
            return {key: self.resolve(session, actor, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.resolve(session, actor, inner) for inner in value]
        if not isinstance(value, str) or not value.startswith("@"):
            return value
        kind, _, name = value[1:].partition(":")
        if kind == "department" and name in self.staff.departments:
            return str(self.staff.departments[name])
        if kind == "file" and actor is not None:
            return str(_attach(session, actor, name))
        if kind == "data":
            return self.data(session).get(name)
        if not name and kind in CAST:
            return str(self.staff.person(kind))
        raise Unexpected(f"不认识“{value}”，可用 @人、@department:科室、@file:文件名、@data:字段")


def each(value: str | list[str]) -> list[str]:
    """Return one name or several as a list."""
    return value if isinstance(value, list) else [value]


def _attach(session: Session, actor: Actor, name: str) -> uuid.UUID:
    """Stage an attachment that exists by name only: processes never read what is in a file."""
    kind = KINDS.get(name.rpartition(".")[2].lower())
    row = Attachment(
        id=new_id(),
        uploader_id=actor.person_id,
        name=name,
        size=1,
        mime="application/octet-stream" if kind is None else kind.mime,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(days=1),
    )
    session.add(row)
    session.flush()
    return row.id
