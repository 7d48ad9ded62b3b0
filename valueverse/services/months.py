"""Where the partitions of the platform begin."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from valueverse.dates import months_between

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST_DAY = date(2023, 1, 1)
"""Partitions begin here. The first one also holds whatever is older, so that no event lies outside of all."""

EARLIEST = date(1969, 12, 1)
"""Where the first partitions begin: a month before the first instant of an event, which is a local month at most."""


def months_holding(first: date, last: date, held: Collection[date]) -> list[date]:
    """``months_between``, less the months before the first partition's own that are not among ``held``."""
    return [month for month in months_between(first, last) if month >= FIRST_DAY or month in held]
