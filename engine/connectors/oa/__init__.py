"""The legacy OA (旧 OA): what is open here is open there, and nothing else.

`adapters` speak to the products; `mirroring` tells what they are to show, `pushing` brings them there.
"""

from engine import outbox
from engine.connectors.oa import mirroring, pushing, reconciling, removing
from engine.connectors.oa.adapters import KINDS
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.inbound import polling, quick
from engine.connectors.oa.sites import Connection, Sites, found
from engine.db import Database
from engine.settings import Settings


def declare(sites: list[Site]) -> None:
    """Declare each site as a channel of the outbox; a site that is declared already gets its new rate."""
    for site in sites:
        if site.system in outbox.lanes():
            outbox.limit(site.system, per_minute=site.per_minute)
            continue
        outbox.channel(site.system, per_minute=site.per_minute, threads=site.threads)
        pushing.declare(site.system)
        removing.declare(site.system)
        reconciling.declare(site.system)
        polling.declare(site.system)
        quick.declare(site.system)


def install(db: Database, settings: Settings, given: list[Site] | None = None) -> Sites:
    """Connect a database's service or worker to its OAs, which `given` names or else the environment's folder does.

    Called once when a process starts, before its threads do. Raises Invalid for a mistake in a site's file.
    """
    connected_to = found(settings) if given is None else given
    declare(connected_to)

    def connected(site: Site) -> Connection:
        _, made = KINDS[site.kind]
        return Connection(site, made(site, lambda: outbox.take(db, site.system)))

    sites = Sites({site.code: connected(site) for site in connected_to}, settings.base_url)
    db.provide(sites)
    mirroring.connect(db, sites)
    return sites
