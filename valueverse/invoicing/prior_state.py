"""What is already billed when a run begins: it is never billed again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.invoicing import (
    BOOKED_LINES,
    CORRECTED,
    CORRECTED_IN_VAIN,
    COUPON_USES,
    CREDITS_USED,
    INVOICE_DISCOUNTS,
    INVOICE_NUMBERS,
    ISSUED_INVOICES,
    NEGATIVE_BALANCES,
    ONE_OFFS_BILLED,
    RECOMPUTED_INVOICES,
    THRESHOLD_COUPONS,
    THRESHOLD_LINES,
    VOIDED_INVOICES,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.catalog import Catalog


@dataclass(frozen=True)
class IssuedInvoices:
    """Finalised invoices.

    Attributes:
        not_voided: ISSUED_INVOICES that were not voided, with the newest state of knowledge booked for each.
        voided: VOIDED_INVOICES; those that are recomputed among them are due nothing any more.
        in_vain: CORRECTED_IN_VAIN: their corrections are looked for again.
    """

    not_voided: pl.DataFrame = field(default_factory=ISSUED_INVOICES.to_frame)
    voided: pl.DataFrame = field(default_factory=VOIDED_INVOICES.to_frame)
    in_vain: pl.DataFrame = field(default_factory=CORRECTED_IN_VAIN.to_frame)

    @property
    def closing(self) -> pl.DataFrame:
        """The invoices, not voided, that close a period."""
        return self.not_voided.filter(pl.col("invoice_type") == "period")

    def with_revisions(self, lines: pl.DataFrame, same: Sequence[str]) -> pl.DataFrame:
        """Lines of invoices made for them alone, with ``revision``: it repeats none of the finalised invoices, voided
        ones among them, that agree in tenant and ``same``, and lines in another currency are on another invoice."""
        issued = pl.concat(
            [self.not_voided.select("tenant", *same, "revision"), self.voided.select("tenant", *same, "revision")]
        )
        following = issued.group_by("tenant", *same).agg((pl.col("revision").max() + 1).alias("next"))
        currency = pl.col("currency").rank("dense").over("tenant", *same).cast(pl.Int32) - 1
        return (
            lines.drop("revision", strict=False)
            .join(following, on=["tenant", *same], how="left", maintain_order="left")
            .with_columns((pl.col("next").fill_null(0) + currency).alias("revision"))
            .drop("next")
        )


@dataclass(frozen=True)
class ThresholdAmounts:
    """Amounts already billed on threshold invoices that are not voided: THRESHOLD_LINES, and what coupons took of them
    (THRESHOLD_COUPONS)."""

    lines: pl.DataFrame = field(default_factory=THRESHOLD_LINES.to_frame)
    coupons: pl.DataFrame = field(default_factory=THRESHOLD_COUPONS.to_frame)


@dataclass(frozen=True)
class ConsumedCredits:
    """What invoices that are not voided have used up, and what they leave to the customer.

    Attributes:
        credits: what they were paid with (CREDITS_USED).
        coupons: the periods that a coupon lowered (COUPON_USES).
        numbers: finalised invoices by number (INVOICE_NUMBERS), voided ones among them.
        corrected: what they correct of each other (CORRECTED).
        balances: what those that came out negative leave (NEGATIVE_BALANCES).
    """

    credits: pl.DataFrame = field(default_factory=CREDITS_USED.to_frame)
    coupons: pl.DataFrame = field(default_factory=COUPON_USES.to_frame)
    numbers: pl.DataFrame = field(default_factory=INVOICE_NUMBERS.to_frame)
    corrected: pl.DataFrame = field(default_factory=CORRECTED.to_frame)
    balances: pl.DataFrame = field(default_factory=NEGATIVE_BALANCES.to_frame)


@dataclass(frozen=True)
class InvoicesToRecompute:
    """Finalised invoices that later events may have changed, and what is booked for them.

    Attributes:
        invoices: RECOMPUTED_INVOICES.
        lines: what is booked for them (BOOKED_LINES).
        discounts: what coupons took of them (INVOICE_DISCOUNTS).
        catalogs: those that they were re-rated under, by hash.
    """

    invoices: pl.DataFrame = field(default_factory=RECOMPUTED_INVOICES.to_frame)
    lines: pl.DataFrame = field(default_factory=BOOKED_LINES.to_frame)
    discounts: pl.DataFrame = field(default_factory=INVOICE_DISCOUNTS.to_frame)
    catalogs: Mapping[str, Catalog] = field(default_factory=dict)


@dataclass(frozen=True)
class PriorState:
    """What is already billed when a run begins; without arguments: nothing.

    Attributes:
        issued: the finalised invoices.
        one_offs: the one-off lines on them (ONE_OFFS_BILLED).
        thresholds: amounts already billed on threshold invoices of their periods.
        consumed: what they used up of coupons, credit notes and wallets.
        recompute: those that are recomputed.
    """

    issued: IssuedInvoices = field(default_factory=IssuedInvoices)
    one_offs: pl.DataFrame = field(default_factory=ONE_OFFS_BILLED.to_frame)
    thresholds: ThresholdAmounts = field(default_factory=ThresholdAmounts)
    consumed: ConsumedCredits = field(default_factory=ConsumedCredits)
    recompute: InvoicesToRecompute = field(default_factory=InvoicesToRecompute)
