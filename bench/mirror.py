"""What an OA's mirror takes: `piyue worker`, a durable PostgreSQL, and the stand-in for Landray's OA behind its SOAP.

`mirror.items_per_s`: 2,400 items that wait to be shown, of 600 instances with four candidates each, from the first
`sendTodo` that the stand-in has taken to the last, over one worker; then the same items are withdrawn, and
`mirror.closed_per_s` is the rate at which they go.

`mirror.cpu_ms_per_item`: the worker process's CPU time over the items of the first part.

Worker, stand-in, PostgreSQL and nothing else share the machine's cores; so the figures are lower bounds.
"""

import os
import tempfile
import uuid
from contextlib import ExitStack
from pathlib import Path

from bench._hospital import Hospital, hospital, report
from bench._programs import program, until
from engine import outbox
from engine.bpm import commands
from engine.connectors import oa
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.sites import PURPOSE, encrypted
from engine.crypto import Keys
from engine.settings import Settings
from sandbox.oa.server import Running
from sandbox.oa.state import State
from sandbox.remote import Remote
from sandbox.toml import written
from tests import services
from tests.dsl import bpmn, chain, start_task, task

INSTANCES, CANDIDATES = 600, ("head_nurse", "pediatrics_head", "archivist", "office_clerk")
SECRET = "a secret of the benches, long enough"
CODE = "ekp"

ANYBODY = bpmn(
    f'<startEvent id="s"/><endEvent id="e"/>{start_task()}{task("review", *CANDIDATES)}'
    + chain("s", "apply", "review", "e"),
    key="anybody",
)


def inside(at: Hospital) -> None:
    """Do what is done inside the database: the worker that is measured finds the pushes alone."""
    while rows := outbox.lease(at.db, "bench", 200, outbox.INSIDE):
        for row in rows:
            outbox.run(at.db, row)


def cpu(pid: int) -> float:
    """Return the seconds of CPU that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """A hospital beside the stand-in's OA, and a worker that is started when something waits."""

    def __init__(self, at: Hospital, stand_in: Remote, folder: Path) -> None:
        self.at, self.stand_in, self.folder = at, stand_in, folder
        self.environment = {
            "PIYUE_DATABASE_URL": at.url,
            "PIYUE_SECRET_KEY": SECRET,
            "PIYUE_VAR": str(folder / "var"),
            "PIYUE_OA_FOLDER": str(folder / "oa"),
        }
        given = Running(stand_in.url, State(), stand_in).site("landray.soap") | {"per_minute": 60_000}
        del given["sign_on"]
        key = Keys(SECRET.encode()).key(PURPOSE)
        filed = given | {"password": encrypted(key, CODE, given["password"])}
        site = folder / "oa" / CODE
        site.mkdir(parents=True)
        (site / "site.toml").write_text(written(filed), "utf-8")
        model, _ = KINDS["landray.soap"]
        oa.install(at.db, Settings(), [model.model_validate({**given, "code": CODE, "folder": site})])
        at.deploy_files(ANYBODY)
        self.instances: list[uuid.UUID] = []

    def open(self) -> None:
        """Start the instances."""
        nurse = self.at.actor("nurse")
        self.instances = [self.at.start(nurse, "anybody", {}) for _ in range(INSTANCES)]
        inside(self.at)

    def close(self) -> None:
        """Withdraw them all."""
        nurse = self.at.actor("nurse")
        for instance_id in self.instances:
            with self.at.db.unit_of_work() as session:
                commands.withdraw(session, nurse, instance_id, reason="不办了")
        inside(self.at)

    def pushed(self, operation: str, count: int) -> tuple[float, float]:
        """Let a worker push what waits; return the seconds from the first request to the last, and its CPU seconds."""
        with program("worker", environment=self.environment, errors=self.folder / "worker") as pid:
            asked = {"oa": "landray"}
            until("the pushes", lambda: self.stand_in.statistics(**asked).get(operation, 0) >= count)
            used = cpu(pid)
        moments = self.stand_in.moments(**asked, operation=operation)
        return max(moments) - min(moments), used


def main() -> None:
    """Measure and print the figures."""
    items = INSTANCES * len(CANDIDATES)
    with ExitStack() as stack:
        at = stack.enter_context(hospital())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = services.free_port()
        stand_in = Remote(f"http://127.0.0.1:{port}")
        command = ("sandbox", "oa", "--port", str(port))
        stack.enter_context(program(*command, environment={}, errors=folder / "sandbox"))
        until("the stand-in", lambda: stand_in.statistics(oa="landray") is not None)
        bench = Bench(at, stand_in, folder)
        bench.open()
        at.settle()
        seconds, used = bench.pushed("sendTodo", items)
        bench.close()
        at.settle()
        closing, _ = bench.pushed("deleteTodo", items)
        report("mirror.closed_per_s", items / closing, "per second")
        report("mirror.cpu_ms_per_item", used / items * 1000, "ms")
        report("mirror.items_per_s", items / seconds, "per second")


if __name__ == "__main__":
    main()
