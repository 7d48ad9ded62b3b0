"""The months that a release decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.stores.recorded_months import published_months
from valueverse.platform.stores.tenant_store import tenant_keys
from valueverse.platform.warehouse import connect
from valueverse.services.months import FIRST_DAY, months_holding

if TYPE_CHECKING:
    from datetime import date

    from valueverse.platform.settings import Settings


def months_to_decide(settings: Settings, first: date, last: date) -> list[date]:
    """Months of a range, for all tenants; those before the first partition only if they hold something."""
    held: set[date] = set()
    if first < FIRST_DAY:
        with connect(settings, "builder") as connection:
            known = tenant_keys(connection)
            held = published_months(connection, known, FIRST_DAY)
    return months_holding(first, last, held)
