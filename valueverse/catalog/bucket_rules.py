"""What holds for each bucket of a ``bucketed`` price: its own terms, and those of times of day."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from valueverse.catalog.prices import Bucketed, TimeOfDay, UnitPrice

_TERMS = frozenset({"commitment", "overage_factor", "true_up"})


@dataclass(frozen=True)
class BucketRule:
    """The fields of ``BucketTerms`` with nothing left open."""

    price: UnitPrice
    commitment: Decimal | None
    overage_factor: Decimal
    true_up: bool


def bucket_rules(price: Bucketed) -> tuple[BucketRule, list[tuple[TimeOfDay, BucketRule]]]:
    """What holds for buckets in no window, and the windows of time of day with theirs: the first one that a bucket
    starts in decides, and a term that it does not state is the price's own.
    """
    own = BucketRule(price.price, price.commitment, price.overage_factor, price.true_up)
    windows = []
    for window in price.time_of_day:
        stated = {name: getattr(window, name) for name in window.model_fields_set & _TERMS}
        windows.append((window, replace(own, price=window.price or price.price, **stated)))
    return own, windows
