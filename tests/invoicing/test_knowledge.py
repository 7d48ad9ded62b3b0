"""What was recorded at each tenant's own instant is what that instant alone selects."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl

from valueverse.catalog.history import as_known
from valueverse.invoicing.knowledge import newest_known_at, rows_as_recorded
from valueverse.schemas.types import INSTANT

START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = [START + timedelta(days=day) for day in range(5)]
ROWS = pl.DataFrame(
    [
        (tenant, received, until)
        for tenant in ("early", "late")
        for received in DAYS
        for until in (None, *DAYS)
        if until is None or until > received
    ],
    schema={"tenant": pl.String(), "received_at": INSTANT, "known_until": INSTANT},
    orient="row",
)
KNOWN = {"early": DAYS[1], "late": DAYS[3]}


def test_tenants_together_select_what_each_ones_own_instant_selects() -> None:
    # Which rows were true, whatever end they state: an end that came later was not recorded yet.
    together = (
        rows_as_recorded(ROWS.lazy().with_row_index("row"), KNOWN).filter(as_known(newest_known_at(KNOWN))).collect()
    )
    alone = [
        ROWS.with_row_index("row").filter(pl.col("tenant") == tenant, as_known(moment))
        for tenant, moment in KNOWN.items()
    ]
    assert sorted(together["row"]) == sorted(pl.concat(alone)["row"])


def test_nothing_later_than_a_tenants_own_instant_is_left() -> None:
    recorded = rows_as_recorded(ROWS.lazy(), KNOWN).collect()
    own = pl.col("tenant").replace_strict(KNOWN, return_dtype=INSTANT)
    later = recorded.filter(pl.max_horizontal("received_at", "known_until") > own)
    assert later.is_empty()
    assert recorded.filter(pl.col("known_until").is_not_null()).height > 0
