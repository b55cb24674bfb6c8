"""Names of attachments: cleaned when they come in, encoded when they go out."""

import re
import unicodedata
from urllib.parse import quote

LONGEST = 200  # characters
_LONGEST_EXTENSION = 10
_FORBIDDEN = re.compile(r'[<>:"|?*]')  # on Windows, where the file may be saved


def clean(name: str) -> str:
    """Return what is left of a client's file name: no folders, no invisible or reordering characters, ≤ 200 characters.

    The extension is kept; a name of which nothing is left becomes 附件.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    # C: controls, bidirectional overrides, surrogates; Zl and Zp: line separators
    name = "".join(c for c in name if unicodedata.category(c)[0] != "C" and unicodedata.category(c) not in ("Zl", "Zp"))
    name = _FORBIDDEN.sub("_", name).strip().rstrip(". ")
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix) > _LONGEST_EXTENSION:
        stem, dot, suffix = name, "", ""
    stem = stem.strip().lstrip(".") or "附件"
    return f"{stem[: LONGEST - len(dot + suffix)]}{dot}{suffix}"


def extension(name: str) -> str:
    """Return the extension in lower case, without its dot; "" if there is none."""
    return name.rpartition(".")[2].lower() if "." in name else ""


def disposition(name: str, *, inline: bool) -> str:
    """Return a Content-Disposition (RFC 6266): the name in UTF-8 (RFC 8187), before it an ASCII one for old clients."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    return f"{'inline' if inline else 'attachment'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
