"""The billing facts rewritten, the months that new events may change, and the months that costs are recorded for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.schemas.events import BILLING_FACTS
from valueverse.schemas.types import INSTANT
from valueverse.services.ingestion.invalidation import by_date, invalidated_between, invalidated_months
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.months import FIRST_DAY
from valueverse.services.tenant_holds import FACTS, WHOLE, for_each_tenant, held_tenants
from valueverse.services.usage.derive_usage import facts_of, senders, write_facts
from valueverse.subscriptions import build_timeline
from valueverse.value.realisation import COST, recorded_costs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from valueverse.platform.isolation import Isolated
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings

BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
"""Before the first event."""
_COSTS = {"month": pl.Date(), "received_at": INSTANT}


@dataclass(frozen=True)
class FactsReport:
    """What a refresh wrote.

    Attributes:
        facts: BILLING_FACTS of the tenants that succeeded.
        months: in which a period closes or starts that touched events may change, or such an event acts by itself.
        cost_months: month (the first partition holds the past) -> a text that changes with any cost of the month.
        touched_dates: tenants' event dates that were touched.
        done: how it went, tenant by tenant.
    """

    facts: pl.DataFrame
    months: set[date]
    cost_months: dict[date, str]
    touched_dates: int
    done: Isolated[tuple[pl.DataFrame, list[date], pl.DataFrame]]

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

    def work(tenants: Sequence[str] | None) -> tuple[pl.DataFrame, list[date], pl.DataFrame]:
        log = lake.open(EVENTS_TABLE)
        facts = facts_of(log, tenants)
        mine = touched if tenants is None else touched.filter(pl.col("tenant").is_in(list(tenants)))
        months = invalidated_months(facts, mine.sort("tenant", "event_date"), now)
        write_facts(lake, facts, log, tenants)
        return facts, months, costs_by_month(facts)

    done = for_each_tenant(settings, FACTS, [WHOLE], work, run_id=run_id, chosen=None, everyone=lambda: senders(lake))
    facts = pl.concat([part for part, *_ in done.results]) if done.results else BILLING_FACTS.to_frame()
    months = {month for _, part, _ in done.results for month in part}
    return FactsReport(facts, months, _states([part for *_, part in done.results]), touched.height, done)


def costs_by_month(facts: pl.DataFrame) -> pl.DataFrame:
    """Costs as they are known now: a row (month, received_at) for each cost and month that it is spread over."""
    costs = facts.filter(pl.col("type") == COST, pl.col("known_until").is_null())
    if costs.is_empty():
        return pl.DataFrame(schema=_COSTS)
    tenants = build_timeline(facts, CatalogHistory.from_facts(facts).plans, None).tenants
    last = pl.col("service_to").dt.offset_by("-1d")
    months = pl.date_ranges(pl.col("service_from").dt.truncate("1mo"), last, "1mo")
    return (
        recorded_costs(costs, tenants)
        .join(costs.select("tenant", "source", "id", "received_at"), on=["tenant", "source", "id"])
        .with_columns(months.alias("month"))
        .explode("month")
        .select(pl.max_horizontal("month", pl.lit(FIRST_DAY)).alias("month"), "tenant", "source", "id", "received_at")
        .unique()
        .select(list(_COSTS))
    )


def _states(parts: Sequence[pl.DataFrame]) -> dict[date, str]:
    """How many costs a month has and when the last of them came: a cost that goes, comes or changes changes one."""
    states = pl.format("{} costs, the last received {}", pl.len(), pl.col("received_at").max())
    found = pl.concat([pl.DataFrame(schema=_COSTS), *parts]).group_by("month").agg(states.alias("state"))
    return dict(found.iter_rows())
