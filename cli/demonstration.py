"""The demo hospital (演示): its data, and what stands in for the systems around it.

On the phones of a stand-in for WeCom the cards arrive; on the desks of a stand-in for an OA the same items are listed.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import typer
from sqlalchemy import delete, select

from cli.processes import process_files
from engine import outbox
from engine.bpm import definitions
from engine.bpm.models import Instance, InstanceState
from engine.connectors.oa import loading, sites
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.models import OAEntry, OAItem, OALoad, OAPoll
from engine.connectors.wecom import planning
from engine.connectors.wecom.contacts import syncing
from engine.connectors.wecom.models import WeComBoard, WeComChat, WeComDelivery
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database
from engine.org import demo as hospital
from engine.settings import ROOT, Settings
from sandbox.oa.server import Running as RunningOA
from sandbox.oa.server import running as running_oa
from sandbox.oa.state import State as OAState
from sandbox.wecom.corp import corp
from sandbox.wecom.server import Running, running

PROCESSES = ROOT / "processes"
_NAMED = (
    "nurse", "head_nurse", "office_clerk", "office_director", "hospital_director", "archivist", "designer",
    "process_admin", "system_admin",
)  # fmt: skip

_StandIn = TypeVar("_StandIn")
_OA, _OA_NAME, _OA_KIND = "ekp", "青澜办公", "landray.soap"
_OWN = (  # what waits in the OA itself: who, title, workflow, node, sender
    ("head_nurse", "科室月度绩效考核自评", "绩效考核", "科室填报", "人力资源部"),
    ("head_nurse", "儿科病区空调检修申请", "后勤报修", "科室确认", "后勤保障部"),
    ("nurse", "职工健康体检预约确认", "职工服务", "本人确认", "工会"),
    ("office_clerk", "行政会议室借用登记", "会议管理", "办公室登记", "总务科"),
    ("office_director", "信息系统等级保护测评费用报销", "费用报销", "部门审核", "信息科"),
    ("hospital_director", "年度设备购置预算表", "预算管理", "院长审批", "财务科"),
)


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
    with _beside(lambda at: running(state, host=host, port=at), port) as stand_in:
        yield Phones(stand_in)


@dataclass(frozen=True, slots=True)
class Desks:
    """The desks of the demo's OA; nothing where the environment connects it to its own."""

    stand_in: RunningOA | None

    @property
    def url(self) -> str | None:
        """Where the desks are."""
        return None if self.stand_in is None else f"{self.stand_in.url}/desk"

    @property
    def sites(self) -> list[Site] | None:
        """What connects the service to them."""
        if self.stand_in is None:
            return None
        model, _ = KINDS[_OA_KIND]
        more = {
            "code": _OA, "folder": ".", "name": _OA_NAME, "title": "{title}·{node}", "poll": True, "poll_minutes": 1,
            "per_minute": 6000,
        }  # fmt: skip
        return [model.model_validate(self.stand_in.site(_OA_KIND) | more)]

    def link(self, database: Database) -> None:
        """Load what waits: the OA knows nothing of the last time, so what was known of it there is forgotten."""
        connection = sites.connected(database).get(_OA)
        if self.stand_in is None or connection is None:
            return
        with database.unit_of_work() as session:
            for known in (OAItem, OALoad, OAEntry, OAPoll):
                session.execute(delete(known).where(known.site == _OA))
            loading.start(session, None, connection)
        for who, title, workflow, node, sender in _OWN:
            account = hospital.CAST[who].staff_number
            self.stand_in.state.landray.start_own(account, title, workflow=workflow, node=node, sender=sender)


@contextmanager
def desks(settings: Settings, host: str, port: int) -> Iterator[Desks]:
    """Start the stand-in for an OA on a port, or where that is taken on any other."""
    if sites.found(settings):
        yield Desks(None)
        return
    _, people = hospital.roster()
    state = OAState(people)
    with _beside(lambda at: running_oa(state, host=host, port=at), port) as stand_in:
        yield Desks(stand_in)


@contextmanager
def _beside(start: Callable[[int], AbstractContextManager[_StandIn]], port: int) -> Iterator[_StandIn]:
    with ExitStack() as stack:
        try:
            stand_in = stack.enter_context(start(port))
        except OSError:
            stand_in = stack.enter_context(start(0))
        yield stand_in


def welcome(url: str, phones_url: str | None, desks_url: str | None) -> None:
    """Tell where the demo is and whom to be."""
    typer.echo(f"\n  批阅演示医院已启动：{url}\n  打开后从名单里选人登录，例如：")
    for key in _NAMED:
        member = hospital.CAST[key]
        typer.echo(f"    {member.name}（{member.label}）")
    nurse, head = hospital.CAST["nurse"].staff_number, hospital.CAST["head_nurse"].staff_number
    if phones_url is not None:
        typer.echo(f"  她们手机上的企业微信（沙箱）：{phones_url}?as={nurse}&and={head}")
    if desks_url is not None:
        typer.echo(f"  护士长的旧 OA（沙箱）：{desks_url}?as={head}")
    typer.echo("  按 Ctrl-C 停止。\n")
