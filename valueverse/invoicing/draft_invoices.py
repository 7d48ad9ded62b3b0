"""The invoices that a run is making: what every step of it takes and gives."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from valueverse.schemas.invoicing import INVOICE, INVOICE_HEADERS, WORKING_LINES


@dataclass(frozen=True)
class DraftInvoices:
    """Invoices before they are totalled.

    Attributes:
        headers: INVOICE_HEADERS, also of invoices that have no line.
        lines: WORKING_LINES.
    """

    headers: pl.DataFrame
    lines: pl.DataFrame

    def plus(self, lines: pl.DataFrame, headers: pl.DataFrame) -> DraftInvoices:
        """With more lines, and the headers of those that are on invoices not among these."""
        if lines.is_empty():
            return self
        own = pl.concat([self.headers, INVOICE_HEADERS.conform(headers)])
        return DraftInvoices(
            own.unique(INVOICE, keep="first", maintain_order=True),
            pl.concat([self.lines, WORKING_LINES.conform(lines)]),
        )

    def issued(self) -> pl.DataFrame:
        """INVOICE_HEADERS of the invoices that are made whatever follows: those with a line, and every closing one.

        A start without fees in advance makes no invoice, so nothing can be on it; a period closes without lines too.
        """
        closing = self.headers.filter(pl.col("invoice_type") == "period")
        with_lines = self.headers.join(
            self.lines.select(INVOICE).unique(), on=INVOICE, how="semi", maintain_order="left"
        )
        return pl.concat([with_lines, closing]).unique(INVOICE, maintain_order=True)

    def without_lines(self) -> pl.DataFrame:
        """INVOICE_HEADERS of the closing invoices without a line."""
        closing = self.headers.filter(pl.col("invoice_type") == "period")
        return closing.join(self.lines.select(INVOICE).unique(), on=INVOICE, how="anti", maintain_order="left")
