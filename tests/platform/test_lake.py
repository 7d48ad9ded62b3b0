"""The lake's tables: whole versions, idempotent replacement, right schema before the first write."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl
import pytest

from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake, LakeTable

if TYPE_CHECKING:
    from pathlib import Path

TABLE = LakeTable("things", pl.Schema({"day": pl.Date(), "name": pl.String(), "n": pl.Decimal(38, 18)}), "day")
ONE, TWO = date(2024, 1, 1), date(2024, 1, 2)


def _frame(*rows: tuple[date, str, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["day", "name", "n"], orient="row")


def _names(lake: Lake, dates: list[date] | None = None) -> list[str]:
    return sorted(lake.scan(TABLE, dates).collect()["name"])


def test_a_table_that_does_not_exist_is_empty_with_its_schema(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    assert lake.scan(TABLE).collect().schema == TABLE.schema
    assert (lake.version(TABLE), lake.state(TABLE), lake.dates(TABLE)) == (-1, "", [])
    assert lake.open(TABLE).arrow_dataset().count_rows() == 0


def test_dates_are_replaced_and_others_stay(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(TABLE, _frame((ONE, "a", 1), (TWO, "b", 2)))
    for _ in range(2):
        lake.replace_dates(TABLE, _frame((ONE, "c", 3)), [ONE])
    assert _names(lake) == ["b", "c"]
    assert _names(lake, [TWO]) == ["b"]
    lake.replace_dates(TABLE, TABLE.schema.to_frame(), [ONE])
    assert lake.dates(TABLE) == [TWO]


def test_rows_are_replaced_where_every_column_fits_even_with_quotes(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(TABLE, _frame((ONE, "it's", 1), (ONE, "b", 2)))
    lake.replace_where(TABLE, [_frame((TWO, "it's", 5))], {"name": ["it's"]})
    assert lake.scan(TABLE).sort("day").collect().select("name", "n").rows() == [("b", 2), ("it's", 5)]


def test_a_table_made_again_has_another_state(tmp_path: Path) -> None:
    states = set()
    for name in ("a", "b"):
        lake = Lake(tmp_path / name)
        lake.append(TABLE, _frame((ONE, "a", 1)))
        states.add(lake.state(TABLE))
    assert len(states) == 2


def test_a_damaged_lake_is_reported_with_its_address(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.append(TABLE, _frame((ONE, "a", 1)))
    for log in (tmp_path / "things/_delta_log").glob("*.json"):
        log.write_text("{")
    with pytest.raises(RefusalError) as refusal:
        lake.version(TABLE)
    assert refusal.value.code == "lake_failed"
    assert str(tmp_path) in refusal.value.message


def test_a_table_of_many_commits_is_the_same_read_from_its_checkpoint(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    days = [date(2024, 1, day) for day in range(1, 26)]
    for number, day in enumerate(days):
        # "n" is null in every row but those of the first and the last commit
        rows = pl.DataFrame(
            {"day": [day, day], "name": [f"a{number}", f"b{number}"], "n": [number if number in {0, 24} else None] * 2},
            schema_overrides=TABLE.schema,
        )
        lake.append(TABLE, rows)
    log = tmp_path / TABLE.name / "_delta_log"
    assert len(list(log.glob("*.checkpoint.parquet"))) == 2
    # a reader that would go through all commits one by one has none of them left
    for commit in sorted(log.glob("*.json"))[:20]:
        commit.unlink()
    opened = lake.open(TABLE)
    assert opened.dates() == days
    assert opened.dates_with("n") == [days[0], days[-1]]
    assert (opened.counted("n"), opened.counted("name")) == (4, 50)
    assert opened.files().select("date", "rows").sort("date").rows() == [(day, 2) for day in days]
    assert _names(lake, days[3:5]) == ["a3", "a4", "b3", "b4"]
    lake.replace_dates(TABLE, TABLE.schema.to_frame(), days[1:])
    assert _names(lake) == ["a0", "b0"]
