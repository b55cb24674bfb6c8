"""A case: one instance behind its lock, on its way to one write.

A command opens a case, checks, lets it advance, logs, and saves; everything that changed goes out in one batch. Rounds
open and close here, derived from what the runtime says is open, whatever the action was.
"""

import uuid
from datetime import datetime
from functools import cached_property
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine import audit, clock, outbox
from engine.batch import Batch
from engine.bpm import definitions, runtime, visibility
from engine.bpm.commands import describing, requests
from engine.bpm.commands import statements as sql
from engine.bpm.models import Incident, InstanceState, ItemKind, ItemState
from engine.db import new_id
from engine.errors import Conflict
from engine.org.actor import Actor
from engine.org.directory import Directory, directory

outbox.declare("job", "run")
outbox.declare("event", "thrown", "deliver")
outbox.declare("notice", "items", "ended", "person", "agreed", "changed")
outbox.declare("settle", "round")

_BY_ITSELF = ("auto", "decide")  # the verbs of what nobody did: a rule of the step, a decision table
_FEW = 20  # decisions that a completion reads along with its lock; most instances have no more

LIVE = (ItemState.OPEN, ItemState.STANDBY, ItemState.QUEUED)


class ProcessFault(Conflict):
    """The diagram has no way on; the action was not done, an incident tells the admins."""

    code = "process_fault"
    reason = ""


class Case:
    """A locked instance with what a command changes of it."""

    def __init__(self, session: Session, actor: Actor | None, row: Any, now: datetime) -> None:
        self.session, self.actor, self.now = session, actor, now
        self.row = row
        self.version = definitions.version(session, row.version_id)
        self.definition = self.version.definition
        self.state: bytes = row.engine_state
        self.original: runtime.Data = orjson.loads(row.data)
        self.data = self.original
        self.instance_state: str = row.state
        self.org_revision: uuid.UUID | None = None  # as it was read with the lock
        self.key: bytes | None = None
        self.timer: int | None = None  # the task whose timer this command fires
        self.replayed: Any | None = None
        self.moved = False
        self.path: list[str] = []
        self._automatic: list[dict[str, Any]] = []  # rows of the trail that follow the act's own
        self.opened: list[dict[str, Any]] = []
        self.rounds: list[dict[str, Any]] = []
        self.jobs: list[runtime.Job] = []
        self.thrown: list[runtime.Thrown] = []
        self.incidents: list[dict[str, Any]] = []
        self.pending: list[runtime.Opened] = []
        self.armed: list[tuple[int, datetime]] = []
        self.woken: list[uuid.UUID] = []  # rounds in which an item became open again
        self.batch = Batch()
        self.recent: list[Any] | None = None  # what was decided before, where it was read: `decisions()`
        self._live_rounds: dict[int, Any] | None = None
        self.settled: set[int] = set()  # tasks whose round the command has closed itself
        self.returned = False  # this command is a return: nobody's earlier consent counts
        self.approving = False  # this command is somebody's consent
        self.items_changed = False

    # -- opening ----------------------------------------------------------------------------------------------------

    @classmethod
    def by_item(
        cls, session: Session, actor: Actor, item_id: uuid.UUID, verb: str, key: str | None = None
    ) -> tuple["Case", list[Any]]:
        """Lock the instance of a work item; return the case and the items of its round, as they are behind the lock.

        `case.replayed` is the trail row of the same request, where it was carried out before under its `key`.
        """
        batch = Batch()
        batch.query(sql.LOCK_BY_ITEM, {"item": item_id})
        batch.query(sql.ITEMS_OF_ROUND, {"item": item_id})
        if verb == "complete":
            batch.query(sql.DECISIONS_BY_ITEM, {"item": item_id, "limit": _FEW})
        case, answers = cls._locked(session, batch, actor, verb, key, item_id)
        if verb == "complete" and len(decisions := answers.pop()) < _FEW:
            case.recent = decisions
        return case, answers.pop()

    @classmethod
    def by_id(
        cls, session: Session, actor: Actor | None, instance_id: uuid.UUID, verb: str = "", key: str | None = None
    ) -> "Case":
        """Lock an instance; `verb` and `key` as for `by_item`."""
        batch = Batch()
        batch.query(sql.LOCK_INSTANCE, {"id": instance_id})
        return cls._locked(session, batch, actor, verb, key, instance_id)[0]

    def decisions(self) -> list[Any]:
        """Return what was completed and returned before this command, the newest first, the latest 500 at most."""
        if self.recent is None:
            batch = Batch()
            batch.query(sql.DECISIONS, {"id": self.row.id, "limit": 500})
            self.recent = batch.run(self.session)[0]
        return self.recent

    @classmethod
    def _locked(
        cls, session: Session, batch: Batch, actor: Actor | None, verb: str, key: str | None, target: uuid.UUID
    ) -> tuple["Case", list[list[Any]]]:
        stored = idem(actor, key)
        if stored is not None:
            batch.query(sql.REPLAY, {"idem_key": stored})
        answers = batch.run(session)
        if not answers[0]:
            raise visibility.not_found()
        case = cls(session, actor, answers[0][0], clock.now())
        case.org_revision = case.row.org_revision
        case.key = stored
        if stored is not None and (before := answers.pop()):
            case.replayed = same_request(session, before[0], verb, target)
        return case, answers

    @cached_property
    def directory(self) -> Directory:
        """The organisation as it is now."""
        return directory(self.session, self.org_revision)

    def require_running(self) -> None:
        """Refuse where the instance has ended."""
        if self.instance_state != InstanceState.RUNNING:
            raise Conflict(
                f"这件事已{describing.STATE_NAMES[self.instance_state]}，不能再办理",
                code="instance_ended",
                state=self.instance_state,
            )

    # -- moving -----------------------------------------------------------------------------------------------------

    def advance(self, event: runtime.Event) -> None:
        """Let the runtime apply an event; the rounds of what it opened are opened by `opening.open_pending`."""
        try:
            change = runtime.advance(self.definition, self.state, self.data, event, now=self.now)
        except runtime.RuntimeFault as fault:
            raise self.fault(fault) from fault
        except runtime.Unreachable as refusal:
            raise Conflict(refusal.message, code=f"unreachable_{refusal.code}") from refusal
        self.apply(change)

    def apply(self, change: runtime.Change) -> None:
        """Take over what the runtime changed."""
        self.state, self.data, self.moved = change.state, change.data, True
        self.path += change.path
        self.thrown += change.thrown
        for ruling in change.decided:
            self._log_ruling(ruling)
        self.jobs += list(change.jobs)
        closed_ids = {c.task_id for c in change.closed}
        self.pending = [o for o in self.pending if o.task_id not in closed_ids] + list(change.opened)
        where = {"instance_id": self.row.id}
        if change.unarmed:
            self.batch.add(sql.DELETE_TIMER, [where | {"task_id": t} for t in sorted(change.unarmed)])
        if waiting := set(change.gone) - set(change.unarmed):
            self.batch.add(sql.DELETE_SUBSCRIPTION, [where | {"task_id": t} for t in sorted(waiting)])
        for task_id in change.undone:
            self.items_changed = True
            self.batch.add(sql.CANCEL_UNDONE, {"id": self.row.id, "task_id": task_id, "closed_at": self.now})
        for closed in change.closed:
            if not closed.done and closed.task_id not in self.settled:
                self.cancel_round(closed.task_id)
        self.armed += [(t.task_id, t.due_at) for t in change.timers]
        if change.timers:
            self.batch.add(
                sql.INSERT_TIMER,
                [where | {"task_id": t.task_id, "element": t.element, "due_at": t.due_at} for t in change.timers],
            )
        if change.waits:
            self.batch.add(
                sql.INSERT_SUBSCRIPTION,
                [
                    where | {"task_id": w.task_id, "kind": w.kind, "name": w.name, "correlation": w.correlation}
                    for w in change.waits
                ],
            )
        if change.finished:
            self.instance_state = InstanceState.COMPLETED

    def keep(self, values: runtime.Data, task_id: int) -> None:
        """Keep form data of a round that is not decided yet."""
        self.state, self.data = runtime.keep(self.definition, self.state, self.data, task_id, values, now=self.now)
        self.moved = True

    def fault(self, fault: runtime.RuntimeFault) -> ProcessFault:
        """Return the refusal for a fault of the diagram; the incident is written after the rollback."""
        error = ProcessFault(
            f"流程走不下去：{fault.message}。已通知流程管理员，您的操作没有生效", element=fault.element, kind=fault.kind
        )
        error.reason = fault.message
        incident = {
            "instance_id": self.row.id,
            "task_id": self.timer,
            "step": fault.element[:80],
            "kind": fault.kind,
            "message": fault.message[:400],
            "created_at": self.now,
        }
        error.afterwards = lambda session: record(session, incident)
        return error

    # -- rounds -----------------------------------------------------------------------------------------------------

    def cancel_round(self, task_id: int) -> None:
        """Close the round of a task that was left without a decision."""
        if self._live_rounds is None:
            batch = Batch()
            batch.query(sql.OPEN_ROUNDS, {"id": self.row.id})
            self._live_rounds = {r.task_id: r for r in batch.run(self.session)[0]}
        mine = [r for r in self.rounds if r["task_id"] == task_id]
        for row in mine:  # opened in this very command
            row["closed_at"] = self.now
            for item in self.opened:
                if item["round_id"] == row["id"]:
                    item.update(state=ItemState.CANCELLED, closed_at=self.now)
        live = self._live_rounds.get(task_id)
        if live is not None:
            self.close_round(live.id, None, rest=ItemState.CANCELLED)

    def close_round(
        self,
        round_id: uuid.UUID,
        outcome: str | None,
        *,
        rest: ItemState,
        of: list[Any] | None = None,
        decided: uuid.UUID | None = None,
    ) -> None:
        """Close a round and what is still open of its items (`rest` is their state), but the `decided` one.

        `of` are the round's items where the command has read them behind the lock.
        """
        if of is None or any(i.id != decided and i.state in LIVE for i in of):
            self.items_changed = True
            self.batch.add(
                sql.CLOSE_ROUND_ITEMS,
                {"round_id": round_id, "state": rest, "closed_at": self.now, "except_id": decided or round_id},
            )
        self.batch.add(
            sql.CLOSE_ROUND,
            {"id": round_id, "outcome": outcome, "closed_at": self.now},
            expect=1,
            why="办理轮次",
        )

    def update_item(self, item: Any, **changes: Any) -> None:
        """Change a work item that the command has read behind the lock; the write fails where it has moved since."""
        names = ("id", "state", "claimed", "outcome", "opinion", "opened_at", "closed_at")
        values = {name: getattr(item, name) for name in names} | changes | {"before": item.state}
        self.items_changed = True
        self.batch.add(sql.UPDATE_ITEM, values, expect=1, why="待办事项")

    # -- the trail and the write --------------------------------------------------------------------------------------

    def log(
        self,
        verb: str,
        *,
        item: Any = None,
        keyed: bool = True,
        after: bool = False,
        by: tuple[uuid.UUID, uuid.UUID | None] | None = None,
        **fields: Any,
    ) -> None:
        """Add a row to the trail; the path walked since the last row goes with it.

        The action's own row carries the request's key (`keyed`); rows beside it don't. What followed by itself (auto,
        decide) stands behind the act, `after` it. `by` names who acted where that isn't the case's actor: person and
        token.
        """
        if item is not None:
            fields = {
                "item_id": item.id,
                "round_id": item.round_id,
                "step": item.step,
                "step_name": item.step_name,
            } | fields
        if keyed and self.key is not None:
            fields["detail"] = fields.get("detail", {}) | requests.noted(self.session)
        if verb in _BY_ITSELF and not after:
            # it follows from the act, whose row comes first
            self._automatic.append({"verb": verb, "keyed": keyed} | fields)
            return
        if by is None and self.actor is not None and verb not in _BY_ITSELF:
            by = self.actor.person_id, self.actor.token_id
        actor_id, token_id = by or (None, None)
        row = audit.log_row(
            self.session.info["audit_key"],
            instance_id=self.row.id,
            verb=verb,
            at=self.now,
            actor_id=actor_id,
            token_id=token_id,
            path=self.path,
            idem_key=self.key if keyed else None,
            **fields,
        )
        self.path = []
        self.batch.add(audit.INSERT_ACTION, row)
        held, self._automatic = self._automatic, []
        for automatic in held:
            self.log(after=True, **automatic)

    def _log_ruling(self, ruling: runtime.Ruling) -> None:
        """Keep on the trail what a decision said and which rules hit; whom it is shown to, `queries.trail` tells."""
        hits = [
            {"decision": hit.decision, "table": hit.table, "rules": hit.rules, "inputs": dict(hit.inputs)}
            for hit in ruling.hits
        ]
        self.log(
            "decide",
            keyed=False,
            step=ruling.element[:80],
            step_name=self.definition.names[ruling.element][:80],
            detail={"decision": ruling.decision, "result": ruling.result, "hits": hits},
        )

    def save(self, *, touch: bool = True) -> None:
        """Write everything in one batch, which goes out with the commit of the caller's unit of work.

        Without `touch` what doesn't move the instance leaves its version: nobody who decides is told to look again.
        """
        row = self.row
        if self.moved:
            ended = self.instance_state != InstanceState.RUNNING
            names = self.data.keys() | self.original.keys()
            changed = {name for name in names if self.data.get(name) != self.original.get(name)}
            shown = {name: getattr(row, name) for name in ("title", "summary", "urgency")}
            if not self.version.shown_by.isdisjoint(changed):
                shown |= describing.describe(self.version, self.data)
                if not self.definition.process.urgency.startswith("="):
                    shown["urgency"] = row.urgency  # as it was chosen at the start
            self.batch.add(
                sql.UPDATE_INSTANCE,
                {
                    "id": row.id,
                    "version": row.version,
                    "engine_state": self.state,
                    "data": orjson.dumps(self.data),
                    "state": self.instance_state,
                    "ended_at": self.now if ended else None,
                    **shown,
                },
                expect=1,
                why="流程实例",
            )
            if found := describing.search_values(self.version, self.data, row.id, changed):
                self.batch.add(sql.UPSERT_SEARCH, found)
        elif touch:
            self.batch.add(sql.TOUCH_INSTANCE, {"id": row.id, "version": row.version}, expect=1, why="流程实例")
        self.write_opened()
        outbox.put(self.session, self.batch, self.outbox_rows())
        self.batch.defer(self.session)

    def write_opened(self) -> None:
        """Queue the rounds, items and incidents that the case has opened."""
        if self.rounds:
            self.batch.add(sql.INSERT_ROUND, self.rounds)
        if self.opened:
            self.batch.add(sql.INSERT_ITEM, self.opened)
        if self.incidents:
            self.batch.add(sql.INSERT_INCIDENT, self.incidents)

    def _asks(self) -> bool:
        """Whether the command has opened a step that somebody must act on."""
        return bool(self.woken) or any(r["closed_at"] is None and r["kind"] != ItemKind.READ for r in self.rounds)

    def outbox_rows(self) -> list[dict[str, Any]]:
        """Return what must still happen: notices, jobs, thrown events."""
        key, rows = str(self.row.id), []
        waiting = [str(r["id"]) for r in self.rounds if r["closed_at"] is None or r["kind"] == "read"]
        waiting += map(str, self.woken)
        if waiting:
            rows.append(outbox.row("notice", key, "items", {"instance": key, "rounds": waiting}, self.now))
        if self.instance_state != InstanceState.RUNNING and self.row.state == InstanceState.RUNNING:
            rows.append(outbox.row("notice", key, "ended", {"instance": key, "state": self.instance_state}, self.now))
        elif self.approving and self.moved and not self.jobs and not self._asks():  # it waits for a time or a message
            rows.append(outbox.row("notice", key, "agreed", {"instance": key}, self.now))
        if not rows and self.items_changed and self.session.info.get("mirrors"):  # nobody is told, cards must change
            rows.append(outbox.row("notice", key, "changed", {"instance": key}, self.now))
        for job in self.jobs:
            payload = {"instance": key, "task": job.task_id, "retries": job.retries}
            rows.append(outbox.row("job", key, "run", payload, self.now, idem_key=f"job:{key}:{job.task_id}"))
        for event in self.thrown:
            payload = {
                "instance": key,  # whose event it is
                "kind": event.kind,
                "name": event.name,
                "correlation": event.correlation,
                "payload": dict(event.payload),
            }
            rows.append(outbox.row("event", f"{event.kind}:{event.name}", "thrown", payload, self.now))
        return rows


def record(session: Session, incident: dict[str, Any]) -> None:
    """Write an incident, unless the same one is open already: people try again."""
    same = select(Incident.id).where(
        Incident.instance_id == incident["instance_id"],
        Incident.step == incident["step"],
        Incident.kind == incident["kind"],
        Incident.resolved_at.is_(None),
    )
    if session.scalar(same) is None:
        session.add(Incident(id=new_id(), **incident))


def idem(actor: Actor | None, key: str | None) -> bytes | None:
    """Return the stored form of an idempotency key: keys of different people never meet."""
    if key is None:
        return None
    who = "" if actor is None else str(actor.person_id)
    return blake2b(f"{who}|{key}".encode(), digest_size=16).digest()


def replay(session: Session, key: bytes | None, verb: str) -> Any | None:
    """Return the trail row of a request that was carried out under this key before, None for a new one."""
    if key is None:
        return None
    batch = Batch()
    batch.query(sql.REPLAY, {"idem_key": key})
    found = batch.run(session)[0]
    return same_request(session, found[0], verb, None) if found else None


def same_request(session: Session, row: Any, verb: str, target: uuid.UUID | None, *, same: bool | None = None) -> Any:
    """Return the row; raises Conflict where the key was used for something else.

    `same`: whether it says the same, where the command needs no digest to tell.
    """
    if row.verb != verb or (target is not None and target not in (row.item_id, row.instance_id)):
        raise key_reused()
    if not (requests.same_words(session, row) if same is None else same):
        raise Conflict(
            "这个请求编号（Idempotency-Key）已用过，内容与这一次不同：第一次的已生效，这一次没有。请刷新查看",
            code="idempotency_key_reused",
        )
    return row


def key_reused() -> Conflict:
    """Return the refusal of a key that stands for another request."""
    return Conflict("这个请求编号（Idempotency-Key）已用于另一个操作，请换一个编号", code="idempotency_key_reused")
