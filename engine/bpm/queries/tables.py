"""The decisions of a version as designers read them (决策表): rows of texts, as the file has them."""

import uuid
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.bpm import definitions
from engine.bpm.decisions import AGGREGATIONS, HIT_POLICIES, Table
from engine.bpm.queries.catalogue import require_designer
from engine.org.actor import Actor


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule by its number: the cells in the order of the columns, and its author's note."""

    number: int
    cells: tuple[str, ...]
    note: str


@dataclass(frozen=True, slots=True)
class TableView:
    """A decision table; `policy` is its hit policy in words, `inputs` and `outputs` are the columns' heads."""

    decision: str
    policy: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    rules: tuple[RuleRow, ...]


@dataclass(frozen=True, slots=True)
class DecisionFile:
    """A decision file of a version: the names of its decisions, and their tables."""

    path: str
    names: tuple[str, ...]
    tables: tuple[TableView, ...]


def version_decisions(session: Session, viewer: Actor, version_id: uuid.UUID) -> list[DecisionFile]:
    """Return the decision files of a version by path. Raises Forbidden as `processes`, NotFound."""
    require_designer(viewer)
    found = definitions.version(session, version_id).definition.decisions
    return [DecisionFile(path, read.names, tuple(map(_view, read.tables))) for path, read in sorted(found.items())]


def _view(table: Table) -> TableView:
    policy = HIT_POLICIES[table.policy] + (f"，{AGGREGATIONS[table.aggregation]}" if table.aggregation else "")
    rules = tuple(RuleRow(number, rule.texts, rule.note) for number, rule in enumerate(table.rules, 1))
    outputs = tuple(column.label or table.decision for column in table.outputs)
    return TableView(table.decision, policy, tuple(column.label for column in table.inputs), outputs, rules)
