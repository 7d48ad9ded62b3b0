"""Whose subscription it is: for senders that name the subscription alone."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import polars as pl

from valueverse.subscriptions import EVENT_ORDER, SUBSCRIPTION_STARTED, event_field

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from valueverse.services.subscriptions.billing_log import BillingLog

_FRESH = 30
"""Seconds for which what was read is used; a subscription that is not in it is looked for at once."""
_MOST_TENANTS = 256


def owners_in(log: BillingLog) -> dict[str, str]:
    """Subscription -> customer, of every start that counts; of several starts of one subscription the first."""
    starts = log.facts().filter(
        pl.col("type") == SUBSCRIPTION_STARTED, pl.col("known_until").is_null(), pl.col("data").is_not_null()
    )
    fields = ("tenant", event_field("subscription"), event_field("customer"))
    named = starts.sort(EVENT_ORDER).select(fields).drop_nulls()
    first = named.unique(["tenant", "subscription"], keep="first", maintain_order=True)
    return dict(first.select("subscription", "customer").iter_rows())


class SubscriptionOwners:
    """Customers of subscriptions, remembered by tenant. Of many threads.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, dict[str, str]]] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str, subscriptions: Collection[str], read: Callable[[], BillingLog]) -> Mapping[str, str]:
        """The customer of each of a tenant's subscriptions that is known now; ``read`` gives the tenant's log.

        Raises:
            RefusalError: as ``read``.
        """
        now = self._clock()
        with self._lock:
            since, known = self._known.get(tenant, (now - _FRESH, {}))
        if now - since < _FRESH and known.keys() >= set(subscriptions):
            return known
        found = owners_in(read())
        with self._lock:
            if len(self._known) >= _MOST_TENANTS:
                self._known.clear()
            self._known[tenant] = (now, found)
        return found
