"""Usage rows + billing windows -> quantities: the one engine of billing, ``simulate`` and ``valueverse meter``.

Meters whose parts add up (count, sum, min, max, avg) are read once, rolled up by day, and only days that a
window cuts are read again. Meters with a level or a memory are joined to their windows row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import as_known
from valueverse.errors import RefusalError
from valueverse.metering.additive_aggregations import rollup_quantities
from valueverse.metering.attribution import exclusive_attributions
from valueverse.metering.stateful_aggregations import level_quantities, prorated_events
from valueverse.metering.usage_status import OK
from valueverse.money import RoundingMode, round_exact
from valueverse.schemas.metering import PRORATED_VALUES, WINDOW_OPENINGS, WINDOW_QUANTITIES, WINDOWS
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from datetime import datetime

ADDITIVE = ("count", "sum", "min", "max", "avg")
_CUSTOMER = ["tenant", "customer", "meter"]
_ASKED = ["aggregation", "carry_over", "rounding_mode", "rounding_places"]
_FAR = 10**18
"""Microseconds: further than any two instants are apart."""


@dataclass(frozen=True)
class QuantityScope:
    """What else decides which usage counts where; each part may be left out.

    Attributes:
        unnamed: tenant, customer, meter, subscription, from, to (disjoint, see ``attribution.exclusive_attributions``):
            where usage that names only a customer belongs to one subscription. None: judged by the windows themselves.
        lines: window, dimensions, line: usage of these dimensions counts together as ``line``, and what is not listed
            does not count; the result's ``dimensions`` is then the line. Needed wherever several dimensions make one
            quantity, since maxima, averages, distinct values and rounded numbers do not add up.
        openings: window, dimensions (or line), value, text_value: levels, or members, at the windows' start.
    """

    unnamed: pl.DataFrame | None = None
    lines: pl.DataFrame | None = None
    openings: pl.DataFrame = field(default_factory=WINDOW_OPENINGS.to_frame)


def meter_quantities(
    usage: pl.LazyFrame,
    windows: pl.DataFrame,
    meters: pl.DataFrame,
    known_at: datetime | None,
    scope: QuantityScope | None = None,
) -> pl.DataFrame:
    """The quantity of every window and dimensions with usage (WINDOW_QUANTITIES); a window without any has no row.

    A window counts usage that names its subscription, and usage that names only its customer where no other
    subscription could have it. A total beyond what a Decimal holds is null.

    Args:
        usage: USAGE rows; any order, any number of tenants.
        windows: WINDOWS; further columns are ignored.
        meters: METERS; of several versions the one of the window's ``catalog_hash`` counts, or, without that
            column, the one in force at the window's end.
        known_at: count what was known at this instant; None: what is known now.
        scope: see Scope.

    Raises:
        RefusalError: ``unknown_meter`` when a window names one that is not in ``meters``.
    """
    if windows.is_empty():
        return WINDOW_QUANTITIES.to_frame()
    scope = scope or QuantityScope()
    planned = _planned(windows, meters)
    relevant = usage.filter(pl.col("status") == OK, as_known(known_at), pl.col("time") < windows["to"].max())
    opened = pl.col("window").is_in(scope.openings["window"].implode())
    remembers = pl.col("carry_over") | pl.col("prorate") | opened
    adds_up = pl.col("aggregation").is_in(ADDITIVE) & ~((pl.col("aggregation") == "sum") & remembers)
    pieces = _pieces(planned, scope.unnamed)
    found = pl.concat(
        [
            rollup_quantities(relevant, pieces.filter(adds_up), scope.lines),
            level_quantities(relevant, pieces.filter(~adds_up), scope.lines, scope.openings),
        ]
    )
    return (
        _rounded(found, planned).select(WINDOW_QUANTITIES.names()).cast(WINDOW_QUANTITIES).sort("window", "dimensions")
    )


def events_by_days(
    usage: pl.LazyFrame, windows: pl.DataFrame, meters: pl.DataFrame, known_at: datetime | None, scope: QuantityScope
) -> pl.DataFrame:
    """The events of prorated sums in time order, each with the part of it that its days count for.

    Same arguments as ``meter_quantities``; windows of other meters, of rounded ones and of none that is prorated have
    no row: their quantities are no sum of events.

    Returns:
        window, dimensions, value, prorated.
    """
    planned = _planned(windows, meters).filter(
        "prorate", pl.col("aggregation") == "sum", pl.col("rounding_mode").is_null(), pl.col("round_prorated").is_null()
    )
    pieces = _pieces(planned, scope.unnamed)
    if pieces.is_empty():
        return PRORATED_VALUES.to_frame()
    relevant = usage.filter(pl.col("status") == OK, as_known(known_at), pl.col("time") < windows["to"].max())
    return prorated_events(relevant, pieces)


def _planned(windows: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Windows with what their meter asks for, and the optional columns filled."""
    optional = {"prorate": pl.lit(value=False), "round_prorated": pl.lit(None, pl.Int32)}
    versioned = "catalog_hash" in windows.columns
    own = [*WINDOWS.names(), *(name for name in optional if name in windows.columns)]
    keys = ["tenant", "meter", *(["catalog_hash"] if versioned else [])]
    windows = windows.select(*own, *keys[2:]).with_columns(
        **{name: default for name, default in optional.items() if name not in windows.columns}
    )
    began = ["valid_from"] if "valid_from" in meters.columns and not versioned else []
    asked = windows.join(meters.select(*keys, *_ASKED, *began).unique(), on=keys, how="left")
    if began:
        # Of several versions the last that began before the window's end; of none, the first that ever did.
        late = (pl.col("valid_from") >= pl.col("to")).fill_null(value=False)
        rank = (
            pl.when(late)
            .then(-pl.col("valid_from").dt.timestamp("us") - _FAR)
            .otherwise(pl.col("valid_from").dt.timestamp("us"))
        )
        asked = asked.with_columns(rank.alias("rank")).sort("window", "rank", nulls_last=False)
        asked = asked.unique("window", keep="last", maintain_order=True).drop("rank")
    unknown = asked.filter(pl.col("aggregation").is_null())
    if unknown.height:
        tenant, meter = unknown.select("tenant", "meter").row(0)
        raise RefusalError("unknown_meter", f"the tenant {tenant!r} has no meter {meter!r}", "windows")
    return asked


def _pieces(planned: pl.DataFrame, unnamed: pl.DataFrame | None) -> pl.DataFrame:
    """Windows with, beside them, the stretches in which usage that names no subscription belongs to them.

    ``since``: the first instant of usage that the piece may read at all; null: the first there is.
    """
    planned = planned.with_columns(
        pl.when("carry_over").then(pl.lit(None, WINDOWS["from"])).otherwise("from").alias("since"),
        pl.col("to").alias("until"),
    )
    named = planned.filter(pl.col("subscription").is_not_null())
    anyone = pl.lit(None, pl.String).alias("subscription")
    if unnamed is None:
        rivals = pl.col("subscription").n_unique().over(_CUSTOMER) > 1
        alone, contested = planned.filter(~rivals), planned.filter(rivals)
        claimed = _claimed(contested, exclusive_attributions(contested))
        return pl.concat([named, alone.with_columns(anyone), claimed.with_columns(anyone)])
    return pl.concat([named, _claimed(planned, unnamed).with_columns(anyone)])


def _claimed(planned: pl.DataFrame, claims: pl.DataFrame) -> pl.DataFrame:
    """The parts of windows that lie in a claim of their own subscription."""
    bounds = claims.select(*_CUSTOMER, "subscription", claim_from="from", claim_to="to")
    return (
        planned.join(bounds, on=[*_CUSTOMER, "subscription"])
        .with_columns(
            pl.max_horizontal("since", "claim_from").alias("since"),
            pl.min_horizontal("until", "claim_to").alias("until"),
        )
        .filter(pl.col("since") < pl.col("until"))
        .select(planned.columns)
    )


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
