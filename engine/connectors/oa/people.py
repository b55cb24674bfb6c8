"""Who a person is in an OA (账号对照): by our own records as the site says, or by an entry of the table."""

import uuid
from typing import Any

from engine.batch import Statement
from engine.connectors.oa.adapters.site import Site

COLUMNS = "{0}.staff_number AS {1}_number, {0}.mobile AS {1}_mobile, {0}.email AS {1}_email"
"""The columns of a person from which `account` finds who they are in an OA."""

ACCOUNT = Statement(
    "SELECT p.id, p.name, p.staff_number, p.mobile, p.email, p.disabled_at, a.account FROM person p "
    "LEFT JOIN oa_account a ON a.site = :site AND a.person_id = p.id WHERE p.id = :person",
    id=uuid.UUID,
)
"""A person with their entry in the table of a site, as `account` takes it."""


def account(site: Site, person: Any) -> str:
    """Return a person's account in an OA, empty where there is none: the table comes before our own records."""
    given: str | None = person.account
    if given:
        return given
    return "" if site.people == "table" else str(getattr(person, site.people))
