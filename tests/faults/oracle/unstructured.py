"""Small processes that are no blocks: splits and joins that don't match."""

from tests.faults.oracle.conditions import Compare
from tests.faults.oracle.net import Kind, Scope

_AND, _XOR, _OR = Kind.AND, Kind.XOR, Kind.OR

SURPLUS = Scope.of(
    {"Split": _AND, "Merge": _XOR, "Join": _AND},
    "S-Split Split-T1 Split-T2 Split-T3 T1-Merge T2-Merge Merge-Join T3-Join Join-T4 T4-E",
)
"""Two tokens come to one side of a parallel join: it fires once, and one token stays for ever (13.4.1)."""

EITHER_FLOW = Scope.of(
    {"Split": _AND, "Which": _XOR, "Merge": _XOR, "Join": _OR},
    "S-Split Split-T1 Split-T2 T1-Merge Merge-Join T2-Which Which-Merge Which-Join Join-T3 T3-E",
)
"""The token at T2 can reach the filled flow of the inclusive join as well as the empty one: no waiting (13.4.3)."""
EITHER_FLOW.flows["Which-Merge"].condition = Compare("amount", ">", 5)
EITHER_FLOW.flows["Which-Join"].default = True

TWICE = Scope.of({"Split": _AND}, "S-Split Split-T1 Split-T2 T1-T3 T2-T3 T3-E")
"""Two tokens run into a task without a join: it opens twice (13.3.2)."""

TWICE_BY_XOR = Scope.of({"Split": _AND, "Merge": _XOR}, "S-Split Split-T1 Split-T2 T1-Merge T2-Merge Merge-T3 T3-E")
"""The same through an exclusive merge (13.4.2)."""

CROSSED = Scope.of(
    {"Split": _AND, "Both": _AND, "J1": _AND, "J2": _AND, "J3": _AND},
    "S-Split Split-T1 Split-T2 Split-T3 T1-J1 T2-Both Both-J1 Both-J2 T3-J2 J1-T4 J2-T5 T4-J3 T5-J3 J3-T6 T6-E",
)
"""Parallel joins that share a branch."""

OR_BEHIND_AND = Scope.of(
    {"Split": _AND, "Join": _OR}, "S-Split Split-T1 Split-T2 Split-T3 T1-Join T2-Join T3-Join Join-T4 T4-E"
)
"""An inclusive join behind a parallel split waits for all."""

TWO_ORS = Scope.of(
    {"Split": _AND, "J1": _OR, "J2": _OR},
    "S-Split Split-T1 Split-T2 Split-T3 T1-J1 T2-J1 J1-T4 T4-J2 T3-J2 J2-T5 T5-E",
)
"""An inclusive join behind another one: the second waits for a token that waits at the first."""

MISMATCH = Scope.of({"Which": _XOR, "Join": _AND}, "S-Which Which-T1 Which-T2 T1-Join T2-Join Join-T3 T3-E")
"""An exclusive split before a parallel join: stuck, and not ended."""
MISMATCH.flows["Which-T1"].condition = Compare("amount", ">", 5)
MISMATCH.flows["Which-T2"].default = True

UNSTRUCTURED = {
    "surplus": SURPLUS,
    "either flow": EITHER_FLOW,
    "twice": TWICE,
    "twice by xor": TWICE_BY_XOR,
    "crossed": CROSSED,
    "or behind and": OR_BEHIND_AND,
    "two ors": TWO_ORS,
    "mismatch": MISMATCH,
}
