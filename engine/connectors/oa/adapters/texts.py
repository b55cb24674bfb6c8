"""Texts as any list of an OA can show them, and whether one shows ours."""

import re

_CLIPPED = 20  # characters: a title that an OA has cut is at least so long
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, production 2


def clean(text: str) -> str:
    """Return a text without the characters that XML can't hold."""
    return _NO_XML.sub("", text)


def titled(text: str, most: int = 200) -> str:
    """Return a title: `clean`, of at most so many characters, never empty."""
    return clean(text).strip()[:most] or "（无标题）"


def printable(text: str) -> str:
    """Return a text without characters that nobody sees, but with its white space."""
    return "".join(character for character in text if character.isprintable() or character.isspace())


def same(ours: str, theirs: str) -> bool:
    """Whether an OA shows a text of ours: it may have cut it, and changed white space."""
    ours, theirs = " ".join(printable(ours).split()), " ".join(printable(theirs).split())
    cut = theirs.rstrip("….")
    return ours == theirs or (len(cut) >= _CLIPPED and ours.startswith(cut))
