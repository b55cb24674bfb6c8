"""Registered operations (登记的操作): what a service or script task of a diagram may do, by name.

An operation runs as a job in the transaction that moves the instance on: what it writes to the database happens exactly
once. It gets the evaluated inputs and returns plain values that the task's outputs read as `result`.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Context:
    """What an operation knows of its instance; `key` is the same at every attempt."""

    instance_id: uuid.UUID
    process_key: str
    title: str
    initiator_id: uuid.UUID
    department_id: uuid.UUID
    step: str
    key: str
    now: datetime
    data: Mapping[str, Any]


class OperationError(Exception):
    """A refusal with a BPMN error code, which a boundary error event of the task may catch."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


Operation = Callable[[Session, Context, Mapping[str, Any]], Mapping[str, Any]]

_operations: dict[str, Operation] = {}


def operation(name: str) -> Callable[[Operation], Operation]:
    """Register an operation under its name, e.g. `documents.number`."""

    def register(function: Operation) -> Operation:
        if _operations.setdefault(name, function) is not function:
            raise ValueError(f"operation {name} is registered twice")
        return function

    return register


def find(name: str) -> Operation | None:
    """Return the operation of that name."""
    return _operations.get(name)


def operation_names() -> list[str]:
    """Return the registered names."""
    return sorted(_operations)
