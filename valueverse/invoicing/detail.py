"""What some prices need beside a quantity: single events, or quantities by dimension."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog.history import as_known
from valueverse.invoicing.charges import projected
from valueverse.metering.schema import OK
from valueverse.rating.engine import EVENTS, Detail

if TYPE_CHECKING:
    from valueverse.invoicing.terms import Terms
    from valueverse.invoicing.usage_lines import Consumption

_KEYS = ["tenant", "customer", "meter"]


def detail_of(
    lines: pl.DataFrame, taken: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption, terms: Terms
) -> Detail:
    """Events and matrix parts of the lines whose price asks for them; lines that are held back ask for nothing."""
    models = lines.join(terms.book.charges.select("charge", "model", "per_event"), on="charge")
    events = _events(models.filter(pl.col("per_event")), taken, windows, consumption)
    cells = _cells(models.filter(pl.col("model") == "matrix"), taken, terms.book.matrix_dimensions)
    return Detail(pl.concat([events, cells]))


def _on_line(models: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    return models.select("line", "stretch", "charge", "label").join(taken, on=["stretch", "charge", "label"])


def _cells(models: pl.DataFrame, taken: pl.DataFrame, axes: dict[int, tuple[str, ...]]) -> pl.DataFrame:
    """Quantities of matrix lines by the dimensions that their price looks at."""
    parts = _on_line(models, taken)
    place = pl.col("dimensions")
    for names in sorted(set(axes.values())):
        charges = [charge for charge, own in axes.items() if own == names]
        place = pl.when(pl.col("charge").is_in(charges)).then(projected(names)).otherwise(place)
    return (
        parts.select("line", pl.col("quantity").alias("value"), place.alias("dimensions"))
        .with_columns(prorated=pl.lit(None), amount=pl.lit(None))
        .select(EVENTS.names())
        .cast(EVENTS)
    )


def _events(models: pl.DataFrame, taken: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption) -> pl.DataFrame:
    """The events of lines priced event by event, in time order."""
    wanted = _on_line(models, taken).join(windows.select("window", *_KEYS, "subscription", "from", "to"), on="window")
    if wanted.is_empty():
        return EVENTS.to_frame()
    mine = pl.col("subscription").is_null() | (pl.col("subscription") == pl.col("subscription_right"))
    return (
        consumption.usage.filter(pl.col("status") == OK, as_known(consumption.known_at))
        .join(wanted.lazy(), on=[*_KEYS, "dimensions"], how="inner")
        .filter(mine, pl.col("time") >= pl.col("from"), pl.col("time") < pl.col("to"))
        .sort("line", "time", "received_at", "source", "id")
        .select("line", "value", prorated=pl.lit(None), amount=pl.lit(None), dimensions=pl.lit(None))
        .select(EVENTS.names())
        .cast(EVENTS)
        .collect()
    )
