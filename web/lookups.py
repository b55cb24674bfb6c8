"""Names for the ids in a form, as its viewer may know them."""

import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from sqlalchemy.orm import Session

from engine import attachments
from engine.attachments import Attachment
from engine.bpm.forms import File
from engine.org import queries
from engine.org.actor import Actor


class Names:
    """What a form needs to know of people, departments and attachments (`engine.bpm.forms.Lookups`)."""

    def __init__(self, session: Session, viewer: Actor, shown: Collection[uuid.UUID] = ()) -> None:
        """`shown` are the attachments that the fields show which the viewer sees."""
        self._session, self._viewer, self._shown = session, viewer, shown

    def people(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return names of people by id."""
        found = queries.names(self._session, self._viewer, _uuids(ids))
        return {str(id_): name for id_, name in found.items()}

    def departments(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return names of departments by id."""
        found = queries.department_names(self._session, self._viewer, _uuids(ids))
        return {str(id_): name for id_, name in found.items()}

    def files(self, ids: Sequence[str]) -> Mapping[str, File]:
        """Return the attachments that the viewer may open: staged ones of their own, and those that are shown."""
        return {str(file.id): File(file.name, file.size) for file in self.attachments(list(_uuids(ids)))}

    def attachments(self, ids: Sequence[uuid.UUID]) -> list[Attachment]:
        """Return the rows of those."""
        return attachments.describe(self._session, self._viewer, ids, self._shown)

    def resolve(self, kind: Literal["person", "department"], text: str) -> str | None:
        """Return the id for what somebody typed, where exactly one fits: a staff number, a name, a department."""
        if kind == "person":
            people = queries.search_people(self._session, self._viewer, text, limit=queries.MAX_PAGE).people
            exact = [p.id for p in people if text in (p.staff_number, p.name)]
        else:
            exact = [d.id for d in queries.departments(self._session, self._viewer) if text in (d.name, d.code)]
        return str(exact[0]) if len(exact) == 1 else None


def _uuids(ids: Sequence[str]) -> Iterator[uuid.UUID]:
    for text in ids:
        try:
            yield uuid.UUID(text)
        except ValueError:
            continue
