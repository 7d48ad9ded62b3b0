"""Measure the metrics that catalogs register on marts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.errors import RefusalError
from valueverse.platform.stores.mart_metrics import MartColumn, columns_of, read_mart
from valueverse.schemas.value import METRIC_VALUES, REFUSED_METRICS
from valueverse.value.realisation import check_columns, registered_metrics, valid_metric_values

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import psycopg

    from valueverse.catalog import CatalogHistory


def mart_metrics(
    connection: psycopg.Connection[Any], history: CatalogHistory, tenants: pl.DataFrame, months: Sequence[date]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Values of the metrics that the catalogs of these months register, from the current marts.

    Args:
        connection: as builder.
        history: the tenants' catalogs.
        tenants: tenant, timezone.
        months: first days.

    Returns:
        METRIC_VALUES; and REFUSED_METRICS: metrics that cannot be read, or months that hold what is no value.
    """
    values, refused = [METRIC_VALUES.to_frame()], [REFUSED_METRICS.to_frame()]
    wanted = registered_metrics(history, tenants, months)
    columns = columns_of(connection, sorted({metric.mart for metric, _ in wanted}))
    for metric, rows in wanted:
        try:
            instants = check_columns(metric, columns)
        except RefusalError as refusal:
            reason = pl.lit(f"{refusal.message} [{refusal.code}]").alias("reason")
            refused.append(rows.select("tenant", "month", reason))
            continue
        source = MartColumn(
            metric.mart,
            metric.column,
            metric.month,
            instants,
            metric.customer,
            metric.currency_column,
            metric.aggregation,
        )
        counted, wrong = valid_metric_values(metric, read_mart(connection, source, rows))
        values.append(counted)
        refused.append(wrong)
    return pl.concat(values), pl.concat(refused)
