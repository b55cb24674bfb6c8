"""Somebody's list of people, as every stand-in takes it."""

from typing import Protocol


class PersonRow(Protocol):
    """A person; `department` is a code, `label` their part in a story or empty."""

    @property
    def number(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def department(self) -> str: ...

    @property
    def mobile(self) -> str: ...

    @property
    def label(self) -> str: ...
