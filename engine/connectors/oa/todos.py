"""An item of ours as an OA is told of it, whether it is put there or taken away."""

import uuid
from typing import Any

from engine.connectors.oa.adapters.protocol import Todo
from engine.connectors.oa.adapters.site import Site


def described(site: Site, base_url: str, item_id: uuid.UUID, found: Any, **rest: Any) -> Todo:
    """Return an item as an OA is told of it: `found` tells what is frozen of it, `rest` the other fields of a Todo."""
    item, instance = item_id.hex, found.instance_id.hex
    return Todo(
        key=item,
        title=found.title,
        workflow=found.workflow,
        node=found.node,
        urgency=found.urgency,
        started_at=found.started_at,
        opened_at=found.opened_at,
        link=site.linked(base_url, item, instance),
        mobile_link=site.linked(base_url, item, instance, mobile=True),
        kind=found.kind,
        **rest,
    )
