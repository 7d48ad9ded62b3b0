"""Metrics that catalogs register on marts: whose they are, whether they can be read, and which values count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import RefusalError
from valueverse.schemas.value import METRIC_VALUES
from valueverse.value.realisation.metrics import tenant_months

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from valueverse.catalog import CatalogHistory, MartMetric

NUMBERS = frozenset({"smallint", "integer", "bigint", "numeric"})
INSTANTS = "timestamp with time zone"
DAYS = frozenset({"date", "timestamp without time zone", INSTANTS})
TENANT = "tenant_id"


def registered_metrics(
    history: CatalogHistory, tenants: pl.DataFrame, months: Sequence[date]
) -> list[tuple[MartMetric, pl.DataFrame]]:
    """Every metric that a catalog registers, with the tenants and months in whose last instant that catalog holds.

    Args:
        history: the tenants' catalogs.
        tenants: tenant, timezone.
        months: first days.

    Returns:
        The metric, and tenant, month, begins, ends: the month's instants in the tenant's zone. Tenants that register
        the same stand together.
    """
    known = sorted({one for catalog in history.catalogs.values() for one in catalog.metrics}, key=repr)
    places = {one: place for place, one in enumerate(known)}
    held = pl.DataFrame(
        [(found, places[one]) for found, catalog in history.catalogs.items() for one in catalog.metrics],
        schema={"catalog_hash": pl.String, "place": pl.Int64},
        orient="row",
    )
    in_force = (
        tenant_months(tenants, months)
        .join(history.versions.select("tenant", "catalog_hash", "effective_at"), on="tenant")
        .filter(pl.col("effective_at") < pl.col("ends"))
        .sort("effective_at")
        .unique(["tenant", "month"], keep="last", maintain_order=True)
    )
    wanted = in_force.join(held, on="catalog_hash").sort("tenant", "month")
    return [
        (known[place], rows.select("tenant", "month", "begins", "ends"))
        for (place,), rows in sorted(wanted.partition_by("place", as_dict=True).items())
    ]


def check_columns(metric: MartMetric, columns: pl.DataFrame) -> bool:
    """Whether the metric's ``month`` holds instants (true) or local days (false).

    Args:
        metric: as registered.
        columns: mart, column, type (as Postgres names it) of the marts that exist.

    Raises:
        RefusalError: ``unknown_mart``; ``unknown_column`` with the one that was probably meant; ``wrong_type``.
    """
    types = dict(columns.filter(pl.col("mart") == metric.mart).select("column", "type").iter_rows())
    named = f"metric {metric.key!r}: "
    if types.get(TENANT) != "text":
        raise RefusalError("unknown_mart", f"{named}there is no mart {metric.mart!r} with a tenant_id", "mart")
    for field, name in metric.columns().items():
        if name not in types:
            raise RefusalError.unknown(
                "unknown_column", f"{named}{metric.mart!r} has no column {name!r}", name, types, field
            )
    if metric.aggregation != "count" and types[metric.column] not in NUMBERS:
        message = f"{metric.column!r} of {metric.mart!r} is {types[metric.column]}: only exact numbers are measured"
        raise RefusalError("wrong_type", named + message, "column")
    if types[metric.month] not in DAYS:
        message = f"{metric.month!r} of {metric.mart!r} is {types[metric.month]}, not a date or an instant"
        raise RefusalError("wrong_type", named + message, "month")
    return bool(types[metric.month] == INSTANTS)


def valid_metric_values(metric: MartMetric, found: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The values that count, and the months of tenants that have one which cannot: none of theirs is taken.

    Leaving out one customer's value would make the tenant's sum a wrong number instead of a missing one.

    Args:
        metric: what they are values of.
        found: tenant, customer, month, currency, value; null: it is no number of 20 digits before the point.

    Returns:
        METRIC_VALUES; and tenant, month, reason, a row per month left out.
    """
    named = f"metric {metric.key!r}: "
    reasons = [
        pl.when(pl.col("value").is_null()).then(
            pl.lit(f"{named}a value is no number, or has more than 20 digits before the point")
        )
    ]
    if metric.currency_column is not None:
        message = f"{named}{metric.currency_column!r} holds {{}}, which is no ISO 4217 code such as USD"
        shown = pl.col("currency").fill_null("nothing").str.slice(0, 40)
        coded = pl.col("currency").fill_null("").str.contains(r"^[A-Z]{3}$")
        reasons.append(pl.when(~coded).then(pl.format(message, shown)))
    rows = found.with_columns(pl.coalesce(reasons).alias("reason"))
    wrong = rows.drop_nulls("reason").unique(["tenant", "month"], keep="first", maintain_order=True)
    counted = rows.join(wrong, on=["tenant", "month"], how="anti").with_columns(pl.lit(metric.key).alias("metric"))
    return counted.select(METRIC_VALUES.names()).cast(METRIC_VALUES), wrong.select("tenant", "month", "reason")
