"""The billing facts rewritten, and the months that new events may change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.events import BILLING_FACTS
from valueverse.services.ingestion.invalidation import by_date, invalidated_between, invalidated_months
from valueverse.services.tenant_holds import FACTS, WHOLE, for_each_tenant, held_tenants
from valueverse.services.usage.derive_usage import facts_of, senders, write_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from valueverse.platform.isolation import Isolated
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Before the first event."""


@dataclass(frozen=True)
class FactsReport:
    """What a refresh wrote.

    Attributes:
        facts: BILLING_FACTS of the tenants that succeeded.
        months: in which a period closes or starts that touched events may change, or such an event acts by itself.
        touched_dates: tenants' event dates that were touched.
        done: how it went, tenant by tenant.
    """

    facts: pl.DataFrame
    months: set[date]
    touched_dates: int
    done: Isolated[tuple[pl.DataFrame, list[date]]]

    def kinds(self) -> pl.DataFrame:
        """tenant, type, events."""
        return self.facts.group_by("tenant", "type").agg(pl.len().alias("events")).sort("tenant", "type")


def refresh_facts(settings: Settings, lake: Lake, since: datetime, now: datetime, *, run_id: str) -> FactsReport:
    """Rewrite the billing facts of every tenant; find the months to bill again.

    Args:
        settings: where the warehouse is.
        lake: holds events and facts.
        since: received-at instant up to which touched months have been marked.
        now: the present.
        run_id: recorded with the tenants that are held.
    """
    touched = invalidated_between(lake, since, now)
    # What a held tenant touched has not been marked yet.
    if held := held_tenants(settings, FACTS):
        missed = invalidated_between(lake, BEGINNING, now).filter(pl.col("tenant").is_in(held))
        touched = by_date(pl.concat([touched, missed]).lazy()).collect()

    def work(tenants: Sequence[str] | None) -> tuple[pl.DataFrame, list[date]]:
        facts = facts_of(lake, tenants)
        mine = touched if tenants is None else touched.filter(pl.col("tenant").is_in(list(tenants)))
        months = invalidated_months(facts, mine.sort("tenant", "event_date"), now)
        write_facts(lake, facts, tenants)
        return facts, months

    done = for_each_tenant(settings, FACTS, [WHOLE], work, run_id=run_id, chosen=None, everyone=lambda: senders(lake))
    facts = pl.concat([part for part, _ in done.results]) if done.results else BILLING_FACTS.to_frame()
    return FactsReport(facts, {month for _, part in done.results for month in part}, touched.height, done)
