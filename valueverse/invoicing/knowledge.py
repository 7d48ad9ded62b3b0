"""The state of knowledge that a run bills with: one instant for every tenant, or each tenant's own.

Documents name it (``basis.events_known_at``), and corrections and credit notes are ordered by it. So it is the tenant's
own: an event of another tenant must not move it (docs/decisions/0021).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import polars as pl

from valueverse.schemas.types import INSTANT

KnownAt = datetime | Mapping[str, datetime]
"""When the newest event known was received: of all tenants, or by tenant."""


def newest_known_at(known_at: KnownAt | None) -> datetime | None:
    """The latest of all tenants' states of knowledge: rows received up to it are each tenant's own state, for nothing
    of a tenant was received after its own; None: all that is recorded."""
    if isinstance(known_at, Mapping):
        return max(known_at.values(), default=None)
    return known_at


def known_at_of_tenant(known_at: KnownAt) -> pl.Expr:
    """The state of knowledge of each row's ``tenant``."""
    if isinstance(known_at, Mapping):
        marks = dict(known_at)
        # An empty mapping is that of a run without tenants, and so of no rows.
        return pl.col("tenant").replace_strict(marks, return_dtype=INSTANT) if marks else pl.lit(None, INSTANT)
    return pl.lit(known_at, INSTANT)


def rows_as_recorded(rows: pl.LazyFrame, known_at: Mapping[str, datetime]) -> pl.LazyFrame:
    """Rows with ``received_at`` and ``known_until`` as they stood at each tenant's own instant.

    What ``newest_known_at`` of these instants then selects is what each tenant's own would have selected.
    """
    own = known_at_of_tenant(known_at)
    return rows.filter(pl.col("received_at") <= own).with_columns(
        pl.when(pl.col("known_until") <= own).then("known_until").alias("known_until")
    )
