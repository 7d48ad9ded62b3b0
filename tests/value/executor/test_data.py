"""Measured data as people have it: CSV and Parquet, dates of many kinds, gaps, garbage."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
import yaml

from valueverse.errors import RefusalError
from valueverse.services.value.model_inputs import read_data
from valueverse.value.architect.compiler.program import compile_model
from valueverse.value.architect.document.parsing import parse_model
from valueverse.value.executor.binding import read_metrics
from valueverse.value.executor.run import RunRequest, run_model

if TYPE_CHECKING:
    from pathlib import Path

HEADER = "metric,customer,period,value\n"


def series(data: pl.DataFrame | None, missing: Any = "error", **more: Any) -> list[float]:
    axis = {"grain": "month", "periods": 3} | more.pop("axis", {})
    given = {"bind": {"metric": "m"} | more.pop("bind", {}), "missing": missing}
    document = {
        "schema": "valueverse.value_model/v1", "model": "m", "axis": axis,
        "inputs": {"x": given}, "variables": {"y": {"expr": "x"}},
    }  # fmt: skip
    program = compile_model(parse_model(yaml.safe_dump(document)))
    found: list[float] = run_model(program, data, RunRequest())["scenarios"]["base"]["series"]["y"]
    return found


def csv(folder: Path, *rows: str) -> pl.DataFrame | None:
    file = folder / "data.csv"
    file.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return read_data(file, None)


def test_whole_numbers_in_the_first_hundred_rows_of_a_csv_do_not_forbid_a_fraction_later(tmp_path: Path) -> None:
    rows = [f"m,c,{t},{t}" for t in range(1, 151)]
    assert series(csv(tmp_path, *rows, "m,c,151,1.5"), axis={"periods": 151})[-1] == 1.5


@pytest.mark.parametrize("policy", ["error", "zero", {"default": 5}])
def test_a_value_that_is_no_number_is_refused_and_never_passes_for_missing(tmp_path: Path, policy: Any) -> None:
    with pytest.raises(RefusalError, match="'abc'") as refused:
        series(csv(tmp_path, "m,c,1,1", "m,c,2,abc", "m,c,3,3"), policy)
    assert (refused.value.code, refused.value.path) == ("bad_data", "value")


def test_an_empty_value_is_missing_and_an_empty_line_is_nothing(tmp_path: Path) -> None:
    assert series(csv(tmp_path, "m,c,1,1", "m,c,2,", "", "m,c,3, 3 "), {"default": 9}) == [1.0, 9.0, 3.0]


@pytest.mark.parametrize("period", ["", "--5", "²", "-", "2024-13", "1e3", "\uff12-01"])
def test_a_period_that_is_none_is_refused(tmp_path: Path, period: str) -> None:
    with pytest.raises(RefusalError) as refused:
        series(csv(tmp_path, f"m,c,{period},1"), "zero")
    assert (refused.value.code, refused.value.path) == ("bad_data", "period")


def test_dates_and_numbers_as_periods_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="not both"):
        series(csv(tmp_path, "m,c,2024-01,1", "m,c,2,1"), "zero")


def test_a_year_of_an_axis_of_years_is_a_date(tmp_path: Path) -> None:
    axis = {"grain": "year", "periods": 2}
    assert series(csv(tmp_path, "m,c,2024,5", "m,c,2025,6"), axis=axis) == [5.0, 6.0]


@pytest.mark.parametrize(
    "periods",
    [
        [1, 2, 3],
        [1.0, 2.0, 3.0],
        ["2024-01", "2024-02", "2024-03"],
        ["2024-01-31T00:00:00Z", "2024-02-01 00:00:00", "2024-03-01"],
        [dt.date(2024, month, 1) for month in (1, 2, 3)],
        [dt.datetime(2024, month, 1, tzinfo=dt.UTC) for month in (1, 2, 3)],
        [dt.datetime(2024, month, 1, tzinfo=dt.UTC).replace(tzinfo=None) for month in (1, 2, 3)],
    ],
)
def test_parquet_may_hold_its_periods_as_texts_numbers_dates_or_times(tmp_path: Path, periods: list[Any]) -> None:
    file = tmp_path / "data.parquet"
    frame = pl.DataFrame({"metric": ["m"] * 3, "customer": ["c"] * 3, "period": periods, "value": [1, 2, 3]})
    frame.write_parquet(file)
    assert series(read_data(file, None)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("column", "values"), [("value", [[1]]), ("value", [True]), ("metric", [{"a": 1}]), ("period", [[1]])]
)
def test_columns_of_lists_structs_and_truths_are_refused_by_name(column: str, values: list[Any]) -> None:
    frame = pl.DataFrame({"metric": ["m"], "period": ["1"], "value": [1.0]} | {column: values})
    with pytest.raises(RefusalError, match=f"'{column}'") as refused:
        read_metrics(frame)
    assert (refused.value.code, refused.value.path) == ("bad_data", column)


def test_a_value_is_not_carried_forward_for_longer_than_stated_into_the_first_period_either(tmp_path: Path) -> None:
    old = csv(tmp_path, "m,c,2024-01,1")
    with pytest.raises(RefusalError, match="no value in period 1"):
        series(old, {"carry_forward": "2 months"}, axis={"start": "2024-06-01"})
    assert series(old, {"carry_forward": "3 months"}, axis={"start": "2024-02-01"}) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(("agg", "expected"), [("sum", 4.0), ("max", 6.0), ("min", 1.0), ("first", 1.0), ("last", 5.0)])
def test_a_window_has_the_greatest_of_its_maxima_and_the_mean_of_its_sums(
    tmp_path: Path, agg: str, expected: float
) -> None:
    data = csv(tmp_path, "m,c,-2,1", "m,c,-1,6", "m,c,0,5")
    assert series(data, bind={"agg": agg, "window": "3 months", "freeze": "baseline"}) == [expected] * 3


def test_a_sum_that_overflows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="too large"):
        series(csv(tmp_path, *["m,c,1,1e308"] * 2), "zero")


def test_a_metric_that_the_data_lack_is_named_with_the_one_that_was_probably_meant(tmp_path: Path) -> None:
    data = csv(tmp_path, "usage.tickets,c,1,1")
    message = "'x' has no value in period 1: no metric 'usage.tikets': did you mean 'usage.tickets'"
    with pytest.raises(RefusalError, match=message):
        series(data, bind={"metric": "usage.tikets"})
    assert series(data, "zero", bind={"metric": "usage.tikets"}) == [0, 0, 0]


def test_a_customer_of_whom_the_data_hold_nothing_is_refused_and_never_stood_in_for(tmp_path: Path) -> None:
    csv(tmp_path, "m,globex,1,1", "m,initech,1,")
    with pytest.raises(RefusalError, match="nothing of the customer 'globx': did you mean 'globex'") as refused:
        read_data(tmp_path / "data.csv", "globx")
    assert (refused.value.code, refused.value.path) == ("unknown_customer", "--customer")
    initech = read_data(tmp_path / "data.csv", "initech")
    assert initech is not None
    assert initech.is_empty()
