"""The tree of tokens: SpiffWorkflow's tasks, kept no larger than what is open.

A finished visit stays only where it is needed later: visits of user tasks (the latest of each on a branch) are the
targets of a return, splits hold their branches together. A join moves its token up to the lowest common ancestor of the
branches it merged, so the ancestors of a token are exactly the steps that are serially reachable from it.
"""

from collections.abc import Iterator
from typing import Any

from SpiffWorkflow.task import Task
from SpiffWorkflow.util.task import TaskState

OPEN = TaskState.NOT_FINISHED_MASK
WAITING, READY, STARTED, COMPLETED = TaskState.WAITING, TaskState.READY, TaskState.STARTED, TaskState.COMPLETED


class Token(Task):  # type: ignore[misc]
    """One visit of an element; ids are small numbers, counted per instance."""

    def __init__(self, workflow: Any, spec: Any, parent: "Token | None", state: int, token_id: int) -> None:
        # the base class would draw a UUID and read the clock; nothing here uses either
        self.id: int = token_id
        self.workflow = workflow
        self.task_spec = spec
        self._parent: int | None = None if parent is None else parent.id
        self._children: list[int] = []
        self._state = state
        self.triggered = False
        self.thread_id = 0
        self.last_state_change = 0.0
        self.data: dict[str, Any] = {}  # travels with the token; never changed in place
        self.internal_data: dict[str, Any] = {}
        workflow.tasks[token_id] = self
        if parent is not None:
            parent._children.append(token_id)

    def _set_state(self, value: int) -> None:
        self._state = value

    @property
    def is_open(self) -> bool:
        """Whether the visit is not finished."""
        return bool(self._state & OPEN)


def ancestors(token: Token) -> Iterator[Token]:
    """Yield the token's ancestors within its own (sub-)workflow, nearest first, the root left out."""
    node = token.parent
    while node is not None and node._parent is not None:
        yield node
        node = node.parent


def move(token: Token, parent: Token) -> None:
    """Hang the token below another parent of the same workflow."""
    token.parent._children.remove(token.id)
    token._parent = parent.id
    parent._children.append(token.id)


def splice(token: Token) -> None:
    """Take a finished visit out of the tree; its children go to its parent, in its place."""
    parent = token.parent
    at = parent._children.index(token.id)
    for child in token._children:
        token.workflow.tasks[child]._parent = parent.id
    parent._children[at : at + 1] = token._children
    del token.workflow.tasks[token.id]


def tidy(node: Token, keeps: Any) -> None:
    """From a finished node upwards: drop what has no children, splice what has one and isn't kept (`keeps(node)`).

    A node that has left the tree meanwhile is passed over.
    """
    while node._parent is not None and not node.is_open and node.workflow.tasks.get(node.id) is node:
        parent = node.parent
        if not node._children or (len(node._children) == 1 and not keeps(node)):
            splice(node)
        else:
            return
        node = parent


def common_ancestor(tokens: list[Token]) -> Token:
    """Return the lowest node above all the tokens (the root at the latest)."""
    first = tokens[0]
    lines = [{node.id for node in ancestors(token)} for token in tokens[1:]]
    for node in ancestors(first):
        if all(node.id in line for line in lines):
            return node
    root: Token = first.workflow.task_tree
    return root


def subtree(token: Token) -> list[Token]:
    """Return the token and everything below it in its own workflow."""
    found, stack = [], [token]
    while stack:
        node = stack.pop()
        found.append(node)
        stack.extend(node.workflow.tasks[c] for c in node._children)
    return found
