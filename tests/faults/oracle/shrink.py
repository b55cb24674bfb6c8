"""Make a failing process small: drop and unwrap blocks while it still fails."""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.faults.oracle.blocks import (
    Block,
    Boundary,
    Choice,
    Fork,
    Loop,
    Place,
    Race,
    Seq,
    Sub,
    Task,
    tasks,
    well_formed,
)


def shrink(body: Seq, fails: Callable[[Seq], bool], *, tries: int = 400) -> Seq:
    """Return a smaller well-formed process that still fails; `tries` bounds how often `fails` is asked."""
    while True:
        for smaller in smaller_sequences(body):
            if tries <= 0:
                return body
            if tasks(smaller) and well_formed(smaller, Place()):
                tries -= 1
                if fails(smaller):
                    body = smaller
                    break
        else:
            return body


def smaller_sequences(body: Seq) -> Iterator[Seq]:
    """Yield sequences one cut smaller, large cuts first; not all of them are well-formed."""
    for index in range(len(body)):
        yield body[:index] + body[index + 1 :]
    for index, block in enumerate(body):
        for seq in _instead(block):
            yield body[:index] + seq + body[index + 1 :]


def _instead(block: Block) -> Iterator[Seq]:
    """Yield what may stand in place of one block."""
    yield from _contents(block)
    match block:
        case Choice() | Fork():
            for index, branch in enumerate(block.branches):
                yield (replace(block, branches=block.branches[:index] + block.branches[index + 1 :]),)
                for seq in smaller_sequences(branch.body):
                    changed = replace(branch, body=seq)
                    yield (replace(block, branches=(*block.branches[:index], changed, *block.branches[index + 1 :])),)
        case Race():
            for index, (pause, body) in enumerate(block.branches):
                yield (replace(block, branches=block.branches[:index] + block.branches[index + 1 :]),)
                for seq in smaller_sequences(body):
                    ways = (*block.branches[:index], (pause, seq), *block.branches[index + 1 :])
                    yield (replace(block, branches=ways),)
        case Loop():
            for seq in smaller_sequences(block.back):
                yield (replace(block, back=seq),)
            for seq in smaller_sequences(block.body):
                yield (replace(block, body=seq),)
        case Sub():
            if block.many is not None:
                yield (replace(block, many=None),)
            for seq in smaller_sequences(block.body):
                yield (replace(block, body=seq),)
    if isinstance(block, Task | Sub):
        for boundaries in _fewer(block.boundaries):
            yield (replace(block, boundaries=boundaries),)


def _contents(block: Block) -> Iterator[Seq]:
    match block:
        case Choice() | Fork():
            for branch in block.branches:
                yield branch.body
        case Race():
            for pause, body in block.branches:
                yield (pause, *body)
        case Loop():
            yield block.body
        case Sub():
            yield block.body


def _fewer(boundaries: tuple[Boundary, ...]) -> Iterator[tuple[Boundary, ...]]:
    for index, boundary in enumerate(boundaries):
        yield boundaries[:index] + boundaries[index + 1 :]
        for seq in smaller_sequences(boundary.path):
            yield (*boundaries[:index], replace(boundary, path=seq), *boundaries[index + 1 :])
