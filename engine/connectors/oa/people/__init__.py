"""Who a person is in an OA (账号对照): by our own records as the site says, or by an entry of the table."""

from engine.connectors.oa.people.changing import SHEET, Entry, Imported, import_accounts, set_account
from engine.connectors.oa.people.lookups import (
    MOST_LISTED,
    Identity,
    Listed,
    Unmapped,
    account,
    accounts,
    entries,
    own,
    persons_of,
    unmapped,
)
from engine.connectors.oa.people.sheet import read, workbook

__all__ = [
    "MOST_LISTED",
    "SHEET",
    "Entry",
    "Identity",
    "Imported",
    "Listed",
    "Unmapped",
    "account",
    "accounts",
    "entries",
    "import_accounts",
    "own",
    "persons_of",
    "read",
    "set_account",
    "unmapped",
    "workbook",
]
