"""Who is at work when something is killed: a loop that completes whatever is open, and clients of the service."""

import http.client
import json
import time
import uuid
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from threading import Event
from typing import Any

import engine.registry  # noqa: F401  (what it imports is loaded once, before this process is forked)
from engine.bpm import commands
from engine.db import Database
from engine.org import auth
from engine.org.actor import Actor
from tests.faults.crowd import act, held
from tests.serving import PATIENCE, Service


def complete_for_ever(
    url: str, key: bytes, mine: list[uuid.UUID], actors: dict[uuid.UUID, Actor], told: Connection
) -> None:
    """Complete the open items of some instances in a loop until the process is killed; send each id that is stored."""
    db = Database(url, pool_size=1, audit_key=key)
    while True:
        for item in held(db, mine):
            act(db, commands.complete, actors[item.assignee], item.id, "approve", opinion="同意", key=str(item.id))
            told.send(item.id)


@dataclass
class Client:
    """Completes the open items of one instance through HTTP, and asks again with the same key until it is answered."""

    service: Service
    db: Database
    instance: uuid.UUID
    logins: dict[uuid.UUID, auth.Login]
    acknowledged: dict[uuid.UUID, dict[str, Any]] = field(default_factory=dict)  # answers by item
    holders: dict[uuid.UUID, uuid.UUID] = field(default_factory=dict)
    unanswered: int = 0  # requests whose connection was lost

    def complete_until(self, stop: Event) -> None:
        """Complete what is open, again and again; nothing is left without an answer."""
        while not stop.is_set():
            for item in held(self.db, [self.instance]):
                self.holders[item.id] = item.assignee
                self.acknowledged[item.id] = self.send(item.id)

    def send(self, item: uuid.UUID) -> dict[str, Any]:
        """Complete an item; where the connection is lost, or the service was busy with what it left, send it again."""
        login = self.logins[self.holders[item]]
        headers = {
            "Cookie": f"piyue={login.token}",
            "X-CSRF-Token": login.session.csrf,
            "Content-Type": "application/json",
            "Idempotency-Key": f"complete-{item}",
        }
        body = json.dumps({"outcome": "approve", "opinion": "同意"}).encode()
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                status, text = self.service.ask("POST", f"/api/v1/work-items/{item}/complete", body, headers)
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
            else:
                if status != 503:
                    assert status == 200, text.decode()
                    answer: dict[str, Any] = json.loads(text)
                    return answer
            assert time.monotonic() < deadline, f"no answer about {item}"
