"""WeCom as it is called: endpoints on an exchange of our own, its answers as values, its refusals as errors.

`WeCom` is what others use. wechatpy is known to `apis` and `wire` alone.
"""

from engine.connectors.wecom.client.client import WeCom

__all__ = ["WeCom"]
