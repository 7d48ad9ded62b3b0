"""What the warehouse knows of one event, by the functions that the API's login may call too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from valueverse.platform.queries import frame_of, rows_of, values_of
from valueverse.platform.stores.functions import Functions
from valueverse.schemas.invoicing import BILLED_INVOICES, BILLED_LINES, FOUND_UNCHANGED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import polars as pl


@dataclass(frozen=True)
class EventStore(Functions):
    """One event's rows."""

    def rejection(self, tenant: str, source: str, event: str) -> dict[str, Any] | None:
        """Why a billing event could not be applied: reason and message; None: it was applied."""
        return next(iter(self._rows("event_rejection", [tenant, source, event])), None)

    def invoices(self, tenant: str, at: datetime) -> pl.DataFrame:
        """BILLED_INVOICES whose period holds the instant, and those that correct one of them."""
        query = self.query("event_invoices", 2)
        return frame_of(self.connection, query, [tenant, at], BILLED_INVOICES)

    def corrections(self, tenant: str, at: datetime) -> pl.DataFrame:
        """BILLED_LINES that correct an invoice whose period holds the instant."""
        return frame_of(self.connection, self.query("event_corrections", 2), [tenant, at], BILLED_LINES)

    def unchanged(self, tenant: str, at: datetime) -> pl.DataFrame:
        """Invoices (FOUND_UNCHANGED) whose period holds the instant and that later events did not change."""
        return frame_of(self.connection, self.query("event_unchanged", 2), [tenant, at], FOUND_UNCHANGED)

    def lines(
        self, tenant: str, subscription: str, key: str, at: datetime, received_at: datetime
    ) -> list[dict[str, Any]]:
        """Lines that bill an event of a subscription by the charge ``key``: invoice, status, line, kind, amount_minor,
        currency and the text of the catalog.
        """
        return self._rows("event_lines", [tenant, subscription, key, at, received_at])

    def waiting(self, tenant: str, key_hash: bytes) -> list[dict[str, Any]]:
        """Requests in the inbox that have a key of this hash: receipt, received_at, key_hashes, and body, or
        application and offsets in a topic."""
        return self._rows("event_waiting", [tenant, key_hash])

    def senders(self) -> list[str]:
        """Tenants with requests in the inbox; of the builder's connection alone."""
        return values_of(self.connection, "select distinct tenant_id::text from inbox.batch order by 1")

    def _rows(self, function: LiteralString, values: Sequence[object]) -> list[dict[str, Any]]:
        return rows_of(self.connection, self.query(function, len(values)), values)
