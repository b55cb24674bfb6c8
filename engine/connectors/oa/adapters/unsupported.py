"""What an adapter says to questions that its OA has no interface for."""

from collections.abc import Iterable
from datetime import datetime

from engine.connectors.oa.adapters.protocol import Foreign, Handled, Shown


class NeitherReadsNorPolls:
    """An OA whose lists can't be read, neither for our items nor for its own."""

    reads_back = False
    polls = False
    quick = False

    def shown(self, account: str) -> list[Shown]:
        """Return nothing: the OA doesn't tell."""
        return []

    def waiting(self, account: str) -> list[Foreign]:
        """Return nothing: the OA doesn't tell."""
        return []

    def done_since(self, account: str, since: datetime) -> list[Foreign]:
        """Return nothing: the OA doesn't tell."""
        return []

    def handled(self, accounts: Iterable[str], since: datetime) -> list[Handled]:
        """Return nothing: the OA doesn't tell."""
        return []
