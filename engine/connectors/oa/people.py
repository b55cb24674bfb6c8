"""Who a person is in an OA (账号对照): by our own records as the site says, or by an entry of the table."""

from typing import NamedTuple

from engine.connectors.oa.adapters.site import Site


class Identity(NamedTuple):
    """What tells who a person is in an OA: `given` is their entry of the table, "" or None where there is none."""

    name: str
    staff_number: str
    mobile: str
    email: str
    given: str | None


def account(site: Site, person: Identity) -> str:
    """Return a person's account in an OA, empty where there is none: the table comes before our own records."""
    if person.given:
        return person.given
    return "" if site.people == "table" else str(getattr(person, site.people))
