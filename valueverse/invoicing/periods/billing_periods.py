"""Which invoices a window of dates closes, and the stretches of plan that each of them bills.

A closing invoice covers one full period of one subscription, clipped to the subscription's life. A stretch is the part
of that period during which one plan version held: a plan change in mid-period makes two stretches on one invoice. A
change to a plan with other periods closes the running one: what is billed by the month cannot stand beside a year.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.invoicing import INVOICE, SUBSCRIPTION
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions import local_midnight, overlapping_periods

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.subscriptions import DateOrExpr

FIRST = pl.lit(0, pl.Int32).alias("revision")
_CARRIED = (
    *INVOICE, "terms", "timezone", "currency", "catalog_hash", "plan", "plan_version", "quantities", "planned_end",
    "advance_fees_invoiced",
)  # fmt: skip
_BEGUN = pl.col("from").alias("begun")
_ADVANCE_FEES_INVOICED = pl.col("advance_fees_invoiced") | (pl.col("from") > pl.col("begun"))
"""What goes on from the period before is invoiced_before by its invoice."""
_PERIOD = ("every", "unit", "align")
_MICROSECOND = pl.duration(microseconds=1)


def billable(segments: pl.DataFrame) -> pl.DataFrame:
    """Segments without what lies inside a trial: no fees and no charges there, and fees prorate from its end.

    Returns:
        the segments' columns, ``subscription_start`` the first billable instant (a pause may put it after the trial's
        end), and key; lasts_from, lasts_to: how long the periods of this length and alignment go on; closes_at: when
        the period that the segment ends in closes, null: it runs on; advance_fees_invoiced: an invoice closes as the
        segment begins, and bills its in-advance fees.
    """
    bounded = (
        segments.with_columns(pl.max_horizontal("from", "trial_until").alias("from"))
        .filter(pl.col("to").is_null() | (pl.col("from") < pl.col("to")))
        .with_columns(pl.col("from").min().over(SUBSCRIPTION).alias("subscription_start"))
        .sort(*SUBSCRIPTION, "from")
        .with_row_index("key")
    )
    return _lasting(bounded)


def _lasting(segments: pl.DataFrame) -> pl.DataFrame:
    """Add advance_fees_invoiced, lasts_from, lasts_to and closes_at to segments in order."""
    stopped = segments.filter(pl.col("to").is_not_null()).with_columns(
        (pl.col("to") - _MICROSECOND).alias("window_from"), pl.col("to").alias("window_to")
    )
    ends = overlapping_periods(_schedule(stopped)).select("key", pl.col("full_to").alias("closes_at"))
    ended = segments.join(ends, on="key", how="left", maintain_order="left")
    before = pl.col("closes_at").shift().over(SUBSCRIPTION)
    other = pl.any_horizontal(pl.col(name) != pl.col(name).shift().over(SUBSCRIPTION) for name in _PERIOD)
    first = pl.col("from") == pl.col("subscription_start")
    at_close = (pl.col("from") == before) | (other & (pl.col("from") <= before))
    # A pause may outlast the period that it began in, which closes at its own end then.
    cuts = ended.with_columns(
        pl.when(other).then(pl.min_horizontal("from", before)).alias("cut"),
        (first | at_close).fill_null(value=False).alias("advance_fees_invoiced"),
    )
    since, until = pl.col("cut").forward_fill(), pl.col("cut").shift(-1).backward_fill()
    return cuts.with_columns(
        pl.coalesce(since.over(SUBSCRIPTION), "subscription_start").alias("lasts_from"),
        pl.coalesce(until.over(SUBSCRIPTION), "subscription_end").alias("lasts_to"),
    ).drop("cut")


def _schedule(segments: pl.DataFrame) -> pl.DataFrame:
    return segments.select(
        "key", "every", "unit", "align", "anchor", "timezone", "window_from", "window_to", "timezone_effective_from",
        "zone_day", pl.col("from").alias("start"), pl.col("to").alias("end"),
    )  # fmt: skip


def _with_window(
    segments: pl.DataFrame, tenants: pl.DataFrame, window_from: DateOrExpr, window_to: DateOrExpr
) -> pl.DataFrame:
    zones = tenants.select("tenant", pl.col("timezone").alias("tenant_timezone"))
    bounded = segments.join(zones, on="tenant")
    return local_midnight(
        local_midnight(bounded, window_from, "tenant_timezone", "window_from"),
        window_to, "tenant_timezone", "window_to",
    )  # fmt: skip


def _period_closes_inside(close: pl.Expr) -> pl.Expr:
    """Whether a period that closes at this instant belongs to the row's window: (window_from, window_to]."""
    return (close > pl.col("window_from")) & (close <= pl.col("window_to"))


def _starts_inside(start: pl.Expr) -> pl.Expr:
    """Whether a subscription that starts at this instant belongs to the row's window: [window_from, window_to)."""
    return (start >= pl.col("window_from")) & (start < pl.col("window_to"))


def invoices_to_come(
    segments: pl.DataFrame, tenants: pl.DataFrame, window_to: DateOrExpr, closed_by: datetime | None
) -> pl.DataFrame:
    """The subscriptions that are invoiced again after a run, as far as is known: tenant, customer, subscription,
    currency, last_close (null: they run on).

    One that moves on to a plan in another currency is invoiced in its old one up to then. Of a paused one the period in
    which the pause began closes yet; nothing comes after that until it is resumed.

    Args:
        segments: ``billable()`` segments.
        tenants: tenant, timezone.
        window_to: the day up to which the run bills.
        closed_by: the run's present; None: the run bills all that closes in its window.
    """
    bearer = [*SUBSCRIPTION, "currency"]
    last = segments.group_by(bearer, maintain_order=True).agg(pl.col("closes_at", "subscription_end").last())
    zoned = last.join(tenants.select("tenant", "timezone"), on="tenant")
    bounded = local_midnight(zoned, window_to, "timezone", "billed_to")
    close, billed_to = pl.min_horizontal("closes_at", "subscription_end"), pl.col("billed_to")
    if closed_by is not None:
        billed_to = pl.min_horizontal(billed_to, pl.lit(closed_by, INSTANT))
    return bounded.filter(close.is_null() | (close > billed_to)).select(*bearer, close.alias("last_close"))


def closing_within(
    invoices: pl.DataFrame, tenants: pl.DataFrame, window_from: DateOrExpr, window_to: DateOrExpr
) -> pl.DataFrame:
    """Those of these invoices (INVOICE and more columns) that belong to a window of the tenants' days: the rule of
    ``closing_invoices`` and ``starting_invoices``, whatever made the invoice.

    Args:
        invoices: in any state; those that bill no period close at ``period_to`` too.
        tenants: tenant, timezone; invoices of others are left out.
        window_from: the first day, or an expression that gives it per tenant.
        window_to: the day that periods may end on, and starts may not.
    """
    starts = pl.col("invoice_type") == "start"
    inside = pl.when(starts).then(_starts_inside(CLOSE)).otherwise(_period_closes_inside(CLOSE))
    ordered = invoices.with_row_index("_place")
    bounded = _with_window(ordered, tenants, window_from, window_to).filter(inside)
    return bounded.sort("_place").select(invoices.columns)


def closing_invoices(
    segments: pl.DataFrame, tenants: pl.DataFrame, window_from: DateOrExpr, window_to: DateOrExpr
) -> pl.DataFrame:
    """Invoices of invoice_type ``period`` that close in (window_from, window_to], dates local to the tenant.

    Args:
        segments: ``billable()`` segments of the timeline.
        tenants: tenant, timezone.

    Returns:
        tenant, customer, subscription, invoice_type, period_from, period_to, full_from, full_to (instants); the invoice
        closes at ``period_to``.
    """
    bounded = _with_window(segments, tenants, window_from, window_to)
    found = overlapping_periods(_schedule(bounded)).join(
        bounded.select("key", *SUBSCRIPTION, "lasts_from", "lasts_to", "window_from", "window_to"),
        on="key",
    )
    return (
        found.with_columns(
            pl.lit("period").alias("invoice_type"),
            FIRST,
            pl.max_horizontal("full_from", "lasts_from").alias("period_from"),
            pl.min_horizontal("full_to", "lasts_to").alias("period_to"),
        )
        .filter(_period_closes_inside(pl.col("period_to")))
        .select(*INVOICE, "full_from", "full_to")
        .unique()
        .sort(INVOICE)
    )


def starting_invoices(
    segments: pl.DataFrame, tenants: pl.DataFrame, window_from: DateOrExpr, window_to: DateOrExpr
) -> pl.DataFrame:
    """Invoices of invoice_type ``start``: those of subscriptions whose first billable instant lies in [window_from,
    window_to).

    Same columns as ``closing_invoices``; the invoice closes at ``period_from``. Half-open the other way round than
    closings, so that a subscription that starts on the first of a month is invoiced with that month and windows tile.
    """
    first = segments.sort("from").group_by(SUBSCRIPTION, maintain_order=True).first()
    bounded = _with_window(first, tenants, window_from, window_to).filter(_starts_inside(pl.col("from")))
    at_start = bounded.with_columns(
        pl.col("from").alias("window_from"), (pl.col("from") + _MICROSECOND).alias("window_to")
    )
    return (
        overlapping_periods(_schedule(at_start))
        .join(at_start.select("key", *SUBSCRIPTION, "planned_end"), on="key")
        .with_columns(
            pl.lit("start").alias("invoice_type"),
            FIRST,
            pl.col("from").alias("period_from"),
            # As planned then: what happens later must not change which invoice this is.
            pl.min_horizontal("full_to", "planned_end").alias("period_to"),
        )
        .select(*INVOICE, "full_from", "full_to")
    )


def running_periods(
    segments: pl.DataFrame, tenants: pl.DataFrame, window_from: DateOrExpr, window_to: DateOrExpr
) -> pl.DataFrame:
    """Periods that overlap a window of the tenants' days, closed or not: the columns of ``closing_invoices``, the
    window's instants and the segments' time zone."""
    bounded = _with_window(segments, tenants, window_from, window_to)
    carried = bounded.select("key", *SUBSCRIPTION, "lasts_from", "lasts_to", "window_from", "window_to", "timezone")
    return (
        overlapping_periods(_schedule(bounded))
        .join(carried, on="key")
        .with_columns(
            pl.lit("period").alias("invoice_type"),
            FIRST,
            pl.max_horizontal("full_from", "lasts_from").alias("period_from"),
            pl.min_horizontal("full_to", "lasts_to").alias("period_to"),
        )
        .select(*INVOICE, "full_from", "full_to", "window_from", "window_to", "timezone")
        .unique(INVOICE, maintain_order=True)
    )


def next_close(segments: pl.DataFrame, tenants: pl.DataFrame, moment: datetime) -> datetime | None:
    """When the first of the periods (of SEGMENTS) that run at an instant closes, or a subscription begins after it.

    None: nothing runs, and nothing will.
    """
    own = billable(segments)
    closes = _around(own, tenants, moment)["period_to"]
    instants = pl.concat([closes, own["subscription_start"]])
    found: datetime | None = instants.filter(instants > moment).to_frame().min().item()
    return found


def last_close(segments: pl.DataFrame, tenants: pl.DataFrame, moment: datetime) -> datetime | None:
    """When the last of the periods (of SEGMENTS) that run at an instant closes; None: none runs."""
    found: datetime | None = _running(segments, tenants, moment)["period_to"].to_frame().max().item()
    return found


def running_period(
    segments: pl.DataFrame, tenants: pl.DataFrame, subscription: str, moment: datetime
) -> tuple[datetime, datetime] | None:
    """The period [from, to) of a subscription (of SEGMENTS of one tenant) that runs at an instant; None: none does."""
    running = _running(segments.filter(pl.col("subscription") == subscription), tenants, moment)
    for begins, ends in running.select("period_from", "period_to").iter_rows():
        return begins, ends
    return None


def _running(segments: pl.DataFrame, tenants: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    around = _around(billable(segments), tenants, moment)
    return around.filter(pl.col("period_from") <= moment, pl.col("period_to") > moment)


def _around(segments: pl.DataFrame, tenants: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """``running_periods`` of the days about an instant, whatever the tenants' time zones."""
    return running_periods(segments, tenants, moment.date() - timedelta(days=1), moment.date() + timedelta(days=2))


def present_periods(segments: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """The periods that began where these invoices' did, as the segments have them now.

    Args:
        segments: ``billable()`` segments.
        invoices: INVOICE and invoice_id of purposes ``start`` and ``period``.

    Returns:
        the columns of ``closing_invoices`` and invoice_id; nothing for an invoice whose period no longer begins there.
    """
    inside = (
        segments.join(invoices.select(*INVOICE, "invoice_id"), on=SUBSCRIPTION)
        .filter(pl.col("from") < pl.col("period_to"), pl.col("to").is_null() | (pl.col("to") > pl.col("period_from")))
        .with_columns(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("key"),
            pl.col("period_from").alias("window_from"),
            pl.col("period_to").alias("window_to"),
        )
    )
    carried = inside.select(
        "key", *SUBSCRIPTION, "invoice_type", "revision", "invoice_id", "subscription_start", "lasts_from", "lasts_to",
        "planned_end", pl.col("period_from").alias("begun"),
    )  # fmt: skip
    first = pl.col("invoice_type") == "start"
    return (
        overlapping_periods(_schedule(inside))
        .join(carried, on="key")
        .with_columns(
            pl.when(first).then("from").otherwise(pl.max_horizontal("full_from", "lasts_from")).alias("period_from"),
            pl.when(first)
            .then(pl.min_horizontal("full_to", "planned_end"))
            .otherwise(pl.min_horizontal("full_to", "lasts_to"))
            .alias("period_to"),
        )
        .filter(pl.col("period_from") == pl.col("begun"))
        .filter(~first | (pl.col("begun") == pl.col("subscription_start")))
        .select(*INVOICE, "full_from", "full_to", "invoice_id")
        .unique(maintain_order=True)
    )


def stretches(segments: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """The stretches of plan inside each invoice's period.

    Returns:
        the invoice's columns and ``stretch`` (row number), from, to, full_from, full_to, used_days, full_days, terms,
        timezone, currency, catalog_hash, plan, plan_version, quantities, planned_end,
        advance_fees_invoiced (its in-advance fees are on the invoice that closed as it began).
    """
    wanted = invoices.select(*INVOICE, "full_from", "full_to")
    bounded = segments.join(wanted, on=SUBSCRIPTION).with_columns(
        pl.col("period_from").alias("window_from"), pl.col("period_to").alias("window_to")
    )
    numbered = bounded.with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("key"))
    found = overlapping_periods(_schedule(numbered))
    carried = numbered.select("key", *_CARRIED, _BEGUN, pl.col("full_from").alias("invoice_full_from"))
    return (
        found.join(carried, on="key")
        .filter(
            pl.col("full_from") == pl.col("invoice_full_from"),
            pl.col("from") < pl.col("period_to"),
            pl.col("to") > pl.col("period_from"),
        )
        .with_columns(_ADVANCE_FEES_INVOICED)
        .drop("key", "begun", "invoice_full_from")
        .sort(*INVOICE, "from")
        .with_row_index("stretch")
    )


def advance_stretches(segments: pl.DataFrame, invoices: pl.DataFrame) -> pl.DataFrame:
    """The stretch whose in-advance fees each invoice bills: the first one (``start``), or the one that follows the
    close.

    Same columns as ``stretches``; a subscription that ends at the close has none.
    """
    begins = pl.when(pl.col("invoice_type") == "start").then("period_from").otherwise("period_to")
    at_start = (
        segments.join(invoices.select(*INVOICE, begins.alias("window_from")), on=SUBSCRIPTION)
        .filter(
            (pl.col("from") <= pl.col("window_from"))
            & (pl.col("to").is_null() | (pl.col("to") > pl.col("window_from")))
        )
        .with_columns(
            pl.int_range(pl.len(), dtype=pl.UInt32).alias("key"),
            (pl.col("window_from") + _MICROSECOND).alias("window_to"),
        )
    )
    found = overlapping_periods(_schedule(at_start))
    return (
        found.join(at_start.select("key", *_CARRIED, _BEGUN), on="key")
        .with_columns(_ADVANCE_FEES_INVOICED)
        .drop("key", "begun")
        .sort(INVOICE)
        .with_row_index("stretch")
    )


CLOSE = pl.when(pl.col("invoice_type") == "start").then("period_from").otherwise("period_to")
"""When an invoice closes: the instant from which its grace runs."""
