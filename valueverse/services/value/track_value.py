"""Measure committed models: metrics of the months that closed, a run per commit, and fee proposals."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson
import polars as pl
import rfc8785

from valueverse.catalog import CatalogHistory
from valueverse.dates import following_month
from valueverse.errors import RefusalError
from valueverse.invoicing import known_at_of_tenant, newest_known_at
from valueverse.money import amount_text, minor_units
from valueverse.platform.isolation import failure_of, is_shared
from valueverse.platform.stores import proposal_store
from valueverse.platform.stores import value_store as store
from valueverse.platform.stores.recorded_months import measured_months
from valueverse.platform.warehouse import connect
from valueverse.schemas.types import EXACT
from valueverse.schemas.value import METRIC_VALUES, REFUSED_METRICS
from valueverse.services.billing.billing_state import watermarks
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.services.months import FIRST_DAY, months_holding
from valueverse.services.value.committed_models import CommittedModel, committed_models
from valueverse.services.value.mart_metrics import mart_metrics
from valueverse.subscriptions import Timeline, build_timeline
from valueverse.value.executor import read_metrics
from valueverse.value.realisation import (
    Agreement,
    CaseRun,
    Commitment,
    MeasuredMonth,
    active_customers,
    billing_metrics,
    cost_to_serve,
    last_month,
    missing_proposals,
    months_of,
    months_to_measure,
    outcome_charges,
    proposal_states,
    recorded_costs,
    run_cases,
    start_of_day,
    usage_metrics,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import psycopg

    from valueverse.platform.isolation import Failure
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


@dataclass
class TrackReport:
    """What a run found and wrote.

    Attributes:
        metrics: METRIC_VALUES of the months.
        runs: rows (tenant, model, commit, month, case, benefit, new).
        proposals: rows (tenant, proposal, customer, charge, amount, currency).
        refused: rows (tenant, commit, month, reason): commits that could not be run, or fees not worked out; with no
            commit, a registered metric that could not be read.
    """

    metrics: pl.DataFrame
    runs: list[tuple[str, str, str, date, str, str, bool]] = field(default_factory=list)
    proposals: list[tuple[str, str, str, str, str, str]] = field(default_factory=list)
    refused: list[tuple[str, str, date, str]] = field(default_factory=list)

    @classmethod
    def joined(cls, parts: Sequence[TrackReport]) -> TrackReport:
        """One report of parts that are about different tenants."""
        found = cls(pl.concat([part.metrics for part in parts] or [METRIC_VALUES.to_frame()]))
        for part in parts:
            found.runs.extend(part.runs)
            found.proposals.extend(part.proposals)
            found.refused.extend(part.refused)
        return found


@dataclass(frozen=True)
class TrackingContext:
    """What every commit of a run is judged by."""

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
        store.lock_value(connection)
        months = months_holding(first_month, last_month, _past(connection, timeline) if first_month < FIRST_DAY else ())
        context = TrackingContext(connection, timeline, history, known_at, as_of, run_id)
        commits = [_planned(context, one, months[-1]) for one in committed_models(store.agreed(connection, known))]
        found, unread = _measure(context, lake.scan(USAGE_TABLE), months, commits)
        report = TrackReport(found, refused=[(tenant, "", month, message) for tenant, month, message in unread.rows()])
        for one in commits:
            _track_alone(context, one, report)
        connection.commit()
    return report


def _planned(context: TrackingContext, one: CommittedModel, last: date) -> CommittedModel:
    """The commit with the months that this run measures it for, and the last one measured before."""
    last_measured = store.newest_month(context.connection, one.tenant, one.commitment.commit)
    start = one.commitment.start
    if start is None:
        return one
    zone = context.zones[one.tenant]
    months = [
        month for month in months_to_measure(start, last, last_measured, one.until) if _over(month, zone, context.as_of)
    ]
    return replace(one, measured=tuple(months), newest=last_measured)


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


def _over(month: date, zone: str, as_of: datetime) -> bool:
    end = datetime.combine(following_month(month), datetime.min.time(), ZoneInfo(zone))
    return end.astimezone(UTC) <= as_of


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
            cost_to_serve(timeline.adjustment_events, timeline.tenants, used, months),
        ]
    )


def _track_alone(context: TrackingContext, one: CommittedModel, report: TrackReport) -> None:
    """Run one commit; where it fails, nothing of it is written, its reason is reported, the tenant's others go on."""
    own = TrackReport(report.metrics)
    try:
        with context.connection.transaction():
            _track(context, one, own)
    except BaseException as error:
        if is_shared(error):
            raise
        month = max(one.measured, default=context.as_of.date().replace(day=1))
        own = TrackReport(report.metrics, refused=[_refused(one, month, failure_of(one.tenant, error))])
    report.runs += own.runs
    report.proposals += own.proposals
    report.refused += own.refused


def _track(context: TrackingContext, one: CommittedModel, report: TrackReport) -> None:
    """Run one commit for each month with which a period of it ends; what cannot be run keeps nothing else back."""
    commitment = one.commitment
    ends = [month for month in one.measured if commitment.period_of(month) is not None]
    if not ends:
        return
    rows = store.metrics(context.connection, one.tenant, commitment.customer, commitment.program.currency)
    mine = _customers(context.timeline, one)
    months = []
    for month in ends:
        try:
            values = read_metrics(rows.filter(pl.col("period") <= f"{month:%Y-%m}"))
            runs = run_cases(commitment, values, month)
        except RefusalError as refusal:
            report.refused.append(_refused(one, month, refusal))
            continue
        for run in runs:
            new = _write(context, one.tenant, commitment, month, run)
            benefit = str(run.values.get("benefit", ""))
            summary = (one.tenant, commitment.program.model, commitment.commit, month, run.case, benefit, new)
            report.runs.append(summary)
        realised = next(run for run in runs if run.case == "realised")
        end = start_of_day(following_month(month), context.zones[one.tenant])
        charges = outcome_charges(mine, context.history, one.tenant, commitment, end)
        months.append(MeasuredMonth(month, realised.series, charges))
    _propose(context, one, months, report)


def _customers(timeline: Timeline, one: CommittedModel) -> Timeline:
    """The timeline with the segments of a commit's customer alone."""
    mine = (pl.col("tenant") == one.tenant) & (pl.col("customer") == (one.commitment.customer or ""))
    return replace(timeline, segments=timeline.segments.filter(mine))


def _refused(one: CommittedModel, month: date, refusal: RefusalError | Failure) -> tuple[str, str, date, str]:
    return one.tenant, one.commitment.commit, month, f"{refusal.message} [{refusal.code}]"


def _write(context: TrackingContext, tenant: str, commitment: Commitment, month: date, run: CaseRun) -> bool:
    key = {
        "tenant_id": tenant,
        "commit_id": commitment.commit,
        "case_name": run.case,
        "month": month,
        "known_at": context.known_at[tenant],
        "content_hash": run.content_hash,
    }
    named: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, date) else value for name, value in key.items()
    }
    run_hash = _hash(named)
    if store.has_run(context.connection, tenant, run_hash):
        # What came back to what it was, at one state of knowledge (a mart, an invoice), counts from the first time.
        before = store.newest_hash(context.connection, tenant, commitment.commit, run.case, month)
        run_hash = run_hash if before == run_hash else _hash(named | {"after": before})
    return store.add_run(
        context.connection,
        key
        | {
            "run_hash": run_hash,
            "document": orjson.dumps(run.document).decode(),
            "run_id": context.run_id,
            "computed_at": context.as_of,
        },
        [(name, repr(value), run.units[name]) for name, value in sorted(run.values.items())],
    )


def _hash(key: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(key)).hexdigest()


def _propose(context: TrackingContext, one: CommittedModel, months: list[MeasuredMonth], report: TrackReport) -> None:
    """Write what the fees to date come to beyond earlier proposals, on the charges that bill this model."""
    tenant, commitment = one.tenant, one.commitment
    customer, model, zone = commitment.customer or "", commitment.program.model, context.zones[one.tenant]
    keys = sorted({key for month in months for charge in month.charges for key in charge.alike})
    made = proposal_store.proposed(context.connection, tenant, customer, model, keys)
    found, refused = missing_proposals(
        Agreement(commitment, one.months(), zone), months, proposal_states(made), one.newest
    )
    report.refused += [_refused(one, month, refusal) for month, refusal in refused]
    places = [(charge, last_month(end)) for charge, end in made.select("charge", "period_to").iter_rows()]
    for new in found:
        charge, fee, terms = new.charge, new.fee, new.terms
        number = sum(key in charge.alike and month == new.month for key, month in places) + 1
        proposal = f"{charge.subscription}/{charge.key}/{new.begin:%Y-%m}..{new.month:%Y-%m}/{number}"
        proposal_store.propose(
            context.connection,
            {
                "tenant_id": tenant,
                "proposal": proposal,
                "commit_id": commitment.commit,
                "run_hash": store.newest_hash(context.connection, tenant, commitment.commit, "realised", new.month),
                "model": model,
                "customer": customer,
                "subscription": charge.subscription,
                "charge": charge.key,
                "period_from": start_of_day(new.begin, zone),
                "period_to": start_of_day(following_month(new.month), zone),
                "realised_value": fee.realised,
                "fee_to_date": fee.to_date,
                "binding": fee.binding,
                "amount": fee.amount,
                "currency": terms.currency,
                "proposed_at": context.as_of,
                "disputable_until": context.as_of + timedelta(days=terms.dispute_days),
            },
        )
        report.proposals.append(
            (tenant, proposal, customer, charge.key, amount_text(fee.amount, terms.currency), terms.currency)
        )
