"""Answers about customers' next invoices, worked out once for each state of what they are billed by."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import orjson
from cachetools import LRUCache

from valueverse.platform.lake import Lake
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing.customer_usage import UsageCache, mark_of
from valueverse.services.billing.next_invoices import CustomerTerms
from valueverse.services.subscriptions.billing_log import read_log
from valueverse.services.subscriptions.hypothetical import with_events
from valueverse.services.subscriptions.preview import upcoming_invoices

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import date, datetime

    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.billing_log import BillingLog, WaitingRequest

_CUSTOMERS = 128
"""Customers whose terms are stored: a catalog with all its plans may be among them."""


@dataclass(frozen=True)
class Question:
    """Whose next invoices are asked for.

    Attributes:
        tenant: who invoices.
        customer: who is invoiced.
        until: the day by which they close; None: with the running period.
        known_at: as known then; None: now.
        events: hypothetical ones; None: none are.
    """

    tenant: str
    customer: str
    until: date | None
    known_at: datetime | None = None
    events: Sequence[Any] | None = None


class UpcomingAnswers:
    """Answers as JSON, those that were asked for last; each is stored under all that it follows from. What a customer's
    billing events come to is stored too: new usage leaves it as it is.

    Args:
        most: bytes of answers that are stored.
        usage: bytes of usage that is stored.

    Attributes:
        usage: of the customers that were asked for.
    """

    def __init__(self, most: int = 32 * 2**20, usage: int = 256 * 2**20) -> None:
        self.usage = UsageCache(usage)
        self._lock = Lock()
        self._answers: LRUCache[Hashable, tuple[bytes, datetime | None]] = LRUCache(most, _size)
        self._terms: LRUCache[Hashable, CustomerTerms] = LRUCache(_CUSTOMERS)

    def answer(
        self, settings: Settings, question: Question, requests: Sequence[WaitingRequest], moment: datetime
    ) -> bytes:
        """The answer of ``UpcomingInvoices.document``, read as the API's login.

        Args:
            settings: where lake and warehouse are.
            question: what is asked.
            requests: what waits in the inbox, read before.
            moment: now.

        Raises:
            RefusalError: ``unknown_customer``; what is refused of hypothetical events; lake or warehouse cannot be
                read.
        """
        lake, tenant, customer = Lake(settings.lake_url), question.tenant, question.customer
        log = read_log(lake, settings.landing, tenant, moment, requests)
        usage = self.usage.read(lake, tenant, customer)
        as_of = question.known_at or moment
        known = (settings.lake_url, tenant, customer, question.known_at, mark_of(log.events))
        with connect(settings, "api") as connection:
            store = CustomerInvoices(connection, "api", tenant, (customer,), question.known_at)
            if question.events is not None:
                after = CustomerTerms.of(with_events(log, question.events, moment).facts(), [customer])
                before = self._terms_of(known, log)
                found = upcoming_invoices(store, usage.rows, after, as_of, question.until, before)
                return orjson.dumps(found.document())
            # What is read after the watermark may be newer than it: it is stored under a mark that never comes again.
            key = (*known, question.until, usage.mark, store.watermark(as_of))
            stored = self._stored(key, as_of)
            if stored is not None:
                return stored
            found = upcoming_invoices(store, usage.rows, self._terms_of(known, log), as_of, question.until)
        body = orjson.dumps(found.document())
        if question.until is not None or found.good_until is not None:
            self._store(key, body, found.good_until)
        return body

    def forget(self) -> None:
        """Let go of answers and terms, as if a billing event had been received; usage that was read stays."""
        with self._lock:
            self._answers.clear()
            self._terms.clear()

    def _terms_of(self, key: tuple[str, str, str, datetime | None, int], log: BillingLog) -> CustomerTerms:
        """The terms of a customer: key is the lake, the tenant, the customer, known_at and the mark of the log."""
        with self._lock:
            found = self._terms.get(key)
        if found is None:
            found = CustomerTerms.of(log.facts(), [key[2]], key[3])
            with self._lock:
                self._terms[key] = found
        return found

    def _stored(self, key: Hashable, moment: datetime) -> bytes | None:
        with self._lock:
            body, until = self._answers.get(key, (None, None))
        return None if body is None or (until is not None and moment >= until) else body

    def _store(self, key: Hashable, body: bytes, until: datetime | None) -> None:
        answer = (body, until)
        with self._lock:
            if _size(answer) <= self._answers.maxsize:
                self._answers[key] = answer


def _size(answer: tuple[bytes, datetime | None]) -> int:
    return len(answer[0])
