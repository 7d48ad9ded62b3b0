"""Measure committed models: metrics of the months that closed, a run per commit, and fee proposals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.invoicing import known_at_of_tenant, newest_known_at
from valueverse.money import minor_units
from valueverse.platform.isolation import failure_of, is_shared
from valueverse.platform.stores import value_store as store
from valueverse.platform.stores.commit_store import agreed_of
from valueverse.platform.stores.recorded_months import measured_months
from valueverse.platform.stores.tenant_records import TenantRecords, records_of
from valueverse.platform.warehouse import connect
from valueverse.schemas.types import EXACT
from valueverse.schemas.value import METRIC_VALUES, REFUSED_METRICS
from valueverse.services.billing.billing_state import watermarks
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.services.months import FIRST_DAY, months_holding
from valueverse.services.value.committed_models import CommittedModel, committed_models
from valueverse.services.value.mart_metrics import mart_metrics
from valueverse.services.value.track_commit import CommitContext, TrackReport, refused_row, track
from valueverse.subscriptions import Timeline, build_timeline
from valueverse.value.realisation import (
    active_customers,
    billing_metrics,
    contracted_mrr,
    cost_to_serve,
    months_of,
    recorded_costs,
    usage_metrics,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import psycopg

    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class TrackingContext:
    """What every commit of a run is judged by."""

    settings: Settings
    connection: psycopg.Connection[Any]
    timeline: Timeline
    history: CatalogHistory
    known_at: Mapping[str, datetime]
    as_of: datetime
    run_id: str

    @cached_property
    def zones(self) -> dict[str, str]:
        """Time zone by tenant."""
        return dict(self.timeline.tenants.select("tenant", "timezone").iter_rows())

    def of(self, tenants: Collection[str]) -> TrackingContext:
        """The world of these tenants alone."""
        mine = pl.col("tenant").is_in(list(tenants))
        timeline = replace(
            self.timeline,
            tenants=self.timeline.tenants.filter(mine),
            segments=self.timeline.segments.filter(mine),
            adjustment_events=self.timeline.adjustment_events.filter(mine),
        )
        return replace(self, timeline=timeline)

    def records(self, tenant: str) -> TenantRecords:
        """The tenant's rows."""
        return records_of(self.settings, self.connection, tenant)

    def of_commit(self, one: CommittedModel) -> CommitContext:
        """What one commit is judged by."""
        customer = (pl.col("tenant") == one.tenant) & (pl.col("customer") == (one.commitment.customer or ""))
        return CommitContext(
            self.records(one.tenant),
            replace(self.timeline, segments=self.timeline.segments.filter(customer)),
            self.history,
            self.zones[one.tenant],
            self.known_at[one.tenant],
            self.as_of,
            self.run_id,
        )


def track_value(
    settings: Settings,
    lake: Lake,
    first_month: date,
    last_month: date,
    *,
    as_of: datetime,
    run_id: str,
    tenants: Collection[str] | None = None,
) -> TrackReport:
    """Measure the calendar months from ``first_month`` to ``last_month`` (first days, both included). Idempotent.

    Args:
        settings: where the warehouse is.
        lake: usage and billing facts.
        first_month: first month of the range.
        last_month: last month of the range.
        as_of: the run's present: a month that closes later is left alone; proposals are made now.
        run_id: recorded with what is written.
        tenants: only these; None: all.
    """
    facts = lake.scan(BILLING_FACTS_TABLE).collect()
    if tenants is not None:
        facts = facts.filter(pl.col("tenant").is_in(list(tenants)))
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None)
    known = timeline.tenants["tenant"].to_list()
    known_at = watermarks(lake, as_of, known)
    with connect(settings, "builder") as connection:
        store.lock_tenants(connection, known)
        months = months_holding(first_month, last_month, _past(connection, timeline) if first_month < FIRST_DAY else ())
        context = TrackingContext(settings, connection, timeline, history, known_at, as_of, run_id)
        commits = [_planned(context, one, months[-1]) for one in committed_models(agreed_of(connection, known))]
        found, unread = _measure(context, lake.scan(USAGE_TABLE), months, commits)
        report = TrackReport(found, refused=[(tenant, "", month, message) for tenant, month, message in unread.rows()])
        for one in commits:
            _track_alone(context, one, report)
        connection.commit()
    return report


def _planned(context: TrackingContext, one: CommittedModel, last: date) -> CommittedModel:
    """The commit with the months that this run measures it for, and the last one measured before."""
    last_measured = store.newest_month(context.records(one.tenant), one.commitment.commit)
    return one.measured_until(last, last_measured, context.zones[one.tenant], context.as_of)


def _measure(
    context: TrackingContext, usage: pl.LazyFrame, months: list[date], commits: list[CommittedModel]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Write the metrics of the run's months, and of all months of the tenants' commits, whichever run asked for them.

    Returns:
        METRIC_VALUES; and (tenant, month, reason) of registered metrics that could not be read.
    """
    tenants = context.timeline.tenants.select("tenant")
    asked = tenants.join(pl.DataFrame({"month": months}, schema={"month": pl.Date}), how="cross")
    of_commits = [(one.tenant, month) for one in commits for month in one.measured]
    more = pl.DataFrame(of_commits, schema=asked.schema, orient="row")
    measured = pl.concat([asked, more]).unique().sort("tenant", "month")
    committed = sorted({one.tenant for one in commits})
    values, unread = [], []
    for names, span in (
        ([name for name in tenants["tenant"].to_list() if name not in committed], months),
        (committed, sorted({*months, *(month for _, month in of_commits)})),
    ):
        if names:
            mine = context.of(names)
            found = _metrics(mine, usage, span)
            registered, wrong = mart_metrics(context.connection, context.history, mine.timeline.tenants, span)
            values += [found, registered]
            unread.append(wrong)
    measured_values = pl.concat([METRIC_VALUES.to_frame(), *values]).join(measured, on=["tenant", "month"], how="semi")
    rows = measured_values.with_columns(known_at_of_tenant(context.known_at).alias("known_at")).rename(
        {"tenant": "tenant_id"}
    )
    store.replace_metrics(context.connection, rows, measured)
    return measured_values, pl.concat([REFUSED_METRICS.to_frame(), *unread]).join(
        measured, on=["tenant", "month"], how="semi"
    )


def _past(connection: psycopg.Connection[Any], timeline: Timeline) -> set[date]:
    """Months before the first partition's own with something to measure."""
    every = pl.date_range(date(1970, 1, 1), FIRST_DAY, "1mo", closed="left", eager=True).to_list()
    costs = months_of(recorded_costs(timeline.adjustment_events, timeline.tenants), every)
    known = timeline.tenants["tenant"].to_list()
    return measured_months(connection, known, FIRST_DAY) | set(costs)


def _metrics(context: TrackingContext, usage: pl.LazyFrame, months: list[date]) -> pl.DataFrame:
    timeline, names = context.timeline, context.timeline.tenants["tenant"].to_list()
    used = usage_metrics(
        usage.filter(pl.col("tenant").is_in(names)),
        timeline.tenants,
        timeline.segments,
        context.history.meters,
        months,
        newest_known_at(context.known_at),
    )
    lines = store.billed_lines(context.connection, names)
    places = {one: 10 ** minor_units(one) for one in lines["currency"].unique()}
    in_major = lines.with_columns(
        pl.col("net") / pl.col("currency").replace_strict(places, default=1, return_dtype=pl.Int64).cast(EXACT)
    )
    return pl.concat(
        [
            used,
            billing_metrics(in_major, months),
            active_customers(timeline.segments, timeline.tenants, months),
            contracted_mrr(timeline, context.history, months),
            cost_to_serve(timeline.adjustment_events, timeline.tenants, used, months),
        ]
    )


def _track_alone(context: TrackingContext, one: CommittedModel, report: TrackReport) -> None:
    """Run one commit; where it fails, nothing of it is written, its reason is reported, the tenant's others go on."""
    own = TrackReport(report.metrics)
    try:
        with context.connection.transaction():
            track(context.of_commit(one), one, own)
    except BaseException as error:
        if is_shared(error):
            raise
        month = max(one.measured, default=context.as_of.date().replace(day=1))
        own = TrackReport(report.metrics, refused=[refused_row(one, month, failure_of(one.tenant, error))])
    report.runs += own.runs
    report.proposals += own.proposals
    report.refused += own.refused
