"""The engine: pure functions on SpiffWorkflow. State and data go in, a Change comes out.

`load` parses a version once; `start` and `advance` move an instance; `back_targets` tells where a step may return to.
No clock, no database, no Python from a diagram: conditions are FEEL, jobs name registered operations.
"""

from engine.bpm.runtime.definition import Definition, load
from engine.bpm.runtime.engine import advance, keep, start
from engine.bpm.runtime.questions import awaited, back_targets, catches, element_of, has_timer, open_job, scope
from engine.bpm.runtime.types import (
    Awaited,
    Change,
    Closed,
    Complete,
    Data,
    Deliver,
    Due,
    Event,
    Fire,
    GoBack,
    Job,
    JobDone,
    JobFailed,
    Jump,
    Opened,
    Ruling,
    RuntimeFault,
    TakeBack,
    Thrown,
    Unreachable,
    Wait,
)

__all__ = [
    "Awaited",
    "Change",
    "Closed",
    "Complete",
    "Data",
    "Definition",
    "Deliver",
    "Due",
    "Event",
    "Fire",
    "GoBack",
    "Job",
    "JobDone",
    "JobFailed",
    "Jump",
    "Opened",
    "Ruling",
    "RuntimeFault",
    "TakeBack",
    "Thrown",
    "Unreachable",
    "Wait",
    "advance",
    "awaited",
    "back_targets",
    "catches",
    "element_of",
    "has_timer",
    "keep",
    "load",
    "open_job",
    "scope",
    "start",
]
