"""Decisions (决策): DMN files of a process's folder, evaluated with FEEL.

`load` and `read` (`loading`) give a file's `Decisions`; `document` reads the XML into `model`, `boxed` and `tables`
turn logic into FEEL's syntax trees (`reading` is what they share), `items` are the declared types, `hit_policies`
run the tables, `evaluation` walks the requirements graph.
"""

from engine.bpm.decisions.evaluation import Decided, Decisions
from engine.bpm.decisions.hit_policies import AGGREGATIONS, HIT_POLICIES, Hit
from engine.bpm.decisions.loading import MAX_LENGTH, load, read
from engine.bpm.decisions.model import Problem
from engine.bpm.decisions.reading import Text
from engine.bpm.decisions.tables import Table

__all__ = [
    "AGGREGATIONS", "HIT_POLICIES", "MAX_LENGTH",
    "Decided", "Decisions", "Hit", "Problem", "Table", "Text", "load", "read",
]  # fmt: skip
