from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl

from valueverse.metering.quantities import QuantityScope, meter_quantities
from valueverse.schemas.catalog import METER_VERSIONS
from valueverse.schemas.metering import USAGE, WINDOWS


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def usage(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        "tenant": "t",
        "customer": "c",
        "subscription": None,
        "event_type": "use",
        "source": "s",
        "known_until": None,
        "meter": "m",
        "value": None,
        "text_value": None,
        "operation": None,
        "dimensions": "",
        "status": "ok",
    }
    filled = [
        {**base, "id": f"{number:06d}", "received_at": row["time"], "event_date": row["time"].date(), **row}
        for number, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema=USAGE).with_columns(pl.col("id").alias("root_id"))


def windows(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {"tenant": "t", "customer": "c", "subscription": None, "meter": "m", "timezone": "UTC"}
    extra = {"prorate": pl.Boolean, "round_prorated": pl.Int32}
    filled = [
        {**base, "window": number, "full_from": row["from"], "full_to": row["to"], "prorate": False, **row}
        for number, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema={**WINDOWS, **extra})


def meters(aggregation: str, **more: Any) -> pl.DataFrame:
    row = {"tenant": "t", "meter": "m", "aggregation": aggregation, "carry_over": False, **more}
    names = ("tenant", "meter", "aggregation", "carry_over", "rounding_mode", "rounding_places")
    return pl.DataFrame([row], schema={name: METER_VERSIONS[name] for name in names})


def quantities(frame: pl.DataFrame, asked: pl.DataFrame, meter: pl.DataFrame, **more: Any) -> dict[Any, Any]:
    """(window, dimensions) -> (quantity, event_count)."""
    known_at = more.pop("known_at", None)
    found = meter_quantities(frame.lazy(), asked, meter, known_at, QuantityScope(**more))
    return {(row["window"], row["dimensions"]): (row["quantity"], row["event_count"]) for row in found.to_dicts()}
