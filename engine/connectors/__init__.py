"""Connectors to outside systems: WeCom (企业微信); each is a package of one shape, and none knows another."""

from engine.connectors import wecom
from engine.connectors.wecom.settings import WeComSettings
from engine.db import Database


def declare() -> None:
    """Declare the channels of the systems that the environment switches on; before a worker counts its threads."""
    wecom.declare(WeComSettings())


def connect(db: Database, base_url: str) -> None:
    """Connect a service or worker to the systems that the environment switches on, before its threads start."""
    wecom.install(db, WeComSettings(), base_url)
