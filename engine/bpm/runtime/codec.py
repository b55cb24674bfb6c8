"""The state of an instance as bytes: only tokens, parents first; zstd over JSON, about half a kilobyte.

Layout: one format byte, then zstd of `[last id, [[holder, spec, local, last data, passed, tokens] …]]`, the top
process first (holder 0); a token is `[id, parent, spec, state, data, internal data]`. The top process's data is not in
it: it is a column of its own.
"""

import threading
from datetime import datetime
from typing import Any

import orjson
import zstandard

from engine.bpm.runtime.flow import Flow, SubFlow
from engine.bpm.runtime.tree import Token
from engine.bpm.runtime.types import Data
from engine.errors import Conflict

_FORMAT = b"\x01"


class _Packer(threading.local):
    """Each thread's own contexts: making one takes three times as long as using it, and none may be shared."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdCompressor(level=1)
        self.dzstd = zstandard.ZstdDecompressor()


_packer = _Packer()


def encode(flow: Flow) -> bytes:
    """Write a flow whose agenda is empty."""
    parts = []
    workflows: list[tuple[int, Any]] = [(0, flow), *flow.subprocesses.items()]
    for holder, workflow in workflows:
        rows = []
        order = list(workflow.task_tree._children)
        for token_id in order:  # grows while it is walked: parents come before their children
            token = workflow.tasks[token_id]
            order.extend(token._children)
            rows.append(
                [token_id, token._parent, token.task_spec.name, token._state, token.data or 0, token.internal_data or 0]
            )
        local = None if workflow is flow else workflow.local
        passed = None if workflow is flow else workflow.passed
        parts.append([holder, workflow.spec.name, local, workflow.last_data, passed, rows])
    return _FORMAT + _packer.zstd.compress(orjson.dumps([flow.last_id, parts]))


class Unreadable(Conflict):
    """The saved state is of another release's format, or it is damaged."""

    code = "state_unreadable"


def decode(definition: Any, state: bytes, data: Data, now: datetime) -> Flow:
    """Read a flow back; the definition is the version that wrote it. Raises Unreadable."""
    if state[:1] != _FORMAT:
        raise Unreadable(
            f"这件事的流程状态是另一版本的格式（{state[:1].hex() or '空'}），本版本读不了。"
            "请流程管理员联系运维，用写下它的版本打开"
        )
    try:
        last_id, parts = orjson.loads(_packer.dzstd.decompress(state[1:], max_output_size=1 << 26))
    except (zstandard.ZstdError, orjson.JSONDecodeError) as error:
        raise Unreadable("这件事的流程状态已损坏，读不出来。请流程管理员联系运维，从备份恢复") from error
    flow = Flow(definition, data, now)
    flow.last_id = last_id
    for holder, name, local, last_data, passed, rows in parts:
        if holder:
            workflow = SubFlow(flow.subprocess_specs[name], holder, flow, local)
            workflow.passed = passed
            flow.subprocesses[holder] = workflow
        else:
            workflow = flow
        workflow.last_data = last_data
        task_specs, tasks = workflow.spec.task_specs, workflow.tasks
        for token_id, parent, spec, token_state, token_data, internal in rows:
            token = Token(workflow, task_specs[spec], tasks[parent], token_state, token_id)
            token.data = token_data or {}
            token.internal_data = internal or {}
    return flow
