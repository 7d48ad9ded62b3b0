"""Metrics that a value model can bind to, per tenant, customer and month, from what the platform knows.

``usage.<meter>``, ``billing.invoiced_net``, ``billing.mrr``, ``billing.cost_to_serve``, ``billing.active_customers``
(value-models.md), and beside them ``billing.outcome_fees``; ``billing.contracted_mrr`` is in ``recurring``.
Exact decimals throughout; a model makes floats of them when it binds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.dates import following_month
from valueverse.metering import OK, meter_quantities
from valueverse.schemas.types import EXACT, INSTANT
from valueverse.schemas.value import METRIC_VALUES
from valueverse.subscriptions import event_field, local_date, local_midnight

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date, datetime


COST = "billing.cost.recorded"
OUTCOME = "outcome"
"""Kind of the invoice lines that bill fees for outcomes."""
_USED = ["tenant", "customer", "meter"]
_OWNER = ["tenant", "customer", "month", "currency"]
_FOCUS = {"amount": "BilledCost", "currency": "BillingCurrency", "service": "ServiceName"}
"""Columns of a FOCUS cost export that are read where our own name is missing."""


def usage_metrics(
    usage: pl.LazyFrame,
    tenants: pl.DataFrame,
    segments: pl.DataFrame,
    meters: pl.DataFrame,
    months: Sequence[date],
    known_at: datetime | None,
) -> pl.DataFrame:
    """``usage.<meter>``: the meter's quantity of each calendar month in the tenant's time zone.

    Args:
        usage: USAGE rows, also of earlier months where a meter carries over.
        tenants: tenant, timezone.
        segments: tenant, subscription, customer: whose usage it is that names a subscription only.
        meters: METERS.
        months: first days.
        known_at: count what was known then; None: now.

    Returns:
        METRIC_VALUES.
    """
    # All of a customer's usage counts once, whatever subscription or dimensions it names.
    owned = owned_usage(usage, segments).with_columns(
        pl.lit(None, pl.String).alias("subscription"), pl.lit("").alias("dimensions")
    )
    seen = owned.filter(pl.col("status") == OK).select(_USED).drop_nulls().unique().sort(_USED).collect()
    windows = _windows(seen, tenants, months)
    quantities = meter_quantities(owned, windows, meters, known_at)
    return (
        quantities.select("window", value="quantity")
        .drop_nulls()
        .join(windows, on="window")
        .select(
            "tenant",
            pl.format("usage.{}", "meter").alias("metric"),
            "customer",
            "month",
            pl.lit(None, pl.String).alias("currency"),
            "value",
        )
        .cast(METRIC_VALUES)
        .sort("tenant", "metric", "customer", "month")
    )


def owned_usage(usage: pl.LazyFrame, segments: pl.DataFrame) -> pl.LazyFrame:
    """Usage with the customer of its subscription where it names none."""
    owners = segments.select("tenant", "subscription", owner="customer").unique(["tenant", "subscription"])
    return (
        usage.join(owners.lazy(), on=["tenant", "subscription"], how="left")
        .with_columns(pl.coalesce("customer", "owner").alias("customer"))
        .drop("owner")
    )


def _windows(seen: pl.DataFrame, tenants: pl.DataFrame, months: Sequence[date]) -> pl.DataFrame:
    calendar = pl.DataFrame({"month": list(months)}, schema={"month": pl.Date})
    days = seen.join(tenants.select("tenant", "timezone"), on="tenant").join(calendar, how="cross")
    bounded = local_midnight(
        local_midnight(days, pl.col("month"), "timezone", "from"), pl.col("month").dt.offset_by("1mo"), "timezone", "to"
    )
    return bounded.with_row_index("window").with_columns(
        pl.lit(None, pl.String).alias("subscription"), full_from="from", full_to="to"
    )


def billing_metrics(lines: pl.DataFrame, months: Sequence[date]) -> pl.DataFrame:
    """``billing.invoiced_net`` and ``billing.outcome_fees`` by the month a line's service begins in, ``billing.mrr``.

    A fee for an outcome is no part of ``billing.invoiced_net``: a model whose costs are what is invoiced would see its
    own fee in later runs, and the fee would depend on itself. ``billing.mrr`` spreads fees over their days.

    Args:
        lines: INVOICED_LINES.
        months: first days.
    """
    wanted, outcome = pl.col("month").is_in(list(months)), pl.col("kind") == OUTCOME
    net = lines.with_columns(pl.col("service_from").dt.truncate("1mo").alias("month"))
    recurring = spread(
        lines.filter(pl.col("kind") == "fee").select(
            "tenant", "customer", "currency", "service_from", "service_to", "net"
        ),
        "net",
        months,
    )
    parts = [
        _summed(net.filter(wanted, ~outcome), "net", "billing.invoiced_net"),
        _summed(net.filter(wanted, outcome), "net", "billing.outcome_fees"),
        _summed(recurring, "net", "billing.mrr"),
    ]
    return pl.concat(parts)


def _summed(rows: pl.DataFrame, amount: str, metric: str) -> pl.DataFrame:
    return (
        rows.group_by(_OWNER)
        .agg(pl.col(amount).sum().alias("value"))
        .with_columns(pl.lit(metric).alias("metric"))
        .select(METRIC_VALUES.names())
        .cast(METRIC_VALUES)
        .sort("tenant", "customer", "month", "currency")
    )


def spread(rows: pl.DataFrame, amount: str, months: Sequence[date]) -> pl.DataFrame:
    """``amount`` over the days [service_from, service_to), a row for each of ``months`` (first days) that they lie in;
    the parts of all months add up to the whole.

    Each part is the difference of two roundings of what has accrued so far, so nothing is lost between months. A row
    may last for centuries: no other months are made of it.
    """
    first, final = (pl.lit(one, pl.Date) for one in (min(months, default=None), max(months, default=None)))
    days = (pl.col("service_to") - pl.col("service_from")).dt.total_days().clip(lower_bound=1)
    last = pl.max_horizontal(pl.col("service_to").dt.offset_by("-1d"), "service_from")
    by_month = (
        rows.with_columns(
            days.alias("days"),
            pl.date_ranges(
                pl.max_horizontal(pl.col("service_from").dt.truncate("1mo"), first),
                pl.min_horizontal(last, final),
                "1mo",
            ).alias("month"),
        )
        .explode("month")
        .filter(pl.col("month").is_in(list(months)))
        .with_columns(
            (pl.max_horizontal("month", "service_from") - pl.col("service_from")).dt.total_days().alias("before"),
            (pl.col("month").dt.offset_by("1mo") - pl.col("service_from")).dt.total_days().alias("after"),
        )
        .with_columns(pl.min_horizontal("after", "days"))
    )
    part = [pl.col(amount) * pl.col(name).cast(EXACT) / pl.col("days").cast(EXACT) for name in ("after", "before")]
    return by_month.with_columns((part[0] - part[1]).alias(amount)).drop("days", "before", "after")


def months_of(rows: pl.DataFrame, months: Sequence[date]) -> list[date]:
    """Those of ``months`` (first days) that some row's days [service_from, service_to) lie in."""
    starts, ends = rows["service_from"], rows["service_to"]
    return [month for month in months if ((starts < following_month(month)) & (ends > month)).any()]


def active_customers(segments: pl.DataFrame, tenants: pl.DataFrame, months: Sequence[date]) -> pl.DataFrame:
    """``billing.active_customers``: 1 for every customer with a subscription in force at some time in the month."""
    return (
        held_in(segments, tenants, months)
        .select(
            "tenant",
            pl.lit("billing.active_customers").alias("metric"),
            "customer",
            "month",
            pl.lit(None, pl.String).alias("currency"),
            pl.lit(1).cast(EXACT).alias("value"),
        )
        .unique()
        .cast(METRIC_VALUES)
        .sort("tenant", "customer", "month")
    )


def held_in(segments: pl.DataFrame, tenants: pl.DataFrame, months: Sequence[date]) -> pl.DataFrame:
    """tenant, subscription, customer, month of every segment in force at some time in a month of the tenant's zone."""
    bounded = tenant_months(tenants, months)
    held = segments.select("tenant", "subscription", "customer", "from", "to").join(bounded, on="tenant")
    inside = (pl.col("from") < pl.col("ends")) & (pl.col("to").is_null() | (pl.col("to") > pl.col("begins")))
    return held.filter(inside).select("tenant", "subscription", "customer", "month")


def tenant_months(tenants: pl.DataFrame, months: Sequence[date]) -> pl.DataFrame:
    """tenant, timezone, month (first days), and the instants [begins, ends) of the month in the tenant's zone."""
    calendar = pl.DataFrame({"month": list(months)}, schema={"month": pl.Date})
    bounded = local_midnight(
        tenants.select("tenant", "timezone").join(calendar, how="cross"), pl.col("month"), "timezone", "begins"
    )
    return local_midnight(bounded, pl.col("month").dt.offset_by("1mo"), "timezone", "ends")


def cost_to_serve(
    facts: pl.DataFrame, tenants: pl.DataFrame, used: pl.DataFrame, months: Sequence[date]
) -> pl.DataFrame:
    """``billing.cost_to_serve``: recorded costs; what names no customer is shared out by usage of the same month.

    A cost whose ``service`` is a meter's key follows that meter's quantity; any other follows the mean of the
    customer's shares of all meters. Where nobody used anything the cost stays with the tenant (customer '').

    Args:
        facts: billing events with ``data`` (``Timeline``).
        tenants: tenant, timezone, currency.
        used: METRIC_VALUES of ``usage_metrics``.
        months: first days.
    """
    costs = spread(recorded_costs(facts, tenants), "amount", months)
    named, common = costs.filter(pl.col("customer").is_not_null()), costs.filter(pl.col("customer").is_null())
    shared = _shared(common.drop("customer").with_row_index("cost"), used)
    return _summed(pl.concat([named.select(*_OWNER, "amount"), shared]), "amount", "billing.cost_to_serve")


def recorded_costs(facts: pl.DataFrame, tenants: pl.DataFrame) -> pl.DataFrame:
    """Costs recorded by events, a row each.

    Returns:
        tenant, source, id of the event, customer (null: nobody's in particular), currency, service, service_from,
        service_to (days), amount.
    """
    data = pl.col("data")
    read = {
        name: pl.coalesce(event_field(name), data.str.json_path_match(f"$.{other}")) for name, other in _FOCUS.items()
    }
    bounds = {
        "service_from": ("$.period.from", "$.ChargePeriodStart"),
        "service_to": ("$.period.to", "$.ChargePeriodEnd"),
    }
    dated = (
        facts.filter(pl.col("type") == COST)
        .join(tenants.select("tenant", "timezone", own="currency"), on="tenant")
        .with_columns(
            event_field("customer"),
            *(one.alias(name) for name, one in read.items()),
            *(
                pl.coalesce(*(data.str.json_path_match(path) for path in paths)).alias(name)
                for name, paths in bounds.items()
            ),
        )
        .with_columns(
            pl.col("amount").cast(EXACT, strict=False),
            pl.coalesce("currency", "own").alias("currency"),
            *(pl.col(name).str.slice(0, 10).str.to_date(strict=False) for name in bounds),
        )
    )
    # A cost without a period belongs to the day of its event.
    by_day = local_date(dated.with_columns(pl.col("time").cast(INSTANT)), pl.col("time"), "timezone", "day")
    start = pl.coalesce("service_from", "day")
    end = pl.max_horizontal(pl.coalesce("service_to", start.dt.offset_by("1d")), start.dt.offset_by("1d"))
    return by_day.drop_nulls("amount").select(
        "tenant",
        "source",
        "id",
        "customer",
        "currency",
        "service",
        start.alias("service_from"),
        end.alias("service_to"),
        "amount",
    )


def _shared(costs: pl.DataFrame, used: pl.DataFrame) -> pl.DataFrame:
    """Costs of nobody in particular, by usage share; cumulated, so that the parts add up to the cost."""
    place = ["tenant", "month", "metric"]
    shares = used.filter(pl.col("value") > 0).with_columns(
        (pl.col("value") / pl.col("value").sum().over(place)).alias("weight")
    )
    by_meter = costs.with_columns(pl.format("usage.{}", "service").alias("metric")).join(
        shares.select(*place, "customer", "weight"), on=place
    )
    overall = shares.group_by("tenant", "month", "customer").agg(pl.col("weight").sum())
    rest = costs.join(by_meter.select("cost").unique(), on="cost", how="anti").join(
        overall, on=["tenant", "month"], how="left"
    )
    columns = ["cost", "tenant", "month", "currency", "amount", "customer", "weight"]
    whole = pl.concat([by_meter.select(columns), rest.select(columns)]).sort("cost", "customer")
    weight = pl.col("weight").fill_null(pl.lit(1).cast(EXACT))
    ends = weight.cum_sum().over("cost")
    total = weight.sum().over("cost")
    part = pl.col("amount") * ends / total - pl.col("amount") * (ends - weight) / total
    return whole.with_columns(part.alias("amount"), pl.col("customer").fill_null("")).select(*_OWNER, "amount")
