"""Signatures that let a page use the JS-SDK. Source: WeCom document 90506 (JS-SDK 使用权限签名算法)."""

import hashlib


def signature(ticket: str, nonce: str, timestamp: int, url: str) -> str:
    """Return the signature of a page: hex SHA-1. `timestamp` is in seconds; what follows `#` in `url` doesn't count."""
    page = url.partition("#")[0]
    signed = f"jsapi_ticket={ticket}&noncestr={nonce}&timestamp={timestamp}&url={page}"
    return hashlib.sha1(signed.encode(), usedforsecurity=False).hexdigest()
