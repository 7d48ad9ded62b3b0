"""What lines of invoices came from, by the functions that the API's login may call too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, LiteralString

from valueverse.platform.queries import frame_of, row_of, rows_of
from valueverse.platform.stores.billing_store import canonical_dimensions
from valueverse.platform.stores.functions import Functions
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.invoicing import BILLED_LINES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import polars as pl
    import psycopg


def tenant_of(connection: psycopg.Connection[Any], number: str) -> str | None:
    """Whose finalised invoice has a number; of the builder's connection alone."""
    found = row_of(connection, "select tenant_id::text as tenant from billing.invoice where number = %s", [number])
    return None if found is None else str(found["tenant"])


@dataclass(frozen=True)
class ExplainStore(Functions):
    """The rows of a tenant's invoices.

    Attributes:
        tenant: whose.
        known_at: as they were at this instant; None: as they are.
    """

    tenant: str = ""
    known_at: datetime | None = None

    def invoice(self, number: str) -> dict[str, Any] | None:
        """BILLED_INVOICES and ``document`` of a finalised invoice; None: there is none."""
        return next(iter(self._rows("explain_invoices", number, None, self.known_at)), None)

    def invoices(self, among: Sequence[str]) -> list[dict[str, Any]]:
        """BILLED_INVOICES and ``document`` of these finalised invoices (invoice_ids)."""
        return self._rows("explain_invoices", None, list(among), None)

    def related_lines(self, invoice_id: str) -> list[dict[str, Any]]:
        """Lines of other invoices that belong to lines of this one, by issue: ``key``, ``dimensions``, ``number``,
        ``issued_on``, ``amount_minor``, ``quantity``, ``event_count`` and ``status``.

        ``link`` says how: ``correction`` (it corrects this one's line) or ``before`` (a threshold invoice of the same
        period billed it).
        """
        return self._rows("explain_related", invoice_id, self.known_at)

    def corrected_lines(self, invoice_id: str) -> list[dict[str, Any]]:
        """The lines of a finalised invoice that correct another one, by their place: ``line_no``; of the other one
        ``invoice_id``, ``number``, ``issued_on``, ``period_to``, ``currency``, whether it was void by then
        (``is_void``) and the catalog that it was re-rated under (``rerate_catalog_hash``); of this one
        ``finalised_at``, ``sequence`` and ``close``."""
        return self._rows("explain_corrected", invoice_id)

    def booked_lines(self, invoice_id: str, found_by: Mapping[str, Any]) -> pl.DataFrame:
        """BILLED_LINES of an invoice and of what corrects it, as the run found them that finalised another one
        (``finalised_at``, ``sequence``, ``close``); their tax is not read."""
        values = [self.tenant, invoice_id, *(found_by[name] for name in ("finalised_at", "sequence", "close"))]
        query = self.query("explain_booked", len(values))
        return canonical_dimensions(frame_of(self.connection, query, values, BILLED_LINES))

    def rejections(self) -> pl.DataFrame:
        """Billing events that could not be applied: tenant, source, event_id, reason, message."""
        columns = REJECTED_EVENTS.part("tenant", "source", "event_id", "reason", "message")
        return frame_of(self.connection, self.query("explain_rejections", 1), [self.tenant], columns)

    def outcome(self, invoice_id: str, line_no: int) -> dict[str, Any] | None:
        """The commit whose run proposed the fee that a line bills: ``commit_id``, ``run_hash`` and the commit's
        ``document``; None: no run did."""
        return next(iter(self._rows("explain_outcome", invoice_id, line_no)), None)

    def _rows(self, function: LiteralString, *more: object) -> list[dict[str, Any]]:
        values = [self.tenant, *more]
        return rows_of(self.connection, self.query(function, len(values)), values)
