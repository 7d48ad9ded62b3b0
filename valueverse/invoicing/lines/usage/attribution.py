"""Whose usage is it? Usage that names only its customer goes to that customer's one active subscription with a charge
for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.metering import exclusive_attributions

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms

_FAR = pl.datetime(9999, 12, 31, time_unit="us", time_zone="UTC")
_METER = ["tenant", "customer", "meter"]


def attributions(segments: pl.DataFrame, terms: Terms) -> pl.DataFrame | None:
    """Where each subscription is the only one that charges for a customer's meter, over all segments there are.

    Judged over all segments, not over the periods that close now: a subscription billed by the year is a rival all
    year.
    None where no customer has two subscriptions that charge for one meter.
    """
    metered = terms.takes.select("terms", "meter").unique()
    held = segments.join(metered, on="terms").select(
        *_METER, "subscription", "from", pl.col("to").fill_null(_FAR).alias("to")
    )
    if held.filter(pl.col("subscription").n_unique().over(_METER) > 1).is_empty():
        return None
    return exclusive_attributions(held)
