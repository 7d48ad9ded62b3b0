"""Account for every usage event: only of months whose rows may have changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import following_month, utc_midnight
from valueverse.invoicing import RULES_VERSION, account_usage, accounting_totals, with_terms
from valueverse.invoicing.lines import TERMS_KEY
from valueverse.metering import derive_daily_usage
from valueverse.platform.stores import usage_accounting_store as store
from valueverse.platform.stores.billing_store import Scope
from valueverse.services.billing.billing_state import booked_periods
from valueverse.services.lake_tables import USAGE_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import psycopg

    from valueverse.catalog import CatalogHistory
    from valueverse.invoicing.lines import Terms
    from valueverse.platform.lake import Lake, Opened
    from valueverse.subscriptions import Timeline

VERSION = f"{RULES_VERSION}/1"
"""Part of the inputs of each month: another version accounts for all of them again."""
BATCH = 2_000_000
"""Rows of usage read at once, unless a single day holds more."""
_MONTH = ["tenant", "month"]


@dataclass(frozen=True)
class Inputs:
    """All that an account depends on.

    Attributes:
        usage: the usage table.
        files: date, path, rows of its files, up to the last day to account for.
        segments: billable segments with ``terms``.
        terms: their terms.
        lives: the timeline's segments, trials included.
        booked: the periods that invoices have booked.
        meters: ``CatalogHistory.meters``: how a day's value aggregates.
        tenants: whose usage.
    """

    usage: Opened
    files: pl.DataFrame
    segments: pl.DataFrame
    terms: Terms
    lives: pl.DataFrame
    booked: pl.DataFrame
    meters: pl.DataFrame
    tenants: list[str]

    def marks(self, unplaced: pl.DataFrame) -> pl.DataFrame:
        """A text per tenant and month (ACCOUNTED_MONTHS) that changes whenever anything that its rows depend on does.

        A segment and a booked period count in the months that they overlap, files in their own, meters in all; all of
        a customer's subscriptions count where usage of that customer met none (``unplaced``).
        """
        months = self.files.select(pl.col("date").dt.truncate("1mo").alias("month"), "path")
        listed = months.group_by("month").agg(_mark("path"))
        base = pl.DataFrame({"tenant": self.tenants}, schema={"tenant": pl.String}).join(listed, on=None, how="cross")
        held = _by_month(self.segments, "from", "to", listed["month"])
        booked = _by_month(self.booked, "period_from", "period_to", listed["month"])
        lives = self.lives.select(
            "tenant", "customer", "subscription", "subscription_start", "subscription_end", "trial_until"
        ).unique()
        met = unplaced.join(lives, on=["tenant", "customer"])
        parts = (
            held.group_by(_MONTH).agg(_mark("customer", "subscription", "from", "to", *TERMS_KEY)),
            booked.group_by(_MONTH).agg(_mark("subscription", "period_from", "period_to", "events_known_at")),
            met.group_by(_MONTH).agg(_mark(*lives.columns)),
        )
        for place, part in enumerate(parts):
            base = base.join(part, on=_MONTH, how="left", suffix=f"_{place}")
        read = self.meters.group_by("tenant").agg(_mark("meter", "valid_from", "aggregation", "carry_over"))
        base = base.join(read, on="tenant", how="left", suffix="_meters")
        inputs_text = pl.concat_str(
            pl.lit(VERSION), *(pl.col(name).fill_null("") for name in base.columns if name.startswith("mark")),
            separator=" ",
        )  # fmt: skip
        return base.select(*_MONTH, inputs_text.alias("inputs")).sort(_MONTH)

    def batches(self, month: date, tenants: list[str]) -> Iterator[pl.DataFrame]:
        """The tenants' usage of a month, some days at a time."""
        rows = self.files.group_by("date").agg(pl.col("rows").sum()).sort("date")
        mine = rows.filter(pl.col("date").dt.truncate("1mo") == month)
        batch = (pl.col("rows").cum_sum() - 1) // BATCH
        for _, days in mine.with_columns(batch.alias("batch")).group_by("batch", maintain_order=True):
            usage = self.usage.scan(days["date"].to_list())
            yield usage.filter(pl.col("tenant").is_in(tenants)).collect()


def account_for_usage(
    connection: psycopg.Connection[Any], lake: Lake, timeline: Timeline, history: CatalogHistory, until: date
) -> None:
    """Bring unbilled usage, days and daily usage up to date, up to ``until`` or to where they reached before.

    A month whose inputs are those that it was accounted from stays as it is. The caller commits.
    """
    tenants = timeline.tenants["tenant"].to_list()
    usage = lake.open(USAGE_TABLE)
    last = max(until, store.last_day(connection, tenants) or until)
    files = usage.files().filter(pl.col("date") <= last)
    if files.is_empty() or not tenants:
        return
    segments, terms = with_terms(timeline, history)
    booked = booked_periods(connection, Scope(tenants))
    inputs = Inputs(usage, files, segments, terms, timeline.segments, booked, history.meters, tenants)
    before = inputs.marks(store.unplaced(connection, tenants))
    stale = before.join(store.accounted(connection, tenants), on=[*_MONTH, "inputs"], how="anti")
    for (month,), part in stale.sort("month").group_by("month", maintain_order=True):
        _replace(connection, inputs, month, part["tenant"].to_list(), last)
    if not stale.is_empty():
        after = inputs.marks(store.unplaced(connection, tenants))
        store.mark(connection, after.join(stale, on=_MONTH, how="semi"))


def _replace(connection: psycopg.Connection[Any], inputs: Inputs, month: Any, tenants: list[str], last: date) -> None:
    accounts, dailies = [], []
    for usage in inputs.batches(month, tenants):
        first, after = usage["event_date"].min(), usage["event_date"].max()
        booked = inputs.booked if first is None else _overlapping(inputs.booked, first, after)
        accounts.append(account_usage(usage, inputs.segments, inputs.lives, booked, inputs.terms))
        dailies.append(derive_daily_usage(usage, inputs.meters))
    unbilled, event_days = accounting_totals(pl.concat(accounts))
    end = min(following_month(month) - timedelta(days=1), last)
    for table, rows in (
        ("billing.unbilled_usage", unbilled),
        ("billing.event_day", event_days),
        ("billing.usage_daily", pl.concat(dailies)),
    ):
        named = rows.rename({"tenant": "tenant_id"})
        store.replace_days(connection, table, named, tenants=tenants, first=month, last=end)


def _overlapping(booked: pl.DataFrame, first: Any, last: Any) -> pl.DataFrame:
    """Periods that may hold usage of these UTC dates: a subscription has one for each month of its life."""
    return booked.filter(
        pl.col("period_from").dt.date() <= pl.lit(last), pl.col("period_to").dt.date() >= pl.lit(first)
    )


def _by_month(rows: pl.DataFrame, begin: str, end: str, months: pl.Series) -> pl.DataFrame:
    """A row per UTC month (of those from the first to the last of ``months``) that [begin, end) overlaps, cut to it."""
    first, last = months.min(), months.max()
    inside = (pl.col(end) - pl.duration(microseconds=1)).dt.date().dt.truncate("1mo").fill_null(last)
    spread = (
        rows.with_columns(
            pl.max_horizontal(pl.col(begin).dt.date().dt.truncate("1mo"), pl.lit(first)).alias("_first"),
            pl.min_horizontal(inside, pl.lit(last)).alias("_last"),
        )
        .filter(pl.col("_first") <= pl.col("_last"))
        .with_columns(pl.date_ranges("_first", "_last", "1mo").alias("month"))
        .explode("month")
    )
    opens = utc_midnight(pl.col("month"))
    closes = utc_midnight(pl.col("month").dt.offset_by("1mo"))
    return spread.with_columns(
        pl.max_horizontal(begin, opens).alias(begin), pl.min_horizontal(pl.col(end), closes).alias(end)
    )


def _mark(*columns: str) -> pl.Expr:
    """Number of rows and a hash of what they say, whatever their order, as text."""
    hashed = pl.struct(pl.col(name).cast(pl.String) for name in columns).hash(seed=0)
    return pl.concat_str(pl.len().cast(pl.String), hashed.bitwise_xor().cast(pl.String), separator=":").alias("mark")
