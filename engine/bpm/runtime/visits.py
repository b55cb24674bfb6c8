"""Which finished visits stay in the tree, and what a return leaves of them.

A step's visits on one serial way are kept as one: the latest, which knows the first one and the one before it. A return
to a visit forgets what was passed for the first time after it; of what was passed before already, the older visits come
back, as one again. So a step that was passed stays in reach however often a loop was gone round, and the tree holds no
more visits than the way has steps.

Ids count up, so they tell what was visited before what. Of visits that came back only the first is known for certain;
`last` is the latest that the others can have been, and exact for those of two rounds. So what may be returned to is
never less than what was passed before the target.
"""

from typing import Any, NamedTuple

from engine.bpm.runtime import specs
from engine.bpm.runtime.tree import COMPLETED, Token, ancestors, move, splice, subtree
from engine.bpm.runtime.types import Data


def is_target(node: Token) -> bool:
    """Whether a visit, or something inside it, may be returned to."""
    return isinstance(node.task_spec, specs.UserTask) or "passed" in node.internal_data


def keeps(node: Token) -> bool:
    """Whether a finished visit with a single child must stay: targets of a return, and the hold of an open activity."""
    return is_target(node) or (
        isinstance(node.task_spec, specs.BoundarySplit)
        and any(c.is_open and c.task_spec.name == node.task_spec.main for c in node.children)
    )


def first(node: Token) -> int:
    """Return the id of the first visit that this one stands for."""
    return int(node.internal_data.get("first", node.id))


def last(node: Token) -> int:
    """Return the id of the last visit that this one stands for, or of the latest that it can have been."""
    return int(node.internal_data.get("last", node.id))


def passed_inside(ended: Token) -> list[list[int | str]]:
    """Return what a token passed inside a sub-process that it ends: [spec, visit, first visit], the nearest first."""
    return [[n.task_spec.name, n.id, first(n)] for n in ancestors(ended) if isinstance(n.task_spec, specs.UserTask)]


def take_over(token: Token) -> None:
    """Let the latest visits on the way to a finished one stand for the older ones of their steps.

    Above a node with branches another way begins: what was passed there belongs to the other branches too.
    """
    latest: dict[str, Token] = {}
    for node in [token, *ancestors(token)]:
        if len(node._children) > 1:
            latest = {}
        if not is_target(node):
            continue
        newer = latest.setdefault(node.task_spec.name, node)
        if newer is node:
            continue
        known, inner = {name: begin for name, _, begin in node.internal_data.get("passed", ())}, newer.internal_data
        older: Data = {"first": first(node), "prior": inner.get("prior", inner.get("last", last(node)))}
        if "passed" in inner:
            older["passed"] = [[name, visit, known.get(name, begin)] for name, visit, begin in inner["passed"]]
        newer.internal_data = {**inner, **older}
        splice(node)


class Earlier(NamedTuple):
    """A visit from before a moment, to be put back into the tree."""

    spec: Any
    id: int
    data: Data
    internal_data: Data


def earlier(unit: Token, moment: int) -> list[Earlier]:
    """Return what was passed at and below a node, but before a moment already, from the top down.

    There is none in branches: a visit stands for older ones only along a way without any.
    """
    found = []
    for node in subtree(unit):
        if node._state == COMPLETED and is_target(node) and first(node) < moment:
            until = min(node.internal_data.get("prior", last(node)), moment - 1)
            inner: Data = {"acted": 1, "last": until}  # acted: never taken back
            if inside := [entry for entry in node.internal_data.get("passed", ()) if entry[2] < moment]:
                inner["passed"] = inside
            found.append(Earlier(node.task_spec, first(node), node.data, inner))
    return found


def come_back(visits: list[Earlier], token: Token, moment: int) -> None:
    """Put visits from before a moment back into the way to a token, above what was repeated since."""
    for node in ancestors(token):
        if last(node) >= moment:
            node.internal_data = {**node.internal_data, "last": moment - 1}
    for visit in reversed(visits):
        below, above = token, token.parent
        while above._parent is not None and len(above._children) == 1 and last(above) > visit.id:
            below, above = above, above.parent
        back = Token(token.workflow, visit.spec, above, COMPLETED, visit.id)
        back.data, back.internal_data = visit.data, visit.internal_data
        move(below, back)
