"""Metrics -> the values of bound inputs: aggregated by period, frozen over a window, and filled as the policy says."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from valueverse.errors import RefusalError
from valueverse.value.architect.ir import Binding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from valueverse.value.architect.ir import Input, Program

    Floats = NDArray[np.float64]

METRICS = pl.Schema({"metric": pl.String(), "customer": pl.String(), "period": pl.String(), "value": pl.Float64()})
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_AGGREGATIONS = {
    "sum": pl.col("value").sum(),
    "mean": pl.col("value").mean(),
    "min": pl.col("value").min(),
    "max": pl.col("value").max(),
    "first": pl.col("value").first(),
    "last": pl.col("value").last(),
    "count": pl.len().cast(pl.Float64),
}


@dataclass(frozen=True)
class Bound:
    """Values of bound inputs (1 x periods or 1 x 1) and what was carried or defaulted in them."""

    values: dict[str, Floats]
    flags: list[dict[str, Any]]


def read_metrics(frame: pl.DataFrame, customer: str | None = None) -> pl.DataFrame:
    """Judge a frame of metric, customer, period, value; ``period`` is a date (2024-01, 2024-01-31) or a number (1 = t).

    Raises:
        RefusalError: ``bad_data`` with the column.
    """
    missing = [name for name in ("metric", "period", "value") if name not in frame.columns]
    if missing:
        raise RefusalError(
            "bad_data", f"the data has no column {missing[0]!r}: metric, customer, period, value", missing[0]
        )
    whole = frame.with_columns(pl.lit("").alias("customer")) if "customer" not in frame.columns else frame
    found = whole.select(
        pl.col("metric").cast(pl.String),
        pl.col("customer").cast(pl.String),
        pl.col("period").cast(pl.String),
        pl.col("value").cast(pl.Float64, strict=False),
    )
    wrong = found.filter(~pl.col("value").is_finite().fill_null(value=True))
    if wrong.height:
        raise RefusalError("bad_data", f"a value of {wrong['metric'][0]!r} is not a number", "value")
    mine = found if customer is None else found.filter(pl.col("customer") == customer)
    return mine.drop_nulls("value")


def bind(program: Program, metrics: pl.DataFrame, start: str | None = None) -> Bound:
    """Values of every bound input of a program.

    Args:
        program: whose inputs.
        metrics: as ``read_metrics`` gives them; several customers add up by the binding's aggregation.
        start: first day of period 1; None: the model's, else the first period that the data holds (behind the longest
            window that is frozen).

    Raises:
        RefusalError: ``missing_metric`` where the policy is ``error``, with the input and the first period.
    """
    bound = [(one, one.source) for one in program.inputs if isinstance(one.source, Binding)]
    if not bound:
        return Bound({}, [])
    placed = _placed(program, metrics, start or program.axis.start, [source for _, source in bound])
    values, flags = {}, []
    for one, source in bound:
        series = placed.filter(pl.col("metric") == source.metric)
        by_period = dict(
            series.group_by("t", maintain_order=True).agg(_AGGREGATIONS[source.aggregation].alias("value")).iter_rows()
        )
        values[one.name], found = _filled(one, source, by_period, program.axis.periods)
        flags += found
    return Bound(values, flags)


def _number(text: str, grain: str) -> int:
    """A period's place on a line without a beginning: the number itself, or months, weeks or days since year 0."""
    if text.lstrip("-").isdigit() and len(text) < 6:
        return int(text)
    try:
        day = dt.date.fromisoformat(text if len(text) > 7 else f"{text}-01")
    except ValueError as error:
        raise RefusalError(
            "bad_data", f"{text[:40]!r} is neither a date like 2024-01 nor a number", "period"
        ) from error
    if grain == "day":
        return day.toordinal()
    if grain == "week":
        return (day.toordinal() - 1) // 7
    return (day.year * 12 + day.month - 1) // _MONTHS[grain]


def _placed(program: Program, metrics: pl.DataFrame, start: str | None, sources: list[Binding]) -> pl.DataFrame:
    """Metrics with ``t``: 1 is the first period of the axis, 0 and below lie before it."""
    grain = program.axis.grain
    texts = metrics["period"].unique()
    numbers = {text: _number(text, grain) for text in texts}
    dated = any(not (text.lstrip("-").isdigit() and len(text) < 6) for text in texts)
    if not dated:
        offset = 0
    elif start is not None:
        offset = _number(start, grain) - 1
    else:
        window = max((source.window or 0 for source in sources if source.frozen), default=0)
        offset = min(numbers.values(), default=1) + window - 1
    return metrics.with_columns(
        (pl.col("period").replace_strict(numbers or {"": 0}, return_dtype=pl.Int64) - offset).alias("t")
    ).sort("metric", "t", "period", "customer")


def _filled(
    one: Input, source: Binding, by_period: dict[int, float], periods: int
) -> tuple[Floats, list[dict[str, Any]]]:
    if source.frozen is not None or source.window is not None:
        width = source.window or 1
        wanted = range(1 - width, 1)
        series, flags = _series(one, by_period, wanted)
        return np.array([[float(np.mean(series))]]), flags
    series, flags = _series(one, by_period, range(1, periods + 1))
    return np.array([series]), flags


def _series(one: Input, by_period: dict[int, float], wanted: range) -> tuple[list[float], list[dict[str, Any]]]:
    found: list[float] = []
    flags: list[dict[str, Any]] = []
    last: float | None = next((by_period[t] for t in sorted(by_period, reverse=True) if t < wanted.start), None)
    carried = 0
    policy = one.missing
    for t in wanted:
        if t in by_period:
            last, carried = by_period[t], 0
            found.append(last)
            continue
        carried += 1
        value = _stand_in(policy, last, carried)
        if value is None:
            raise RefusalError(
                "missing_metric",
                f"the input {one.name!r} has no value in period {t}: bring the metric, or say what stands in with "
                "`missing: {carry_forward: ...}`, `{default: ...}` or `zero`",
                f"inputs.{one.name}",
            )
        found.append(value)
        flags.append({"input": one.name, "period": t, "policy": policy.policy, "value": value})
    return found, flags


def _stand_in(policy: Any, last: float | None, carried: int) -> float | None:
    if policy.policy == "zero":
        return 0.0
    if policy.policy == "default":
        return float(policy.value)
    if policy.policy == "carry_forward" and (policy.most is None or carried <= policy.most):
        return last
    return None
