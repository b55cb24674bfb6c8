"""Moments as OAs write them: local time without a zone, or numbers."""

from datetime import UTC, datetime
from decimal import Decimal

from engine import clock

_LONGEST = 100_000_000_000  # seconds; a larger number is one of milliseconds
_YEARS = range(1900, 2100)


def local(moment: datetime) -> str:
    """Return a moment as OAs want it: local, `yyyy-MM-dd HH:mm:ss`."""
    return f"{moment.astimezone(clock.LOCAL):%Y-%m-%d %H:%M:%S}"


def read(value: object) -> datetime | None:
    """Return the moment that an OA tells, in UTC; None where it can't be read, or isn't of this century or the last.

    As text (ISO 8601 or like it, local where it names no zone), or as seconds or milliseconds since 1970. What lies
    beyond could be neither stored everywhere nor shown in local time.
    """
    try:
        found = _moment(value)
        found = None if found is None else found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if found is not None and found.year in _YEARS else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | Decimal) or (isinstance(value, str) and value.isascii() and value.isdigit()):
        number = Decimal(value)
        return datetime.fromtimestamp(float(number / 1000 if number > _LONGEST else number), UTC)
    if isinstance(value, str):
        value = datetime.fromisoformat(value.strip())
    if not isinstance(value, datetime):
        return None
    return value if value.tzinfo is not None else value.replace(tzinfo=clock.LOCAL)
