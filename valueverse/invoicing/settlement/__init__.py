"""From lines to amounts due: coupons, tax, credit notes and wallets."""

from valueverse.invoicing.settlement.adjustment_events import (
    EVENT_ORIGIN,
    credit_note_rows,
    invoice_voids,
    read_adjustment_events,
    voids_in_effect,
    voids_of_unknown_invoices,
    wallet_rows,
    with_voids,
)
from valueverse.invoicing.settlement.coupons import Coupon
from valueverse.invoicing.settlement.credit_application import WALLET_KINDS, CreditNote, Wallet
from valueverse.invoicing.settlement.credit_notes import judge_credit_notes, rejected_credit_notes, whole_minor_units
from valueverse.invoicing.settlement.settlement import NUMBERING_ORDER
from valueverse.invoicing.settlement.totals import (
    LINE_KINDS,
    BilledLine,
    Commitment,
    GrossLine,
    InvoiceParts,
    invoice_totals,
)

__all__ = [
    "EVENT_ORIGIN",
    "LINE_KINDS",
    "NUMBERING_ORDER",
    "WALLET_KINDS",
    "BilledLine",
    "Commitment",
    "Coupon",
    "CreditNote",
    "GrossLine",
    "InvoiceParts",
    "Wallet",
    "credit_note_rows",
    "invoice_totals",
    "invoice_voids",
    "judge_credit_notes",
    "read_adjustment_events",
    "rejected_credit_notes",
    "voids_in_effect",
    "voids_of_unknown_invoices",
    "wallet_rows",
    "whole_minor_units",
    "with_voids",
]
