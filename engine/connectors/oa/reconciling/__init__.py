"""Reconciliation (对账): what our rows say, what we believe an OA shows, and what it does show, compared and mended."""

from engine.connectors.oa.reconciling.nightly import nightly, purge
from engine.connectors.oa.reconciling.reports import KINDS, RESULTS, SIDES, Difference, Report, checks, latest, report
from engine.connectors.oa.reconciling.running import (
    CHECK,
    COMMAND,
    DONE,
    FAILED,
    NIGHTLY,
    PERSON,
    RUNNING,
    declare,
    start,
)

__all__ = [
    "CHECK",
    "COMMAND",
    "DONE",
    "FAILED",
    "KINDS",
    "NIGHTLY",
    "PERSON",
    "RESULTS",
    "RUNNING",
    "SIDES",
    "Difference",
    "Report",
    "checks",
    "declare",
    "latest",
    "nightly",
    "purge",
    "report",
    "start",
]
