"""What is wrong in the warehouse now, of all tenants and months, whichever run found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.queries import frame_of
from valueverse.platform.stores.held_invoice_store import held_invoice_lines
from valueverse.platform.warehouse import connect
from valueverse.schemas.checks import RECONCILIATION, RELEASE_DECISIONS
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.usage_accounting import EVENT_DAYS

if TYPE_CHECKING:
    import polars as pl

    from valueverse.platform.settings import Settings


def rejected_events(settings: Settings) -> pl.DataFrame:
    """REJECTED_EVENTS: billing events that could not be applied."""
    with connect(settings, "builder") as connection:
        return frame_of(
            connection,
            "select tenant_id::text as tenant, source, event_id, type, reason, message, event_time "
            "from billing.rejected_event order by 1, 2, 3",
            [],
            REJECTED_EVENTS,
        )


def lines_without_an_amount(settings: Settings) -> pl.DataFrame:
    """HELD_LINES: lines whose invoices are held back."""
    with connect(settings, "builder") as connection:
        return held_invoice_lines(connection)


def differing_recomputations(settings: Settings) -> pl.DataFrame:
    """RECONCILIATION rows in which the lake gives another number than was booked."""
    with connect(settings, "builder") as connection:
        return frame_of(
            connection,
            "select tenant_id::text as tenant_id, check_name, period, expected, actual, difference, ok, detail "
            "from billing.reconciliation where not ok order by 1, 3, 2",
            [],
            RECONCILIATION,
        )


def held_releases(settings: Settings) -> pl.DataFrame:
    """RELEASE_DECISIONS of tenants' months that are held."""
    with connect(settings, "builder") as connection:
        return frame_of(
            connection,
            "select tenant_id::text as tenant, status, reason, period as month "
            "from billing.release where status = 'held' order by 1, 4",
            [],
            RELEASE_DECISIONS,
        )


def unbalanced_days(settings: Settings) -> pl.DataFrame:
    """EVENT_DAYS whose accepted events are neither billed nor unbilled."""
    with connect(settings, "builder") as connection:
        return frame_of(
            connection,
            "select tenant_id::text as tenant, day, accepted, billed, unbilled from billing.event_day "
            "where accepted <> billed + unbilled order by 1, 2",
            [],
            EVENT_DAYS,
        )
