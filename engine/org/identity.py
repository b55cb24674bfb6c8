"""Who is asking: a person with roles and departments, as the directory knows them.

Roles for one department only (role_member.department_id) say who handles that department's steps; they give the holder
no rights of their own, so they are no part of an Actor.
"""

import uuid

from sqlalchemy.orm import Session

from engine.errors import NotFound
from engine.org.actor import Actor
from engine.org.directory import Directory, directory


def actor_of(
    found: Directory, person_id: uuid.UUID, scopes: frozenset[str] | None = None, token_id: uuid.UUID | None = None
) -> Actor | None:
    """Return an active person as an actor; None for anybody else.

    A service token narrows it to its `scopes`, and acts as a system account only; these act by no other way.
    """
    person = found.people.get(person_id)
    if person is None or person.disabled or person.system != (token_id is not None):
        return None
    return Actor(
        person_id=person_id,
        name=person.name,
        department_id=person.department_id,
        department_name=found.departments[person.department_id].name,
        roles=found.held_roles.get(person_id, frozenset()),
        departments=frozenset(
            above.id for place in found.places[person_id] for above in found.paths[place.department_id]
        ),
        scopes=scopes,
        token_id=token_id,
    )


def actor_for(session: Session, person_id: uuid.UUID) -> Actor:
    """Return a person as an actor. Raises NotFound where there is no such person or the person is disabled."""
    actor = actor_of(directory(session), person_id)
    if actor is None:
        raise NotFound("没有这位职工，或已停用", code="person_not_found")
    return actor
