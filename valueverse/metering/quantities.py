"""Usage rows + billing windows -> quantities: the one engine of billing, ``simulate`` and ``valueverse
meter``.

Meters whose parts add up (count, sum, min, max, avg) are read once, rolled up by day, and only days that a
window cuts are read again. Meters with a level or a memory are joined to their windows row by row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog.history import as_known
from valueverse.errors import RefusalError
from valueverse.metering.levels import level_quantities
from valueverse.metering.rollup import rollup_quantities
from valueverse.metering.schema import OK, QUANTITIES, WINDOWS
from valueverse.money import EXACT, RoundingMode, round_exact

if TYPE_CHECKING:
    from datetime import datetime

ADDITIVE = ("count", "sum", "min", "max", "avg")
_UNNAMED = ["tenant", "customer", "meter"]


def meter_quantities(
    usage: pl.LazyFrame,
    windows: pl.DataFrame,
    meters: pl.DataFrame,
    known_at: datetime | None,
    *,
    unnamed: pl.DataFrame | None = None,
    lines: pl.DataFrame | None = None,
    openings: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The quantity of every window and dimensions with usage (QUANTITIES); a window without any has no row.

    Args:
        usage: USAGE rows; any order, any number of tenants.
        windows: WINDOWS. A window counts usage that names its subscription, and usage that names only its
            customer.
        meters: METERS (tenant, meter, aggregation, carry_over, rounding_mode, rounding_places, and
            catalog_hash when
            the windows have it).
        known_at: count what was known at this instant; None: what is known now.
        unnamed: tenant, customer, meter, subscription, from, to: where usage that names only a customer
            belongs to
            one subscription. None: such usage counts in every window of the customer.
        lines: window, dimensions, line: usage of these dimensions counts together as ``line``, and what is
            not
            listed does not count. The result's ``dimensions`` is then the line. Needed wherever several
            dimensions make one quantity, since maxima, distinct values and rounding do not add up.
        openings: window, dimensions, value, text_value: levels (or members) at the windows' start.

    Raises:
        RefusalError: ``unknown_meter`` when a window names one that is not in ``meters``.
    """
    if windows.is_empty():
        return QUANTITIES.to_frame()
    planned = _planned(windows, meters)
    relevant = usage.filter(pl.col("status") == OK, as_known(known_at), pl.col("time") < windows["to"].max())
    if openings is None:
        openings = pl.DataFrame(
            schema={"window": pl.UInt32, "dimensions": pl.String, "value": EXACT, "text_value": pl.String}
        )
    remembers = (
        pl.col("carry_over") | pl.col("prorate") | pl.col("window").is_in(openings["window"].implode())
    )
    adds_up = pl.col("aggregation").is_in(ADDITIVE) & ~((pl.col("aggregation") == "sum") & remembers)
    found = pl.concat(
        [
            rollup_quantities(relevant, _pieces(planned.filter(adds_up), unnamed), lines),
            level_quantities(relevant, _pieces(planned.filter(~adds_up), unnamed), lines, openings),
        ]
    )
    return _rounded(found, planned).select(QUANTITIES.names()).cast(QUANTITIES).sort("window", "dimensions")


def _planned(windows: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Windows with what their meter asks for."""
    keys = ["tenant", "meter", *(["catalog_hash"] if "catalog_hash" in windows.columns else [])]
    asked = meters.select(*keys, "aggregation", "carry_over", "rounding_mode", "rounding_places").unique()
    planned = windows.join(asked, on=keys, how="left", validate="m:1")
    unknown = planned.filter(pl.col("aggregation").is_null())
    if unknown.height:
        tenant, meter = unknown.select("tenant", "meter").row(0)
        raise RefusalError("unknown_meter", f"the tenant {tenant!r} has no meter {meter!r}", "windows")
    defaults = {"prorate": pl.lit(value=False), "round_prorated": pl.lit(None, pl.Int32)}
    return planned.with_columns(
        **{name: default for name, default in defaults.items() if name not in windows.columns}
    ).cast(pl.Schema({name: dtype for name, dtype in WINDOWS.items() if name in windows.columns}))


def _pieces(planned: pl.DataFrame, unnamed: pl.DataFrame | None) -> pl.DataFrame:
    """Windows with, beside them, the stretches in which usage that names no subscription belongs to them.

    ``since``: the first instant of usage that the piece may read at all.
    """
    planned = planned.with_columns(
        pl.when("carry_over").then(pl.lit(None, WINDOWS["from"])).otherwise("from").alias("since"),
        pl.col("to").alias("until"),
    )
    named = planned.filter(pl.col("subscription").is_not_null())
    loose = planned.with_columns(pl.lit(None, pl.String).alias("subscription"))
    if unnamed is not None:
        claims = unnamed.rename({"from": "claim_from", "to": "claim_to"})
        loose = (
            planned.join(claims, on=[*_UNNAMED, "subscription"], how="inner")
            .with_columns(
                pl.max_horizontal("since", "claim_from").alias("since"),
                pl.min_horizontal("until", "claim_to").alias("until"),
                pl.lit(None, pl.String).alias("subscription"),
            )
            .filter(pl.col("since").is_null() | (pl.col("since") < pl.col("until")))
            .select(planned.columns)
        )
    return pl.concat([named, loose])


def _rounded(found: pl.DataFrame, planned: pl.DataFrame) -> pl.DataFrame:
    """Apply the meters' quantity rounding: one expression per distinct mode and places."""
    policies = planned.select("window", "rounding_mode", "rounding_places")
    joined = found.join(policies, on="window", how="left")
    parts = []
    for key, part in joined.partition_by("rounding_mode", "rounding_places", as_dict=True).items():
        mode, places = key
        if mode is None:
            parts.append(part)
            continue
        rule: RoundingMode = mode
        parts.append(
            part.with_columns(
                round_exact(pl.col(name), int(places or 0), rule).cast(EXACT).alias(name)
                for name in ("quantity", "prorated_quantity")
            )
        )
    return pl.concat([joined.clear(), *parts])
