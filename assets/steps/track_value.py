"""Measure what came of committed models: metrics of the months that closed, a run per commit, and fee proposals."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson
import polars as pl
import rfc8785

from assets.partitions import following_month, months_between
from assets.steps.mart_metrics import mart_metrics
from valueverse.catalog.history import CatalogHistory
from valueverse.commands.booked import watermark
from valueverse.errors import RefusalError
from valueverse.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.money import EXACT, amount_text, minor_units
from valueverse.platform import value_store as store
from valueverse.platform.warehouse import connect
from valueverse.subscriptions.timeline import Timeline, build_timeline
from valueverse.subscriptions.zones import local_midnight
from valueverse.value.executor.binding import read_metrics
from valueverse.value.realisation import metrics as measured
from valueverse.value.realisation.cases import CaseRun, Commitment, run_cases
from valueverse.value.realisation.fees import FeeTerms, charges_on, fee_of
from valueverse.value.realisation.succession import Agreed, taken_over

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import psycopg

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


@dataclass(frozen=True)
class _World:
    """What every commit of a run is judged by."""

    connection: psycopg.Connection[Any]
    timeline: Timeline
    history: CatalogHistory
    known_at: datetime
    as_of: datetime
    run_id: str


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
        run_id: stands on what is written.
        tenants: only these; None: all.
    """
    months = months_between(first_month, last_month)
    facts = lake.scan(BILLING_FACTS_TABLE).collect()
    if tenants is not None:
        facts = facts.filter(pl.col("tenant").is_in(list(tenants)))
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None)
    known = timeline.tenants["tenant"].to_list()
    known_at = watermark(lake, as_of, tenants)
    with connect(settings, "builder") as connection:
        store.lock_value(connection)
        found = _metrics(connection, lake.scan(USAGE_TABLE), timeline, history, months, known_at)
        registered, unread = mart_metrics(connection, history, timeline.tenants, months)
        found = pl.concat([found, registered])
        rows = found.rename({"tenant": "tenant_id"}).with_columns(pl.lit(known_at).alias("known_at"))
        store.replace_metrics(connection, rows, known, months)
        report = TrackReport(found, refused=[(tenant, "", month, said) for tenant, month, said in unread.rows()])
        world = _World(connection, timeline, history, known_at, as_of, run_id)
        zones = dict(timeline.tenants.select("tenant", "timezone").iter_rows())
        for one in _agreed(store.agreed(connection, known)):
            over = [month for month in _affected(connection, one, months) if _over(month, zones[one.tenant], as_of)]
            _track(world, one, over, report)
        connection.commit()
    return report


@dataclass(frozen=True)
class _Agreed:
    """A commit to be measured.

    Attributes:
        tenant: whose.
        commitment: the commit.
        until: first day of the month with which an agreed successor takes over; None: nobody does.
    """

    tenant: str
    commitment: Commitment
    until: date | None

    def months(self) -> int | None:
        """Months from the commit's start to its successor."""
        start = self.commitment.start
        if self.until is None or start is None:
            return None
        return (self.until.year - start.year) * 12 + self.until.month - start.month


def _agreed(rows: pl.DataFrame) -> list[_Agreed]:
    """Commits that are not closed, each up to where its successor begins, oldest first."""
    found = []
    for (tenant,), mine in rows.partition_by("tenant", as_dict=True, maintain_order=True).items():
        agreed = [
            Agreed(Commitment.read(row["commit_id"], row["document"]), row["parent"], row["closed"])
            for row in mine.iter_rows(named=True)
        ]
        ends = taken_over(agreed)
        found += [
            _Agreed(str(tenant), one.commitment, ends.get(one.commitment.commit)) for one in agreed if not one.closed
        ]
    return found


def _affected(connection: psycopg.Connection[Any], one: _Agreed, months: list[date]) -> list[date]:
    """The commit's months of a run: those measured, and all run before that follow them, for they hold sums to date."""
    newest = store.newest_month(connection, one.tenant, one.commitment.commit)
    last = months[-1] if newest is None else max(months[-1], newest)
    return [month for month in months_between(months[0], last) if one.until is None or month < one.until]


def _over(month: date, zone: str, as_of: datetime) -> bool:
    end = datetime.combine(following_month(month), datetime.min.time(), ZoneInfo(zone))
    return end.astimezone(UTC) <= as_of


def _metrics(
    connection: psycopg.Connection[Any],
    usage: pl.LazyFrame,
    timeline: Timeline,
    history: CatalogHistory,
    months: list[date],
    known_at: datetime,
) -> pl.DataFrame:
    names = timeline.tenants["tenant"].to_list()
    used = measured.usage_metrics(
        usage.filter(pl.col("tenant").is_in(names)),
        timeline.tenants,
        timeline.segments,
        history.meters,
        months,
        known_at,
    )
    lines = store.billed_lines(connection, names, measured.BILLED_LINES)
    places = {one: 10 ** minor_units(one) for one in lines["currency"].unique()}
    in_major = lines.with_columns(
        pl.col("net") / pl.col("currency").replace_strict(places, default=1, return_dtype=pl.Int64).cast(EXACT)
    )
    return pl.concat(
        [
            used,
            measured.billing_metrics(in_major, months),
            measured.active_customers(timeline.segments, timeline.tenants, months),
            measured.cost_to_serve(timeline.told, timeline.tenants, used, months),
        ]
    )


def _track(world: _World, one: _Agreed, months: list[date], report: TrackReport) -> None:
    """Run one commit for each month with which a period of it ends; what cannot be run keeps nothing else back."""
    commitment = one.commitment
    realised: dict[date, CaseRun] = {}
    for month in months:
        if commitment.period_of(month) is None:
            continue
        try:
            runs = run_cases(commitment, _values(world, one.tenant, commitment, month), month)
        except RefusalError as refusal:
            report.refused.append(_refused(one, month, refusal))
            continue
        for run in runs:
            new = _write(world, one.tenant, commitment, month, run)
            benefit = str(run.values.get("benefit", ""))
            told = (one.tenant, commitment.program.model, commitment.commit, month, run.case, benefit, new)
            report.runs.append(told)
        realised[month] = next(run for run in runs if run.case == "realised")
    for month in realised:
        try:
            _propose(world, one, month, realised, report)
        except RefusalError as refusal:
            report.refused.append(_refused(one, month, refusal))


def _refused(one: _Agreed, month: date, refusal: RefusalError) -> tuple[str, str, date, str]:
    return one.tenant, one.commitment.commit, month, f"{refusal.message} [{refusal.code}]"


def _values(world: _World, tenant: str, commitment: Commitment, month: date) -> pl.DataFrame:
    rows = store.metrics(world.connection, tenant, commitment.customer, commitment.program.currency)
    return read_metrics(rows.filter(pl.col("period") <= f"{month:%Y-%m}"))


def _write(world: _World, tenant: str, commitment: Commitment, month: date, run: CaseRun) -> bool:
    key = {
        "tenant_id": tenant,
        "commit_id": commitment.commit,
        "case_name": run.case,
        "month": month,
        "known_at": world.known_at,
        "content_hash": run.content_hash,
    }
    named: dict[str, Any] = {
        name: value.isoformat() if isinstance(value, date) else value for name, value in key.items()
    }
    run_hash = _hash(named)
    if store.has_run(world.connection, tenant, run_hash):
        # What came back to what it was, at one state of knowledge (a mart, an invoice), is told from the first time.
        before = store.newest_hash(world.connection, tenant, commitment.commit, run.case, month)
        run_hash = run_hash if before == run_hash else _hash(named | {"after": before})
    return store.add_run(
        world.connection,
        key
        | {
            "run_hash": run_hash,
            "document": orjson.dumps(run.document).decode(),
            "run_id": world.run_id,
            "computed_at": world.as_of,
        },
        [(name, repr(value), run.units[name]) for name, value in sorted(run.values.items())],
    )


def _hash(key: dict[str, Any]) -> str:
    return hashlib.sha256(rfc8785.dumps(key)).hexdigest()


def _propose(world: _World, one: _Agreed, month: date, realised: Mapping[date, CaseRun], report: TrackReport) -> None:
    """Propose what the fee to date comes to beyond earlier proposals, on the charges that bill this model."""
    newest = max(realised)
    tenant, commitment, program = one.tenant, one.commitment, one.commitment.program
    customer = commitment.customer or ""
    end = _midnight(world, tenant, following_month(month))
    for charge in charges_on(world.timeline, world.history, tenant, commitment, end):
        terms = FeeTerms.of(charge.price, program)
        made = store.proposed(world.connection, tenant, customer, program.model, charge.alike)
        fee = fee_of(
            terms,
            program,
            realised[month].series,
            _proposed(world, one, (month, newest), made),
            newest=realised[newest].series,
            term=one.months(),
        )
        if fee is None or fee.amount == 0:
            continue
        begin = months_back(month, fee.months - 1)
        if charge.ended is not None and charge.ended <= _midnight(world, tenant, begin):
            continue
        number = made.filter(pl.col("period_to") == pl.lit(end)).height + 1
        proposal = f"{charge.subscription}/{charge.key}/{begin:%Y-%m}..{month:%Y-%m}/{number}"
        store.propose(
            world.connection,
            {
                "tenant_id": tenant,
                "proposal": proposal,
                "commit_id": commitment.commit,
                "run_hash": store.newest_hash(world.connection, tenant, commitment.commit, "realised", month),
                "model": program.model,
                "customer": customer,
                "subscription": charge.subscription,
                "charge": charge.key,
                "period_from": _midnight(world, tenant, begin),
                "period_to": end,
                "realised_value": fee.realised,
                "fee_to_date": fee.to_date,
                "binding": fee.binding,
                "amount": fee.amount,
                "currency": terms.currency,
                "proposed_at": world.as_of,
                "disputable_until": world.as_of + timedelta(days=terms.dispute_days),
            },
        )
        report.proposals.append(
            (tenant, proposal, customer, charge.key, amount_text(fee.amount, terms.currency), terms.currency)
        )


def _proposed(world: _World, one: _Agreed, months: tuple[date, date], made: pl.DataFrame) -> dict[str, Decimal]:
    """What stands proposed of a charge since the commit's start, as ``fee_of`` takes it for a month and the newest."""
    # Periods are whole months, whatever day of the first one the commit starts on.
    start = _midnight(world, one.tenant, (one.commitment.start or months[0]).replace(day=1))
    end, last = (pl.lit(_midnight(world, one.tenant, following_month(month))) for month in months)
    standing = made.filter(pl.col("verdict").ne_missing("withdrawn"), pl.col("period_from") >= pl.lit(start))
    sums = {
        "to_date": standing.filter(pl.col("period_to") <= end)["amount"].sum(),
        "period": standing.filter(pl.col("period_to") == end)["amount"].sum(),
        "all": standing.filter(pl.col("period_to") <= last)["amount"].sum(),
    }
    return {name: Decimal(value) for name, value in sums.items()}


def months_back(month: date, count: int) -> date:
    """The first day of the month ``count`` months before."""
    place = month.year * 12 + month.month - 1 - count
    return date(place // 12, place % 12 + 1, 1)


def _midnight(world: _World, tenant: str, day: date) -> datetime:
    zone = world.timeline.tenants.filter(pl.col("tenant") == tenant)["timezone"].item()
    found = local_midnight(pl.DataFrame({"day": [day], "zone": [zone]}), pl.col("day"), "zone", "at")["at"].item()
    assert isinstance(found, datetime)  # noqa: S101 - for the type checker
    return found
