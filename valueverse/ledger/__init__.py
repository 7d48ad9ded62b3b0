"""The double-entry journal of everything booked: invoices, payments, credit notes, wallets, and their corrections."""

from valueverse.ledger.accounts import CUSTOMER_CREDIT
from valueverse.ledger.beancount import export_beancount
from valueverse.ledger.documents import LedgerDocuments, read_documents
from valueverse.ledger.invariants import (
    BALANCED,
    DEFERRED_RUNS_OUT,
    INVARIANTS,
    RECEIVABLE_EXPLAINED,
    WALLETS_HOLD,
    deferred_that_stays,
    negative_wallets,
    unbalanced_entries,
    unexplained_receivables,
)
from valueverse.ledger.payment_movements import failed_payments, rejected_payments
from valueverse.ledger.posting import (
    Journal,
    JournalInputs,
    book_entries,
    derive_movements,
    named_invoices,
    no_bookings,
    receivables,
)

__all__ = [
    "BALANCED",
    "CUSTOMER_CREDIT",
    "DEFERRED_RUNS_OUT",
    "INVARIANTS",
    "RECEIVABLE_EXPLAINED",
    "WALLETS_HOLD",
    "Journal",
    "JournalInputs",
    "LedgerDocuments",
    "book_entries",
    "deferred_that_stays",
    "derive_movements",
    "export_beancount",
    "failed_payments",
    "named_invoices",
    "negative_wallets",
    "no_bookings",
    "read_documents",
    "receivables",
    "rejected_payments",
    "unbalanced_entries",
    "unexplained_receivables",
]
