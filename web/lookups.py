"""Names for the ids in a form, as its viewer may know them."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from sqlalchemy.orm import Session

from engine import attachments
from engine.attachments import Attachment
from engine.bpm import visibility
from engine.bpm.forms import File
from engine.org import queries
from engine.org.actor import Actor
from engine.viewer import Viewer


class Names:
    """What a form needs to know of people, departments and attachments (`engine.bpm.forms.Lookups`)."""

    def __init__(self, session: Session, viewer: Actor) -> None:
        self._session, self._viewer = session, viewer

    def people(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return names of people by id."""
        found = queries.names(self._session, self._viewer, _uuids(ids))
        return {str(id_): name for id_, name in found.items()}

    def departments(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Return names of departments by id."""
        found = queries.department_names(self._session, self._viewer, _uuids(ids))
        return {str(id_): name for id_, name in found.items()}

    def files(self, ids: Sequence[str]) -> Mapping[str, File]:
        """Return the attachments that the viewer may open: staged ones of their own, those of instances they see."""
        return {str(file.id): File(file.name, file.size) for file in self.attachments(list(_uuids(ids)))}

    def attachments(self, ids: Sequence[uuid.UUID]) -> list[Attachment]:
        """Return the rows of those."""
        return attachments.describe(self._session, self._viewer, ids, may_see(self._viewer))

    def resolve(self, kind: Literal["person", "department"], text: str) -> str | None:
        """Return the id for what somebody typed, where exactly one fits: a staff number, a name, a department."""
        if kind == "person":
            people = queries.search_people(self._session, self._viewer, text, limit=queries.MAX_PAGE).people
            exact = [p.id for p in people if text in (p.staff_number, p.name)]
        else:
            exact = [d.id for d in queries.departments(self._session, self._viewer) if text in (d.name, d.code)]
        return str(exact[0]) if len(exact) == 1 else None


def may_see(actor: Actor) -> attachments.MaySee:
    """Return the question whether a person sees the instance that an attachment belongs to."""

    def ask(session: Session, _viewer: Viewer, instance_id: uuid.UUID) -> bool:
        return visibility.may_see(session, actor, instance_id)

    return ask


def _uuids(ids: Sequence[str]) -> Iterator[uuid.UUID]:
    for text in ids:
        try:
            yield uuid.UUID(text)
        except ValueError:
            continue
