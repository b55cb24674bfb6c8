"""The one source of time: aware UTC moments, and the hospital's local calendar day."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

LOCAL = ZoneInfo("Asia/Shanghai")

_frozen: datetime | None = None


def now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return _frozen or datetime.now(UTC)


def today() -> date:
    """Return the hospital's calendar day (Asia/Shanghai)."""
    return now().astimezone(LOCAL).date()


def freeze(moment: datetime | None) -> None:
    """Hold the clock at `moment` (aware) for tests and simulations; None lets it run again."""
    global _frozen
    if moment is not None and moment.tzinfo is None:
        raise ValueError("moment must be aware")
    _frozen = moment
