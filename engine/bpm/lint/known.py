"""What exists outside the files of a process: the organisation, operations, deployed processes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.bpm.extensions import Assign


@dataclass(frozen=True, slots=True)
class Known:
    """What exists outside the files (已有的编码); None where that isn't known and nothing is checked.

    `roles`, `posts` and `departments` hold codes (posts: names), `persons` staff numbers, `operations` names of
    registered operations, `processes` keys of deployed processes; `vacancies` says of an assignment rule in which
    roles, posts and departments it finds nobody today.
    """

    operations: frozenset[str] | None = None
    roles: frozenset[str] | None = None
    posts: frozenset[str] | None = None
    departments: frozenset[str] | None = None
    persons: frozenset[str] | None = None
    processes: frozenset[str] | None = None
    vacancies: Callable[[Assign], Iterable[str]] = lambda _: ()
