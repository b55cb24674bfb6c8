"""Somebody with WeCom: their browser, the way out to the stand-in and back, and what is found in the database after."""

import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson
from sqlalchemy import select, update

from engine import audit
from engine.bpm.models import ActionLog
from engine.connectors.wecom.client import WeCom
from engine.connectors.wecom.settings import WeComSettings
from engine.org.demo import CAST
from engine.org.models import LoginSession, Person
from sandbox.wecom.server import Running
from tests.dsl import Bpm

TELEPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "wxwork/4.1.22 MicroMessenger/7.0.1 Language/zh"
)
DESK = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
NURSE = CAST["nurse"].staff_number


@dataclass
class Phone:
    """Somebody's browser: WeCom's own on a telephone, or a plain one (`agent`), and who they are in WeCom."""

    client: httpx.Client
    sandbox: Running
    member: str = NURSE
    agent: str = TELEPHONE
    wecom: WeCom = field(kw_only=True)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask for a page of ours."""
        return self.client.get(path, headers={"User-Agent": self.agent, **headers})

    def post(self, path: str, **data: str) -> httpx.Response:
        """Send a form of ours."""
        return self.client.post(path, data=data, headers={"User-Agent": self.agent})

    def to_wecom(self, path: str) -> str:
        """Ask for a page, and follow to the address at WeCom to which it leads."""
        answer = self.get(path)
        while answer.status_code == 303 and answer.headers["location"].startswith("/"):
            answer = self.get(answer.headers["location"])
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(self.sandbox.url)
        return answer.headers["location"]

    def back_from(self, url: str) -> str:
        """Be let through by WeCom; return the path and query to which it sends the browser back."""
        answer = httpx.get(f"{url.partition('#')[0]}&member={self.member}")
        assert answer.status_code == 302, answer.text
        back = urlsplit(answer.headers["location"])
        assert f"{back.scheme}://{back.netloc}" == "http://testserver"
        return f"{back.path}?{back.query}"

    def enter(self, path: str = "/box/todo") -> httpx.Response:
        """Ask for a page and go the whole way round; the answer to coming back."""
        return self.get(self.back_from(self.to_wecom(path)))


def connect(bpm: Bpm, stand_in: Running, **more: Any) -> WeCom:
    client = WeCom(WeComSettings(**{**stand_in.settings(), **more}))
    bpm.db.provide(client)
    return client


def another(phone: Phone, **more: Any) -> Phone:
    """Return a browser of somebody else, or another one of the same person."""
    own = httpx.Client(
        transport=phone.client._transport, base_url=phone.client.base_url, headers={"Accept-Encoding": "identity"}
    )
    return Phone(own, phone.sandbox, **{"wecom": phone.wecom, **more})


def sessions(bpm: Bpm) -> int:
    with bpm.db.reading() as session:
        return len(session.scalars(select(LoginSession)).all())


def trail(bpm: Bpm, *verbs: str) -> list[tuple[str, uuid.UUID | None, dict[str, Any]]]:
    with bpm.db.reading() as session:
        rows = session.scalars(select(ActionLog).where(ActionLog.verb.in_(verbs)).order_by(ActionLog.id)).all()
        assert audit.verify(session)[1] == []
        return [(row.verb, row.actor_id, orjson.loads(row.detail)) for row in rows]


def change(bpm: Bpm, who: str, **values: Any) -> None:
    with bpm.db.unit_of_work() as session:
        session.execute(update(Person).where(Person.id == bpm.person(who)).values(**values))


def refused(answer: httpx.Response, heading: str, status: int = 403) -> None:
    """The answer is a page that says why, and leads on by a button only."""
    assert answer.status_code == status, answer.text
    assert heading in answer.text
    assert 'href="/wecom/go' in answer.text
    assert "piyue=" not in str(answer.headers.get_list("set-cookie"))
