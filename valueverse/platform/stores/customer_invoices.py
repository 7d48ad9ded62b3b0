"""What is finalised of some customers, by the functions that the API's login may call too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, LiteralString

import polars as pl
from psycopg import sql

from valueverse.platform.queries import frame_of, value_of
from valueverse.platform.stores.billing_store import canonical_dimensions
from valueverse.platform.stores.functions import Functions
from valueverse.schemas.invoicing import (
    BILLED_CREDITS,
    BILLED_DEDUCTIONS,
    BILLED_DISCOUNTS,
    BILLED_INVOICES,
    BILLED_LINES,
    CORRECTED_IN_VAIN,
    RERATINGS,
    UNCHANGED_INVOICES,
)
from valueverse.schemas.settlement import APPROVED_PROPOSALS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


@dataclass(frozen=True)
class CustomerInvoices(Functions):
    """The rows of the finalised invoices of a tenant's customers.

    Attributes:
        tenant: who invoices.
        customers: who are invoiced.
        known_at: as they were at this instant; None: as they are.
    """

    tenant: str = ""
    customers: tuple[str, ...] = ()
    known_at: datetime | None = None

    @property
    def customer(self) -> str:
        """The only one of the customers."""
        (only,) = self.customers
        return only

    def invoices(self) -> pl.DataFrame:
        """BILLED_INVOICES: those that stand, and those that were voided."""
        return self._frame("prior_invoices", BILLED_INVOICES)

    def lines(self, among: Sequence[str] | None = None) -> pl.DataFrame:
        """BILLED_LINES of invoices that stand: those of these invoices and of what corrects them, with tax rates; None:
        one-offs, corrections, and lines of threshold invoices."""
        wanted = None if among is None else list(among)
        return canonical_dimensions(self._frame("prior_lines", BILLED_LINES, wanted))

    def deductions(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """BILLED_CREDITS and BILLED_DISCOUNTS of invoices that stand."""
        found = self._frame("prior_deductions", BILLED_DEDUCTIONS)
        paid, taken = found.filter(pl.col("kind").is_not_null()), found.filter(pl.col("kind").is_null())
        return BILLED_CREDITS.conform(paid), BILLED_DISCOUNTS.conform(taken)

    def recomputed(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """UNCHANGED_INVOICES and CORRECTED_IN_VAIN."""
        # Without a state of knowledge: whose correction was voided.
        found = self._frame("prior_recomputed", UNCHANGED_INVOICES)
        unchanged, in_vain = found.drop_nulls(), found.filter(pl.col("events_known_at").is_null())
        return UNCHANGED_INVOICES.conform(unchanged), CORRECTED_IN_VAIN.conform(in_vain)

    def reratings(self) -> pl.DataFrame:
        """RERATINGS of their invoices."""
        return self._frame("prior_reratings", RERATINGS)

    def proposals(self, approved_by: datetime) -> pl.DataFrame:
        """APPROVED_PROPOSALS at this instant, withdrawn ones left out."""
        return self._frame("prior_proposals", APPROVED_PROPOSALS, approved_by)

    def watermark(self, approved_by: datetime) -> str:
        """A text that is another one once any of these rows are, proposals being approved by this instant."""
        values = [self.tenant, self.customer, self.known_at, approved_by]
        found: str = value_of(self.connection, self.query("prior_watermark", len(values)), values)
        return found

    def _frame(self, function: LiteralString, schema: pl.Schema, *more: object) -> pl.DataFrame:
        places = sql.SQL(", ").join([sql.Placeholder()] * (1 + len(more)))
        query = sql.SQL("select f.* from unnest(%s::text[]) as c (customer), {}(%s, c.customer, {}) as f").format(
            sql.Identifier(self.schema, function), places
        )
        return frame_of(self.connection, query, [list(self.customers), self.tenant, self.known_at, *more], schema)
