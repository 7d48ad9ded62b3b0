"""Metrics -> the values of bound inputs: aggregated by period, frozen over a window, and filled as the policy says."""

from __future__ import annotations

import datetime as dt
import math
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from valueverse.dates import month_number
from valueverse.errors import RefusalError
from valueverse.value.architect import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from numpy.typing import NDArray

    from valueverse.value.architect import Input, Program, Scenario

    Floats = NDArray[np.float64]
    _Placed = dict[tuple[str, str], dict[int, list[float]]]

_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_AGGREGATIONS: dict[str, Callable[[list[float]], float]] = {
    "sum": math.fsum,
    "mean": lambda values: math.fsum(values) / len(values),
    "min": min,
    "max": max,
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "count": lambda values: float(len(values)),
}
"""In Python, where a sum has the same bits whatever the threads; a period has few rows."""
_PLACE = re.compile(r"-?[0-9]{1,5}(?:\.0+)?\Z", re.ASCII)
"""A period that is written as a number."""


@dataclass(frozen=True)
class Bound:
    """Values of bound inputs (1 x periods or 1 x 1) and what was carried or defaulted in them."""

    values: dict[str, Floats]
    flags: list[dict[str, Any]]


def read_metrics(frame: pl.DataFrame, customer: str | None = None, *, empty: bool = False) -> pl.DataFrame:
    """Check a frame of metric, customer, period, value; ``period`` is a date (2024-01, 2024-01-31) or a number (1 = t).

    Args:
        frame: as read from a file.
        customer: whose rows; None: all.
        empty: keep rows without a value: they still say that their customer is one.

    Raises:
        RefusalError: ``bad_data`` with the column.
    """
    missing = [name for name in ("metric", "period", "value") if name not in frame.columns]
    if missing:
        raise RefusalError(
            "bad_data", f"the data has no column {missing[0]!r}: metric, customer, period, value", missing[0]
        )
    whole = frame.with_columns(pl.lit("").alias("customer")) if "customer" not in frame.columns else frame
    for name in ("metric", "customer", "period"):
        if frame.schema.get(name, pl.String()).is_nested():
            raise RefusalError("bad_data", f"the column {name!r} holds {frame.schema[name]}, not texts", name)
    period = pl.col("period")
    found = whole.select(
        pl.col("metric").cast(pl.String),
        pl.col("customer").cast(pl.String),
        (period.cast(pl.Date) if isinstance(frame.schema["period"], pl.Datetime) else period).cast(pl.String),
        _numbers(frame),
    ).filter(~pl.all_horizontal(pl.col("metric", "period", "value").is_null()))  # an empty line of a CSV
    wrong = found.filter(~pl.col("value").is_finite().fill_null(value=True))
    if wrong.height:
        raise RefusalError("bad_data", f"a value of {wrong['metric'][0]!r} is not a number", "value")
    if found["period"].null_count():
        raise RefusalError("bad_data", "a row has no period: a date like 2024-01, or a number", "period")
    mine = found if customer is None else found.filter(pl.col("customer") == customer)
    return mine if empty else mine.drop_nulls("value")


def _numbers(frame: pl.DataFrame) -> pl.Series:
    """The values; null where there is none. What is there and no number is refused, or it would pass for missing."""
    values = frame["value"]
    if values.dtype.is_numeric() or values.dtype == pl.Null():
        return values.cast(pl.Float64)
    if values.dtype != pl.String():
        raise RefusalError("bad_data", f"the column 'value' holds {values.dtype}, not numbers", "value")
    texts = values.str.strip_chars()
    found = texts.cast(pl.Float64, strict=False)
    wrong = frame.filter(found.is_null() & (texts.fill_null("") != ""))
    if wrong.height:
        metric, text = wrong["metric"][0], wrong["value"][0]
        raise RefusalError("bad_data", f"a value of {str(metric)[:60]!r} is not a number: {text[:40]!r}", "value")
    return found


def bind_inputs(program: Program, metrics: pl.DataFrame, start: str | None = None) -> Bound:
    """Values of every bound input of a program.

    Args:
        program: whose inputs.
        metrics: as ``read_metrics`` gives them; several customers are aggregated as if they were one.
        start: first day of period 1; None: the model's, else the first period that the data holds behind the longest
            window.

    Raises:
        RefusalError: ``missing_metric`` where the policy is ``error``, with the input and the first period, and with
            the metric that was probably meant where there is none of that name.
    """
    placed = _placed(program, metrics.with_columns(owner=pl.lit("")), start)
    return _bound(program, placed, "", set(metrics["metric"].drop_nulls().unique()))


def values_before(
    program: Program, metrics: pl.DataFrame, start: str | None = None
) -> dict[str, dict[int, list[float]]]:
    """By metric of a bound input: the values of each period before the first, 0 being the last of them.

    Args:
        program: whose inputs.
        metrics: as ``bind_inputs`` takes them.
        start: as ``bind_inputs`` takes it.
    """
    placed = _placed(program, metrics.with_columns(owner=pl.lit("")), start)
    before = {metric: {t: found for t, found in sorted(rows.items()) if t <= 0} for (_, metric), rows in placed.items()}
    return {metric: rows for metric, rows in sorted(before.items()) if rows}


def bind_each(program: Program, metrics: pl.DataFrame, start: str | None = None) -> dict[str, Bound]:
    """``bind_inputs`` for every customer in the metrics by itself, ascending.

    Without a start each customer's axis begins with the first period that its own data hold.

    Raises:
        RefusalError: as ``bind_inputs``, with the customer; ``bad_data``: a row has none.
    """
    customers = metrics["customer"].unique().sort().to_list()
    if not customers:
        raise RefusalError("bad_data", "the data hold no rows: metric, customer, period, value", "customer")
    if None in customers or "" in customers:
        raise RefusalError("bad_data", "a row has no customer, and every customer is run by itself", "customer")
    placed = _placed(program, metrics.with_columns(owner=pl.col("customer")), start)
    found = {}
    for customer in customers:
        with naming(customer):
            found[customer] = _bound(program, placed, customer)
    return found


def in_scenario(program: Program, scenario: Scenario) -> Program:
    """The program with the inputs as a scenario has them."""
    inputs = (replace(one, source=scenario.overrides.get(one.name, one.source)) for one in program.inputs)
    return replace(program, inputs=tuple(inputs))


@contextmanager
def naming(customer: str, scenario: str | None = None) -> Iterator[None]:
    """Refusals raised inside say whose numbers they are about."""
    try:
        yield
    except RefusalError as refusal:
        where = "" if scenario is None else f", scenario {scenario!r}"
        message = f"customer {customer[:60]!r}{where}: {refusal.message}"
        raise RefusalError(refusal.code, message, refusal.path) from refusal


def _bindings(program: Program) -> list[tuple[Input, Binding]]:
    return [(one, one.source) for one in program.inputs if isinstance(one.source, Binding)]


def _bound(program: Program, placed: _Placed, owner: str, known: Collection[str] = ()) -> Bound:
    values, flags = {}, []
    for one, source in _bindings(program):
        if known and source.metric not in known and one.missing.policy == "error":
            message = f"the input {one.name!r} has no value in period {1 - _width(source)}: no metric {source.metric!r}"
            raise RefusalError.unknown("missing_metric", message, source.metric, known, f"inputs.{one.name}")
        by_period = _by_period(placed.get((owner, source.metric), {}), source)
        values[one.name], found = _filled(one, source, by_period, program.axis.periods)
        flags += found
    return Bound(values, flags)


def _by_period(rows: dict[int, list[float]], source: Binding) -> dict[int, float]:
    """One value per period that has any."""
    try:
        return {t: _AGGREGATIONS[source.aggregation](values) for t, values in rows.items()}
    except OverflowError as error:
        raise RefusalError("bad_data", f"the values of {source.metric!r} are too large to add up", "value") from error


def _is_place(text: str, grain: str) -> bool:
    """Whether a period is a number; a year of an axis of years is a date."""
    return bool(_PLACE.match(text)) and not (grain == "year" and len(text) == 4 and text.isdigit())


def _number(text: str, grain: str) -> int:
    """A period's place on a line without a beginning: the number itself, or months, weeks or days since year 0."""
    if _is_place(text, grain):
        return int(float(text))
    whole = f"{text}-01-01" if len(text) == 4 else f"{text}-01" if len(text) == 7 else text
    try:
        day = dt.datetime.fromisoformat(whole)
    except ValueError as error:
        raise RefusalError(
            "bad_data", f"{text[:40]!r} is neither a date like 2024-01 nor a number", "period"
        ) from error
    if grain == "day":
        return day.toordinal()
    if grain == "week":
        return (day.toordinal() - 1) // 7
    return month_number(day) // _MONTHS[grain]


def _placed(program: Program, metrics: pl.DataFrame, start: str | None) -> _Placed:
    """Values by owner and metric, then by period: 1 is the first of the axis, 0 and below lie before it."""
    grain, start = program.axis.grain, start or program.axis.start
    sources = [source for _, source in _bindings(program)]
    if not sources:
        return {}
    rows = metrics.drop_nulls("value")
    texts = rows["period"].unique()
    numbers = {text: _number(text, grain) for text in texts}
    places = [text for text in texts if _is_place(text, grain)]
    dated = len(places) < len(texts)
    if dated and places:
        raise RefusalError("bad_data", f"periods are dates or numbers, not both: {places[0]!r} is a number", "period")
    number = pl.col("period").replace_strict(numbers or {"": 0}, return_dtype=pl.Int64)
    if not dated:
        offset = pl.lit(0)
    elif start is not None:
        offset = pl.lit(_number(start, grain) - 1)
    else:
        window = max(map(_width, sources), default=0)
        offset = number.min().over("owner") + window - 1
    ordered = rows.with_columns((number - offset).alias("t")).sort("t", "period", "customer", maintain_order=True)
    wanted = ordered.filter(pl.col("metric").is_in({source.metric for source in sources}))
    found: _Placed = {}
    for owner, metric, t, value in wanted.select("owner", "metric", "t", "value").iter_rows():
        found.setdefault((owner, metric), {}).setdefault(t, []).append(value)
    return found


def _width(source: Binding) -> int:
    """Periods before the first one that a value is made of; 0: it is measured in every period."""
    return source.window or int(source.frozen is not None)


def _filled(
    one: Input, source: Binding, by_period: dict[int, float], periods: int
) -> tuple[Floats, list[dict[str, Any]]]:
    width = _width(source)
    if width:
        wanted = range(1 - width, 1)
        series, flags = _series(one, by_period, wanted)
        whole = source.aggregation if source.aggregation in {"min", "max", "first", "last"} else "mean"
        return np.array([[_AGGREGATIONS[whole](series)]]), flags
    series, flags = _series(one, by_period, range(1, periods + 1))
    return np.array([series]), flags


def _series(one: Input, by_period: dict[int, float], wanted: range) -> tuple[list[float], list[dict[str, Any]]]:
    found: list[float] = []
    flags: list[dict[str, Any]] = []
    before = max((t for t in by_period if t < wanted.start), default=None)
    last = None if before is None else by_period[before]
    carried = 0 if before is None else wanted.start - 1 - before
    policy = one.missing
    for t in wanted:
        if t in by_period:
            last, carried = by_period[t], 0
            found.append(last)
            continue
        carried += 1
        value = _default_value(policy, last, carried)
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


def _default_value(policy: Any, last: float | None, carried: int) -> float | None:
    if policy.policy == "zero":
        return 0.0
    if policy.policy == "default":
        return float(policy.value)
    if policy.policy == "carry_forward" and (policy.most is None or carried <= policy.most):
        return last
    return None
