"""The days that a billed period covers: one rule for what people read and what their systems read."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def days_of_period(period: Mapping[str, Any], zones: Iterable[str | None]) -> tuple[date, date]:
    """As ``billed_days``, of a document's period {from, to} as text."""
    start, end = (datetime.fromisoformat(period[name]) for name in ("from", "to"))
    return billed_days(start, end, zones)


def billed_days(start: datetime, end: datetime, zones: Iterable[str | None]) -> tuple[date, date]:
    """First and last day of a period: instants (without an offset in UTC), the second one excluded.

    ``zones``: IANA time zones that the days may be of, the likeliest first; UTC comes after them. They are of the first
    one in which both ends are midnights, else of the first.
    """
    start, end = (moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in (start, end))
    known = [ZoneInfo(zone) for zone in (*zones, "UTC") if zone]
    zone = next((one for one in known if _at_midnight(start, one) and _at_midnight(end, one)), known[0])
    first = start.astimezone(zone).date()
    return first, max(first, (end - timedelta(microseconds=1)).astimezone(zone).date())


def _at_midnight(moment: datetime, zone: ZoneInfo) -> bool:
    return moment.astimezone(zone).time() == datetime.min.time()
