"""What the linter lets pass never gets stuck in the engine, and what it calls stuck does: random diagrams."""

from collections import Counter
from datetime import UTC, datetime
from random import Random

from engine.bpm import runtime
from engine.bpm.lint.diagram import Diagram
from engine.bpm.lint.finding import Report, Reporter
from engine.bpm.lint.structure import check_loops, check_structure
from engine.xml import parse
from tests.engine.bpm.lint.diagrams import element, end, flow, process, start, user

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GATEWAYS = ("exclusiveGateway", "parallelGateway", "inclusiveGateway")
SEEDS = 3_000
STEPS = 60


def diagram(random: Random) -> str:
    """Up to nine nodes with flows mostly forward, often nonsense; each flow with a condition has a field of its own."""
    kinds = [random.choice(("user", "user", *GATEWAYS)) for _ in range(random.randint(4, 9))]
    ids = [f"n{i}" for i in range(len(kinds))]
    parts = [start(), end(), flow("start", ids[0])]
    for i, (id_, kind) in enumerate(zip(ids, kinds, strict=True)):
        near = [*ids[i + 1 : i + 4], "end"]
        targets = near if random.random() < 0.6 else [other for other in (*ids, "end") if other != id_]
        outgoing = random.sample(targets, min(len(targets), 1 if kind == "user" else random.choice((1, 2, 2))))
        chooses = kind in (GATEWAYS[0], GATEWAYS[2]) and len(outgoing) > 1
        attributes = {"default": f"{id_}-{outgoing[-1]}"} if chooses else {}
        parts.append(user(id_) if kind == "user" else element(kind, id_, **attributes))
        parts += [flow(id_, t, f"{id_}_{t} > 1" if chooses and t != outgoing[-1] else None) for t in outgoing]
    return process(*parts)


def faults(content: str) -> set[str]:
    """Codes of the errors in the structure."""
    report = Report()
    reporter = Reporter("process.bpmn", report)
    scope = Diagram("process.bpmn", parse(content, "process.bpmn")).processes[0]
    check_structure(scope, reporter)
    check_loops(scope, reporter)
    return {finding.code for finding in report.findings if finding.severity == "error"}


def gets_stuck(content: str, random: Random) -> bool:
    """Play the process once, with random answers: does it end up with nothing open and not finished?"""
    fields = [line.split(" ")[0].partition(">")[2] for line in content.splitlines() if "conditionExpression>" in line]
    definition = runtime.load({"process.bpmn": content})

    def answers() -> dict[str, int]:
        return {field: random.randint(0, 3) for field in fields}

    change = runtime.start(definition, answers(), now=NOW)
    open_ = {task.task_id for task in change.opened}
    for _ in range(STEPS):
        if change.finished or not open_:
            return not change.finished
        event = runtime.Complete(random.choice(sorted(open_)), "approve", answers())
        change = runtime.advance(definition, change.state, change.data, event, now=NOW)
        open_ -= {task.task_id for task in change.closed}
        open_ |= {task.task_id for task in change.opened}
    return False  # going round


def test_stuck_means_stuck() -> None:
    played: Counter[tuple[bool, bool]] = Counter()
    for seed in range(SEEDS):
        random = Random(seed)
        content = diagram(random)
        found = faults(content)
        if found <= {"join_stuck"}:
            flagged = bool(found)
            stuck = any(gets_stuck(content, random) for _ in range(100 if flagged else 5))
            assert stuck == flagged, f"seed {seed}"
            played[flagged, stuck] += 1
    assert played[False, False] > 50
    assert played[True, True] > 20
