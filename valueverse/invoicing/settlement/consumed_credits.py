"""What invoices have used up of coupons, credit notes and wallets."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from valueverse.invoicing.schema import USES
from valueverse.invoicing.settlement.credit_notes import CORRECTED, NUMBERS

PAID = pl.Schema(
    {
        "tenant": pl.String(),
        "customer": pl.String(),
        "currency": pl.String(),
        "kind": pl.String(),
        "key": pl.String(),
        "origin": pl.String(),
        "is_final": pl.Boolean(),
        "amount_minor": pl.Int64(),
    }
)
"""What credit notes and wallets (``kind``) paid; ``is_final``: of finalised invoices."""


@dataclass(frozen=True)
class ConsumedCredits:
    """What invoices that stand already have used up, and what they leave to the customer.

    Attributes:
        credits: what they were paid with (PAID).
        coupons: the periods that a coupon lowered (schema.USES).
        numbers: finalised invoices by number (NUMBERS), voided ones among them.
        corrected: what they correct of each other (CORRECTED).
        owed: tenant, customer, currency, origin, key, amount_minor, created_at of invoices that came out negative.
    """

    credits: pl.DataFrame
    coupons: pl.DataFrame
    numbers: pl.DataFrame
    corrected: pl.DataFrame
    owed: pl.DataFrame

    @classmethod
    def nothing(cls) -> ConsumedCredits:
        """Nothing stands yet."""
        text, minor = pl.String(), pl.Int64()
        return cls(
            PAID.to_frame(),
            USES.to_frame(),
            NUMBERS.to_frame(),
            CORRECTED.to_frame(),
            pl.DataFrame(
                schema={
                    "tenant": text, "customer": text, "currency": text, "origin": text, "key": text,
                    "amount_minor": minor, "created_at": pl.Datetime("us", "UTC"),
                }
            ),
        )  # fmt: skip
