"""Answers about customers' next invoices, worked out once for each state of what they are billed by."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import orjson

from valueverse.platform.lake import Lake
from valueverse.platform.stores.customer_invoices import CustomerInvoices
from valueverse.platform.warehouse import connect
from valueverse.services.billing.customer_usage import UsageCache, mark_of
from valueverse.services.subscriptions.billing_log import read_log
from valueverse.services.subscriptions.hypothetical import with_events
from valueverse.services.subscriptions.preview import upcoming_invoices

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from datetime import date, datetime

    from valueverse.platform.settings import Settings
    from valueverse.services.subscriptions.billing_log import WaitingRequest


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
    """Answers as JSON, those that were asked for last; each is stored under all that it follows from.

    Args:
        most: bytes of answers that are stored.
        usage: bytes of usage that is stored.

    Attributes:
        usage: of the customers that were asked for.
    """

    def __init__(self, most: int = 32 * 2**20, usage: int = 256 * 2**20) -> None:
        self._most = most
        self.usage = UsageCache(usage)
        self._lock = Lock()
        self._answers: OrderedDict[Hashable, tuple[bytes, datetime | None]] = OrderedDict()
        self._size = 0

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
        with connect(settings, "api") as connection:
            store = CustomerInvoices(connection, "api", tenant, (customer,), question.known_at)
            if question.events is not None:
                after = with_events(log, question.events, moment)
                found = upcoming_invoices(store, usage.rows, after, as_of, question.until, log)
                return orjson.dumps(found.document())
            # What is read after the watermark may be newer than it: it is stored under a mark that never comes again.
            asked = (settings.lake_url, tenant, customer, question.until, question.known_at)
            key = (*asked, usage.mark, mark_of(log.events), store.watermark(as_of))
            known = self._stored(key, as_of)
            if known is not None:
                return known
            found = upcoming_invoices(store, usage.rows, log, as_of, question.until)
        body = orjson.dumps(found.document())
        if question.until is not None or found.good_until is not None:
            self._store(key, body, found.good_until)
        return body

    def forget(self) -> None:
        """Let go of the answers; what was read of usage stays."""
        with self._lock:
            self._answers.clear()
            self._size = 0

    def _stored(self, key: Hashable, moment: datetime) -> bytes | None:
        with self._lock:
            body, until = self._answers.get(key, (None, None))
            if body is None or (until is not None and moment >= until):
                return None
            self._answers.move_to_end(key)
            return body

    def _store(self, key: Hashable, body: bytes, until: datetime | None) -> None:
        with self._lock:
            before, _ = self._answers.pop(key, (b"", None))
            self._answers[key] = (body, until)
            self._size += len(body) - len(before)
            while self._size > self._most:
                _, (oldest, _) = self._answers.popitem(last=False)
                self._size -= len(oldest)
