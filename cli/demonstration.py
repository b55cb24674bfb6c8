"""The demo hospital (演示): its data, and a stand-in for WeCom on whose phones the cards arrive."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import typer
from sqlalchemy import delete, select

from cli.processes import process_files
from engine import outbox
from engine.bpm import definitions
from engine.bpm.models import Instance, InstanceState
from engine.connectors.wecom import planning
from engine.connectors.wecom.contacts import syncing
from engine.connectors.wecom.models import WeComBoard, WeComChat, WeComDelivery
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.org import demo as hospital
from engine.settings import ROOT, Settings
from sandbox.wecom.corp import corp
from sandbox.wecom.server import Running, running

PROCESSES = ROOT / "processes"
_NAMED = (
    "nurse", "head_nurse", "office_clerk", "office_director", "hospital_director", "archivist", "designer",
    "process_admin", "system_admin",
)  # fmt: skip


def settings(host: str, port: int) -> Settings:
    """Return the settings of a demo that answers there, whatever the environment says of its mode."""
    found = Settings(mode="demo", embedded_worker=True, secure_cookie=False)
    return found if "base_url" in found.model_fields_set else found.model_copy(update={"base_url": address(host, port)})


def address(host: str, port: int) -> str:
    """Return the address at which somebody on this machine opens what listens there."""
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # nosec B104
    return f"http://{here}:{port}"


def load(database: Database) -> None:
    """Load the hospital and deploy its processes, where they aren't there yet."""
    with database.unit_of_work() as session:
        hospital.load_demo(session)
    for folder in sorted(p.parent for p in PROCESSES.glob("*/process.bpmn")):
        with database.unit_of_work() as session:
            definitions.deploy(session, None, process_files(folder), note="演示")


@dataclass(frozen=True, slots=True)
class Phones:
    """The phones of the demo; nothing where the environment connects it to a real corp."""

    stand_in: Running | None

    @property
    def url(self) -> str | None:
        """Where the phones are."""
        return None if self.stand_in is None else f"{self.stand_in.url}/phone"

    @property
    def settings(self) -> WeComSettings | None:
        """What connects the service to them."""
        return None if self.stand_in is None else WeComSettings.model_validate(self.stand_in.settings())

    def link(self, database: Database) -> None:
        """Give the hospital's people their accounts; phones that know nothing yet are told again what waits."""
        if self.stand_in is None:
            return
        syncing.sync(database, None, by="demo")
        with database.unit_of_work() as session:
            people = session.scalars(select(WeComBoard.person_id)).all()
            for told in (WeComDelivery, WeComChat, WeComBoard):
                session.execute(delete(told))
            for person_id in people:
                outbox.enqueue(session, "wecom", f"board:{person_id}", "board", {"person": str(person_id)})
            for instance_id in session.scalars(select(Instance.id).where(Instance.state == InstanceState.RUNNING)):
                planning.look(session, instance_id)

    @contextmanager
    def called_back(self, base_url: str, served: Callable[[], bool]) -> Iterator[None]:
        """Let the stand-in call the service once that answers: it checks the address first, as WeCom does."""
        stand_in, ended = self.stand_in, threading.Event()

        def connect() -> None:
            while stand_in is not None and not ended.is_set():
                if served():
                    stand_in.call(f"{base_url}/wecom/callback")
                    return
                time.sleep(0.05)

        threading.Thread(target=connect, name="callbacks", daemon=True).start()
        try:
            yield
        finally:
            ended.set()


@contextmanager
def phones(host: str, port: int) -> Iterator[Phones]:
    """Start the stand-in for WeCom on a port, or where that is taken on any other."""
    if WeComSettings().enabled:
        yield Phones(None)
        return
    state = corp(*hospital.roster())
    with ExitStack() as stack:
        try:
            stand_in = stack.enter_context(running(state, host=host, port=port))
        except OSError:
            stand_in = stack.enter_context(running(state, host=host))
        yield Phones(stand_in)


def welcome(url: str, phones_url: str | None) -> None:
    """Tell where the demo is and whom to be."""
    typer.echo(f"\n  批阅演示医院已启动：{url}\n  打开后从名单里选人登录，例如：")
    for key in _NAMED:
        member = hospital.CAST[key]
        typer.echo(f"    {member.name}（{member.label}）")
    if phones_url is not None:
        nurse, head = hospital.CAST["nurse"].staff_number, hospital.CAST["head_nurse"].staff_number
        typer.echo(f"  她们手机上的企业微信（沙箱）：{phones_url}?as={nurse}&and={head}")
    typer.echo("  按 Ctrl-C 停止。\n")
