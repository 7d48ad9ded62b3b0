"""What charges read of the usage: the table, the meters, and what each line is assigned of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl


LINE = ("stretch", "charge", "label")


OUTCOME = "outcome"
"""A charge on realised value: its lines come from proposals, not from usage."""


@dataclass(frozen=True)
class Consumption:
    """What metering has to read, whoever asks: the usage table, the tenants' meters over time, and the state of
    knowledge.

    Attributes:
        usage: the usage table, or any part of it that covers the stretches.
        meters: ``CatalogHistory.meters``.
        unnamed: stretches in which usage that names only a customer belongs to one subscription
            (``attribution.attributions``).
        known_at: usage as known then; None: as known now.
    """

    usage: pl.LazyFrame
    meters: pl.DataFrame
    unnamed: pl.DataFrame | None
    known_at: datetime | None


@dataclass(frozen=True)
class AssignedUsage:
    """What charges take of the usage.

    Attributes:
        quantities: LINE, window, dimensions, quantity, prorated_quantity, event_count; what was put together has the
            dimensions of its matrix cell, else null.
        decided: LINE, window, dimensions: the usage behind them, as it was metered.
    """

    quantities: pl.DataFrame
    decided: pl.DataFrame
