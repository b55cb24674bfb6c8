"""Who may use the application: the visible scope (可见范围) that an administrator has set in WeCom's console.

An entry's code names a member even where the application isn't meant for them (document 91023), so it is asked here.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.connectors.wecom.client.answers import App, Department, Member, Tagged
from engine.connectors.wecom.client.errors import NoRecipient, Unknown

KEPT = 600.0
"""Seconds for which the scope is believed."""


@dataclass(frozen=True, slots=True)
class _Scope:
    userids: frozenset[str]
    departments: frozenset[int]
    parents: dict[int, int]
    until: float


class Visibility:
    """The scope, read when it is first asked for and again when it is 10 minutes old."""

    def __init__(
        self,
        app: Callable[[], App],
        tagged: Callable[[int], Tagged],
        departments: Callable[[], list[Department]],
        member: Callable[[str], Member],
    ) -> None:
        self._app, self._tagged, self._departments, self._member = app, tagged, departments, member
        self._scope: _Scope | None = None

    def __call__(self, userid: str) -> bool:
        """Return whether a member is in the scope, by name, by tag or by one of their departments."""
        scope = self._scope
        if scope is None or scope.until <= time.monotonic():  # some may read it at once; none waits for another
            scope = self._scope = self._read()
        if userid.lower() in scope.userids:
            return True
        if not scope.departments:
            return False
        try:
            theirs = self._member(userid).departments
        except (Unknown, NoRecipient):
            return False
        return not scope.departments.isdisjoint(_with_parents(theirs, scope.parents))

    def _read(self) -> _Scope:
        app = self._app()
        userids, departments = set(app.userids), set(app.departments)
        for tag in app.tags:
            tagged = self._tagged(tag)
            userids |= {userid.lower() for userid in tagged.userids}
            departments |= tagged.departments
        parents = {found.id: found.parent_id for found in self._departments()} if departments else {}
        return _Scope(frozenset(userids), frozenset(departments), parents, time.monotonic() + KEPT)


def _with_parents(departments: Iterable[int], parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    for department in departments:
        above: int | None = department
        while above is not None and above not in found:
            found.add(above)
            above = parents.get(above)
    return found
