"""Frames of value models: metrics, the invoiced lines behind them, and results."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, TEXT

METRIC_VALUES = Contract(
    {
        "tenant": TEXT, "metric": TEXT, "customer": TEXT, "month": pl.Date(), "currency": TEXT, "value": EXACT,
    },
    key=("tenant", "metric", "customer", "month", "currency"),
    nullable=("currency",),
)  # fmt: skip
"""One value per metric, customer and month (its first day); ``currency`` of money only."""

INVOICED_LINES = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "kind": TEXT, "currency": TEXT, "service_from": pl.Date(),
        "service_to": pl.Date(), "net": EXACT,
    }
)  # fmt: skip
"""Lines of finalised invoices: service days in the invoice's zone, ``net`` after discounts, before tax, major units."""

RECORDED_METRICS = Contract(
    {"metric": TEXT, "customer": TEXT, "period": TEXT, "value": TEXT}, key=("metric", "customer", "period")
)
"""Metrics of a tenant as they are recorded; ``period``: YYYY-MM, ``value``: the exact number."""

MODEL_METRICS = Contract({"metric": TEXT, "customer": TEXT, "period": TEXT, "value": pl.Float64()})
"""Metrics as a model binds them."""

PORTFOLIO_RESULTS = Contract(
    {
        "customer": TEXT, "scenario": TEXT, "output": TEXT, "value": pl.Float64(), "mean": pl.Float64(),
        "level": pl.List(pl.Float64), "percentile": pl.List(pl.Float64), "missing": pl.Float64(),
    },
    key=("customer", "scenario", "output"),
    nullable=("value", "mean", "level", "percentile"),
)  # fmt: skip
"""``value`` is the output at the means of the inputs, ``mean`` its mean over the draws that have a number;
``percentile[i]`` is the value below which ``level[i]`` percent of those lie, ``missing`` the share of draws without a
number. Null where the means, or all of the draws, have none."""

REFUSED_METRICS = Contract({"tenant": TEXT, "month": pl.Date(), "reason": TEXT})
"""Metrics of months that cannot be read, with the reason."""

AGREED_COMMITS = Contract(
    {"tenant": TEXT, "commit_id": TEXT, "parent": TEXT, "document": TEXT, "closed": pl.Boolean()},
    key=("tenant", "commit_id"),
    nullable=("parent",),
)
"""Commits that both sides have approved; ``document``: JSON text."""

MART_COLUMNS = Contract({"mart": TEXT, "column": TEXT, "type": TEXT}, key=("mart", "column"))
"""Columns of marts with their types in Postgres."""

MART_VALUES = Contract(
    {"tenant": TEXT, "customer": TEXT, "month": pl.Date(), "currency": TEXT, "value": EXACT},
    key=("tenant", "customer", "month", "currency"),
    nullable=("currency", "value"),
)
"""``value`` is null where the number has more than 20 digits before the point, or is none (NaN)."""
