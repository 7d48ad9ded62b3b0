"""What a release looks at: the months that hold something, and event days that do not add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.queries import frame_of
from valueverse.platform.stores.recorded_months import published_months
from valueverse.platform.stores.tenant_store import tenant_keys
from valueverse.platform.warehouse import connect
from valueverse.schemas.usage_accounting import EVENT_DAYS
from valueverse.services.months import FIRST_DAY, months_holding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl

    from valueverse.platform.settings import Settings


def months_to_decide(settings: Settings, first: date, last: date) -> list[date]:
    """Months of a range, for all tenants; those before the first partition only if they hold something."""
    held: set[date] = set()
    if first < FIRST_DAY:
        with connect(settings, "builder") as connection:
            known = tenant_keys(connection)
            held = published_months(connection, known, FIRST_DAY)
    return months_holding(first, last, held)


def unbalanced_days(settings: Settings, months: Sequence[date]) -> pl.DataFrame:
    """EVENT_DAYS of these months (first days): accepted events that are neither billed nor unbilled."""
    with connect(settings, "builder") as connection:
        return frame_of(
            connection,
            "select tenant_id::text as tenant, day, accepted, billed, unbilled from billing.event_day "
            "where date_trunc('month', day)::date = any(%s) and accepted <> billed + unbilled order by 1, 2",
            [list(months)],
            EVENT_DAYS,
        )
