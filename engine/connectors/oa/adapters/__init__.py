"""The kinds of OA that we can speak to: what a site of each is told, and what speaks to it.

`protocol` is what they have in common. Each other module knows one product.
"""

from collections.abc import Callable
from typing import Any

from engine.connectors.oa.adapters import landray, weaver_rest, weaver_soap
from engine.connectors.oa.adapters.landray_calls import LandraySite
from engine.connectors.oa.adapters.protocol import Adapter, Take
from engine.connectors.oa.adapters.seeyon import Seeyon, SeeyonSite
from engine.connectors.oa.adapters.site import Site
from engine.connectors.oa.adapters.template import TemplateOA
from engine.connectors.oa.adapters.template_site import TemplateSite
from engine.connectors.oa.adapters.weaver import WeaverSite

Maker = Callable[[Any, Take], Adapter]
KINDS: dict[str, tuple[type[Site], Maker]] = {
    "landray.rest": (LandraySite, landray.rest),
    "landray.soap": (LandraySite, landray.soap),
    "seeyon": (SeeyonSite, Seeyon),
    "template": (TemplateSite, TemplateOA),
    "weaver.rest": (WeaverSite, weaver_rest.rest),
    "weaver.soap": (WeaverSite, weaver_soap.soap),
}
"""`kind` of a site's file to its settings and its adapter: `landray.soap`, `landray.rest`, `weaver.soap` …"""
