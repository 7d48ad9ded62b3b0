"""Lines that wait for a price are shown with the month in which their invoice closes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import polars as pl

from valueverse.schemas.invoicing import HELD_LINES
from valueverse.services.billing import run_billing


def test_a_line_waits_in_the_tenants_month_that_holds_the_last_instant_of_its_period() -> None:
    march_in_new_york = datetime(2024, 3, 1, 5, tzinfo=UTC)
    april_in_new_york = datetime(2024, 4, 1, 4, tzinfo=UTC)
    row = {
        "tenant": "acme", "customer": "c", "subscription": "s", "period_from": march_in_new_york,
        "period_to": april_in_new_york, "revision": 0, "key": "calls", "problem": "out_of_range",
    }  # fmt: skip
    lines = pl.DataFrame(
        [row | {"invoice_type": kind} for kind in ("period", "start")], schema=HELD_LINES.part(*HELD_LINES.names()[:-1])
    )
    timeline: Any = SimpleNamespace(tenants=pl.DataFrame({"tenant": ["acme"], "timezone": ["America/New_York"]}))
    found = run_billing._with_month(lines, timeline)
    assert found["month"].to_list() == [date(2024, 3, 1), date(2024, 3, 1)]
    assert set(found.columns) == {*HELD_LINES, "timezone"}
    begins_a_day_early = lines.with_columns(pl.col("period_from") - pl.duration(days=1))
    assert run_billing._with_month(begins_a_day_early, timeline)["month"].to_list() == [
        date(2024, 3, 1),
        date(2024, 2, 1),
    ]
    assert run_billing._with_month(lines.clear(), timeline).schema == found.schema
