"""What people read of the process engine. Every function takes the viewer, and shows them what is theirs to see."""

from engine.bpm.queries.actions import Actions, ReturnTarget
from engine.bpm.queries.activities import VERBS, Activity, activities
from engine.bpm.queries.boxes import (
    Board,
    Box,
    BoxRow,
    Counts,
    Handling,
    board,
    box_processes,
    counts,
    outcome_name,
    page,
    shown,
)
from engine.bpm.queries.catalogue import (
    VersionDiff,
    VersionRow,
    definition_versions,
    processes,
    start_page,
    startable,
    version_diff,
    version_files,
)
from engine.bpm.queries.detail import InstanceDetail, ItemDetail, instance_detail, may_open, work_item_detail
from engine.bpm.queries.diagrams import Diagram, diagram
from engine.bpm.queries.drafts import DraftView, draft
from engine.bpm.queries.handover import Leaver, LeftItem, leavers, left_items
from engine.bpm.queries.letters import (
    ChannelIncidentRow,
    Letter,
    Reason,
    backlog,
    channel_incidents,
    channel_stopped,
    channels,
    letters,
    reasons,
)
from engine.bpm.queries.own import own_open_item
from engine.bpm.queries.paging import Filters, Page
from engine.bpm.queries.search import FieldFilter, IncidentRow, InstanceRow, incidents, instances
from engine.bpm.queries.tables import DecisionFile, version_decisions
from engine.bpm.queries.trail import Timeline, timeline
from engine.bpm.queries.views import FormView

__all__ = [
    "VERBS",
    "Actions",
    "Activity",
    "Board",
    "Box",
    "BoxRow",
    "ChannelIncidentRow",
    "Counts",
    "DecisionFile",
    "Diagram",
    "DraftView",
    "FieldFilter",
    "Filters",
    "FormView",
    "Handling",
    "IncidentRow",
    "InstanceDetail",
    "InstanceRow",
    "ItemDetail",
    "Leaver",
    "LeftItem",
    "Letter",
    "Page",
    "Reason",
    "ReturnTarget",
    "Timeline",
    "VersionDiff",
    "VersionRow",
    "activities",
    "backlog",
    "board",
    "box_processes",
    "channel_incidents",
    "channel_stopped",
    "channels",
    "counts",
    "definition_versions",
    "diagram",
    "draft",
    "incidents",
    "instance_detail",
    "instances",
    "leavers",
    "left_items",
    "letters",
    "may_open",
    "outcome_name",
    "own_open_item",
    "page",
    "processes",
    "reasons",
    "shown",
    "start_page",
    "startable",
    "timeline",
    "version_decisions",
    "version_diff",
    "version_files",
    "work_item_detail",
]
