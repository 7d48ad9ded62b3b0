"""Frames of the journal. Amounts are minor units: a debit is positive, a credit negative."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, MINOR, TEXT

JOURNAL_MOVEMENTS = Contract(
    {
        "tenant": TEXT, "kind": TEXT, "reference": TEXT, "date": pl.Date(), "currency": TEXT, "account": TEXT,
        "customer": TEXT, "invoice": TEXT, "wallet": TEXT, "amount_minor": MINOR,
    },
    nullable=("customer", "invoice", "wallet"),
)  # fmt: skip
"""What a cause moves, before it is compared with what is booked for it. ``invoice`` on a receivable: the invoice that
is open by it; null: the customer's balance that no invoice has used yet."""

BOOKED_MOVEMENTS = Contract({**JOURNAL_MOVEMENTS, "revision": pl.Int32()}, nullable=("customer", "invoice", "wallet"))
"""What stands in the journal for a set of causes: sums per cause, date and place; ``revision`` of the newest entry."""

JOURNAL_ENTRIES = Contract(
    {
        "tenant": TEXT, "entry_id": TEXT, "kind": TEXT, "reference": TEXT, "date": pl.Date(), "currency": TEXT,
        "revision": pl.Int32(),
    },
    key=("tenant", "entry_id"),
)  # fmt: skip
"""One row per entry: 0 is the first booking of its cause on that date, later revisions are differences to it."""

JOURNAL_POSTINGS = Contract(
    {
        "tenant": TEXT, "entry_id": TEXT, "position": pl.Int32(), "account": TEXT, "customer": TEXT, "invoice": TEXT,
        "wallet": TEXT, "amount_minor": MINOR, "currency": TEXT,
    },
    key=("tenant", "entry_id", "position"),
    nullable=("customer", "invoice", "wallet"),
)  # fmt: skip
"""What each entry moves; the postings of an entry add up to 0."""


INVOICES_TO_BOOK = Contract(
    {"tenant": TEXT, "number": TEXT, "document": TEXT, "timezone": TEXT}, key=("tenant", "number")
)
"""Finalised invoices that the journal does not know yet; ``timezone``: of the subscription."""

DOCUMENT_INVOICES = Contract(
    {
        "tenant": TEXT, "number": TEXT, "customer": TEXT, "currency": TEXT, "timezone": TEXT, "issued_on": pl.Date(),
        "discount_minor": MINOR, "tax_minor": MINOR, "total_minor": MINOR, "credit_minor": MINOR,
    },
    key=("tenant", "number"),
)  # fmt: skip
"""Invoices as their documents state them; ``timezone``: of the subscription."""

DOCUMENT_LINES = Contract(
    {
        "tenant": TEXT, "number": TEXT, "line_no": pl.Int32(), "service_from": INSTANT, "service_to": INSTANT,
        "amount_minor": MINOR, "discount_minor": MINOR,
    },
    key=("tenant", "number", "line_no"),
    nullable=("discount_minor", "service_from", "service_to", "amount_minor"),
)  # fmt: skip
"""``discount_minor`` null: the document alone is known, which states discounts for the invoice only."""

DOCUMENT_CREDITS = Contract(
    {
        "tenant": TEXT, "number": TEXT, "position": pl.Int32(), "kind": TEXT, "key": TEXT, "origin": TEXT,
        "amount_minor": MINOR,
    },
    key=("tenant", "number", "position"),
    nullable=("origin",),
)  # fmt: skip
"""``origin``: the grant, purchase or credit note that paid; null where the document alone is known."""

PAYABLE_INVOICES = Contract(
    {
        "tenant": TEXT, "number": TEXT, "customer": TEXT, "currency": TEXT, "tax_minor": MINOR, "total_minor": MINOR,
        "voided_at": INSTANT, "events_known_at": INSTANT,
    },
    key=("tenant", "number"),
    nullable=("voided_at", "events_known_at"),
)  # fmt: skip
"""Finalised invoices as payments and credit notes need to know them. ``events_known_at``: what was received by then was
known when the number was assigned; null: the document alone is known."""

WALLET_USES = Contract({"tenant": TEXT, "origin": TEXT, "amount_minor": MINOR})
"""What invoices that are not voided used of each grant and purchase."""

JOURNAL_VIOLATIONS = Contract(
    {
        "tenant": TEXT, "rule": TEXT, "what": TEXT, "currency": TEXT, "expected_minor": MINOR, "actual_minor": MINOR,
    }
)  # fmt: skip
"""Where a rule of the journal does not hold."""

AMOUNTS_OWED = Contract({"tenant": TEXT, "customer": TEXT, "currency": TEXT, "amount_minor": MINOR})
"""What customers owe, from invoices, payments and credits and not from the journal."""
