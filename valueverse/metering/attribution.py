"""Usage that names a customer and no subscription: which subscription it belongs to, if exactly one can have it."""

from __future__ import annotations

import polars as pl

_CUSTOMER = ["tenant", "customer", "meter"]
_CLAIM = [*_CUSTOMER, "subscription", "from", "to"]


def exclusive_attributions(claims: pl.DataFrame) -> pl.DataFrame:
    """The stretches of time in which one subscription alone charges for a customer's meter.

    Where two or more do, usage that names none of them is ambiguous and belongs to nobody: it is never
    counted twice.

    Args:
        claims: tenant, customer, meter, subscription, from, to: [from, to) in which a subscription charges for the
            meter. Claims of one subscription must not overlap each other, unless another one claims the meter too.

    Returns:
        The same columns; no two rows of a customer and meter overlap.
    """
    claims = claims.select(_CLAIM).unique()
    rivals = pl.col("subscription").n_unique().over(_CUSTOMER) > 1
    contested = claims.filter(rivals)
    edges = pl.concat([contested.select(*_CUSTOMER, pl.col(side).alias("start")) for side in ("from", "to")]).unique()
    stretches = (
        edges.sort(*_CUSTOMER, "start")
        .with_columns(pl.col("start").shift(-1).over(_CUSTOMER).alias("end"))
        .drop_nulls("end")
    )
    unrivalled = (
        stretches.join(contested, on=_CUSTOMER)
        .filter(pl.col("from") <= pl.col("start"), pl.col("to") >= pl.col("end"))
        .group_by(*_CUSTOMER, "start", "end")
        .agg(pl.col("subscription").unique().alias("subscriptions"))
        .filter(pl.col("subscriptions").list.len() == 1)
        .select(
            *_CUSTOMER,
            pl.col("subscriptions").list.first().alias("subscription"),
            pl.col("start").alias("from"),
            pl.col("end").alias("to"),
        )
    )
    return pl.concat([claims.filter(~rivals), unrivalled]).sort(_CLAIM)
