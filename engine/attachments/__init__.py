"""Attachments (附件): rows in the database, files under `settings.attachments`.

What a file may be is decided by its extension AND its content; the name that a client sends is shown and never a path.
"""

from engine.attachments.access import MayOpen, bind, describe, download_headers, keep, open_for, remove
from engine.attachments.intake import receive
from engine.attachments.kinds import picture_extension
from engine.attachments.table import Attachment, path_of
from engine.attachments.upkeep import purge, purge_files

__all__ = [
    "Attachment",
    "MayOpen",
    "bind",
    "describe",
    "download_headers",
    "keep",
    "open_for",
    "path_of",
    "picture_extension",
    "purge",
    "purge_files",
    "receive",
    "remove",
]
