"""Texts as any list of an OA can show them."""

import re

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def clean(text: str) -> str:
    """Return a text without the characters that XML can't hold."""
    return _NO_XML.sub("", text)


def titled(text: str, most: int = 200) -> str:
    """Return a title: `clean`, of at most so many characters, never empty."""
    return clean(text).strip()[:most] or "（无标题）"
