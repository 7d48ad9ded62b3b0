"""Reconciliation: DuckDB recomputes a month from the lake and has to agree with what was billed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import iso4217
import polars as pl

from quality import calendars
from quality.billed_queries import BILLED
from quality.period import Month
from quality.recompute import cell_comparison, events, formulas, lines, macros, quantities, usage_assignment
from quality.recompute.catalog_flattening import flatten
from quality.recompute.days import DAYS
from quality.recompute.invoices import corrections, fees, missing_invoices
from quality.recompute.prices import buckets, models, pricing, tiers
from quality.recompute.states import (
    burdens_of,
    counted,
    discounted_tenants,
    moments_of,
    moved_of,
    received_late,
    stated_overrides,
    statements_of,
)
from quality.recompute.stretches import STRETCHES
from valueverse.platform.lake import LakeTable
from valueverse.platform.queries import texts_of, value_of
from valueverse.platform.stores.tenant_store import tenant_keys
from valueverse.platform.warehouse import connect, copy_frame
from valueverse.schemas.checks import RECONCILIATION
from valueverse.schemas.events import BILLING_FACTS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import LiteralString

    import psycopg

    from valueverse.platform.lake import Lake, Opened
    from valueverse.platform.settings import Settings


_EVENTS = LakeTable("events", EVENTS, "event_date")
_FACTS = LakeTable("billing_facts", BILLING_FACTS)
_CELLS = ("line_cells", "fee_cells", "line_count_cells", "missing_cells", "later_cells", "usage_cells", "count_cells")
_FACT_TYPES = ("billing.subscription.", "billing.customer.", "billing.tenant.", "billing.catalog.", "billing.one_off.",
         "billing.coupon.")  # fmt: skip
CURRENCIES = pl.DataFrame(
    [(currency.code, currency.exponent) for currency in iso4217.Currency if currency.exponent is not None],
    schema={"currency": pl.String, "places": pl.Int32},
    orient="row",
)
"""Decimals of currencies by ISO 4217."""


def reconcile(
    settings: Settings,
    lake: Lake,
    period: str,
    tenants: Sequence[str] | None = None,
    *,
    run_id: str = "",
    known_at: datetime | None = None,
) -> pl.DataFrame:
    """Recompute the month from the lake and write the comparison to ``billing.reconciliation``.

    Checks: ``usage:<meter>`` (totals per customer, sums and counts), ``line_quantity:<charge>`` and
    ``line_amount:<charge>`` (usage lines of invoices that close in the month, with the events known to each
    invoice), ``fee:<fee>``, ``lines_missing``, and the counts that nothing was lost. What SQL does not recompute is
    named in rows ``not_recomputed:<charge>``: how many lines, and why.

    Args:
        settings: Where Postgres is.
        lake: Where the events are.
        period: ``2023-11`` or ``2023-11-01``.
        tenants: Tenant keys; None for all.
        run_id: Stored with the rows.
        known_at: When usage was last derived: events received later are not expected in ``usage_daily`` yet.
            None: everything in the lake has been taken in. (Lines go by the known-at time of their invoice.)

    Returns:
        Frame RECONCILIATION, sorted by tenant and check; ``ok`` is equality to the last digit in every cell.

    Raises:
        RefusalError: ``bad_period``; ``warehouse_unreachable``.
    """
    month = Month.parse(period)
    with connect(settings, "builder") as connection:
        chosen = tenant_keys(connection)
        if tenants is not None:
            chosen = sorted(set(chosen) & set(tenants))
        facts = (
            lake.scan(_FACTS)
            .filter(pl.any_horizontal(pl.col("type").str.starts_with(kind) for kind in _FACT_TYPES))
            .collect()
        )
        billed = _billed(connection, facts, month, chosen)
        log = lake.open(_EVENTS)
        billed["events_of_files"] = _events_of_files(connection, log, billed["files"], known_at)
        question = _Question(billed, log, month, known_at)
        found = _recompute(question, chosen)
        _write(connection, month, chosen, found, run_id)
    return found


@dataclass(frozen=True)
class _Question:
    """What was billed (frames by name), the events, and which month of them as known when."""

    billed: dict[str, pl.DataFrame]
    log: Opened
    month: Month
    known_at: datetime | None


def _recompute(question: _Question, tenants: Sequence[str]) -> pl.DataFrame:
    try:
        rows = list(_answer(question, tenants))
    except duckdb.OutOfRangeException:
        # One tenant's number is beyond 128 bits: find out whose, and let the others have their answer.
        rows = [row for tenant in tenants for row in _answer_for(question, tenant)]
    return pl.DataFrame(rows, schema=RECONCILIATION, orient="row").sort("tenant_id", "check_name")


def _answer_for(question: _Question, tenant: str) -> list[tuple[Any, ...]]:
    try:
        return list(_answer(question, [tenant]))
    except duckdb.OutOfRangeException as error:
        detail = f"a number is out of range: {str(error).splitlines()[0]}"
        return [(tenant, "numbers_are_in_range", question.month.key, None, None, None, False, detail)]


def _answer(question: _Question, tenants: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        _prepare(connection, question, tenants)
        for cells in _CELLS:
            summary = connection.execute(cell_comparison.SUMMARY.format(cells=f"from {cells}")).fetchall()
            for tenant, check, expected, actual, different, count, examples in summary:
                detail = f"{different} of {count} differ: {examples}" if different else None
                ours, theirs = (Decimal(int(units)).scaleb(-18) for units in (expected, actual))
                yield tenant, check, question.month.key, ours, theirs, theirs - ours, different == 0, detail
        for tenant, charge, detail in connection.execute(cell_comparison.NOT_RECOMPUTED).fetchall():
            yield tenant, f"not_recomputed:{charge}", question.month.key, None, None, None, True, detail


def _prepare(connection: duckdb.DuckDBPyConnection, question: _Question, tenants: Sequence[str]) -> None:
    connection.execute("set timezone to 'UTC'")
    for name, frame in question.billed.items():
        own = frame.filter(pl.col("tenant").is_in(tenants)) if "tenant" in frame.columns else frame
        connection.register(name, own.to_arrow())
    connection.register("chosen", pl.DataFrame({"tenant": tenants}, {"tenant": pl.String}).to_arrow())
    for statement in (macros.MACROS, lines.EVERY_LINE, missing_invoices.EXPECTED, corrections.LATER):
        connection.execute(statement)
    first, last = _dates(connection, question)
    days = [day for day in question.log.dates() if first <= day <= last]
    connection.register("lake", question.log.arrow_dataset(days))
    amended = question.log.dates_with("replaces")
    connection.register("lake_amendments", question.log.arrow_dataset(amended))
    connection.execute("create view lake_events as select * from lake where tenant in (select tenant from chosen)")
    known_at = question.known_at.isoformat() if question.known_at else "infinity"
    connection.execute(
        "create table month as select ?::timestamptz as first, ?::timestamptz as after, ?::timestamptz as known_at",
        [f"{question.month.first}T00:00:00Z", f"{question.month.after}T00:00:00Z", known_at],
    )
    connection.execute(events.AMENDMENTS)
    if connection.execute("select count(*) from missing_originals").fetchall() != [(0,)]:
        connection.register("lake_everywhere", question.log.arrow_dataset())
        connection.execute(events.ORIGINALS_ELSEWHERE)
    for statement in (events.VERSIONS, STRETCHES, lines.LINES, DAYS):
        connection.execute(statement)
    formulas.register_values(connection, question.billed["meters"])
    priced_by = question.billed["charges"]["model"].unique().to_list()
    by_days, tier_days = quantities.BY_DAYS, tiers.TIER_DAYS
    if not question.billed["charges"]["by_days"].any():
        by_days, tier_days = quantities.NO_DAYS, tiers.NO_TIER_DAYS
    bucketed = (buckets.BUCKETS, buckets.BUCKET_VALUES) if "bucketed" in priced_by else (buckets.NO_BUCKETS,)
    for statement in (
        events.READINGS, usage_assignment.TAKEN, usage_assignment.RIVALS,
        quantities.QUANTITIES, by_days, quantities.PARTS,
        pricing.CONVERTED, *bucketed, pricing.TO_PRICE, tier_days, tiers.TIERS, *models.event_prices(priced_by),
    ):  # fmt: skip
        connection.execute(statement)
    formulas.register_amounts(connection, pricing.FORMULAS, "formula_amounts")
    for statement in (
        pricing.BY_QUANTITY, pricing.PRICED, missing_invoices.MISSING_CELLS,
        *corrections.judged(question.billed), corrections.LATER_CELLS, cell_comparison.LINE_CELLS,
        cell_comparison.USAGE_CELLS, cell_comparison.COUNT_CELLS, fees.FEE_CELLS, fees.LINE_COUNT_CELLS,
    ):  # fmt: skip
        connection.execute(statement)


def _dates(connection: duckdb.DuckDBPyConnection, question: _Question) -> tuple[date, date]:
    """First and last event date that the month, or the service of a line that closes in it, can have."""
    ((served_from, served_to),) = connection.execute(
        "select cast(min(service_from) as date), cast(max(service_to) as date) from every_line"
    ).fetchall()
    first, last = served_from or question.month.first, served_to or question.month.first
    # A day more on either side: instants are shown in the time zone of the session.
    margin = timedelta(days=1)
    if question.billed["meters"]["carry_over"].any():
        # A level that carries over may go back to the first event there is.
        first = min([first, *question.log.dates()[:1]])
    return min(first, question.month.first) - margin, max(last, question.month.after) + margin


def _billed(
    connection: psycopg.Connection[Any], facts: pl.DataFrame, month: Month, tenants: Sequence[str]
) -> dict[str, pl.DataFrame]:
    given = calendars.parameters(connection, month, tenants)
    frames = {name: _frame(connection, query, given) for name, query in BILLED.items()}
    documents = frames["published_catalogs"].select("catalog_hash", "document").unique("catalog_hash").rows()
    current = counted(facts.filter(pl.col("tenant").is_in(tenants)), frames.pop("rejected"))
    frames |= {"statements": statements_of(current), "moments": moments_of(current), "moved": moved_of(current)}
    frames |= {"received_late": received_late(current), "burdens": burdens_of(current)}
    frames["discounted_tenants"] = discounted_tenants(current)
    frames |= flatten(dict(documents), stated_overrides(frames["statements"]).rows())
    frames["charges"] = frames["charges"].with_row_index("term")
    frames["fees"] = frames["fees"].with_row_index("fee")
    frames["plans"] = frames["plans"].with_row_index("place")
    frames["meters"] = formulas.with_rules(frames["meters"])
    frames["published_catalogs"] = frames["published_catalogs"].drop("document")
    frames["currencies"] = CURRENCIES
    return frames


def _events_of_files(
    connection: psycopg.Connection[Any], log: Opened, files: pl.DataFrame, known_at: datetime | None
) -> pl.DataFrame:
    """tenant, events: how many events that came in files the lake holds of each tenant.

    The table's log knows the number of all tenants: where it is the number accepted, no file is opened to count again.
    """
    accepted = value_of(connection, "select coalesce(sum(accepted), 0) from billing.ingestion_file")
    if known_at is None and log.counted("file") == int(accepted):
        return files.group_by("tenant").agg(pl.col("accepted").sum().alias("events"))
    here = log.scan().filter(pl.col("file").is_not_null(), pl.col("tenant").is_in(files["tenant"].unique().implode()))
    known = here if known_at is None else here.filter(pl.col("received_at") <= pl.lit(known_at))
    return known.group_by("tenant").agg(pl.len().cast(pl.Int64).alias("events")).collect()


def _frame(connection: psycopg.Connection[Any], query: LiteralString, parameters: Mapping[str, Any]) -> pl.DataFrame:
    # Numbers and instants travel as text and get their type in DuckDB: nothing on the way can round them.
    found = texts_of(connection, query, parameters)
    return found.with_columns(pl.col(name).cast(dtype) for name, dtype in _TYPES.items() if name in found.columns)


_TYPES: dict[str, Any] = {
    "line_id": pl.Int64, "own_version": pl.Int32, "version": pl.Int32,
    "received": pl.Int64, "accepted": pl.Int64, "duplicate": pl.Int64, "quarantined": pl.Int64,
    "billed": pl.Int64, "unbilled": pl.Int64,
}  # fmt: skip


def _write(
    connection: psycopg.Connection[Any],
    month: Month,
    tenants: Sequence[str],
    found: pl.DataFrame,
    run_id: str,
) -> None:
    connection.execute(
        "delete from billing.reconciliation where period = %s and tenant_id = any(%s)",
        [month.key, list(tenants)],
    )
    stamped = found.with_columns(run_id=pl.lit(run_id), checked_at=pl.lit(datetime.now(UTC)))
    if not stamped.is_empty():
        copy_frame(connection, "billing.reconciliation", stamped)
