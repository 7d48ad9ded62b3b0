"""Frames of invoicing. Instants are UTC; precise amounts are EXACT major units, shown ones whole minor units."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, INSTANT, MINOR, TEXT

SUBSCRIPTION = ("tenant", "customer", "subscription")
INVOICE = (*SUBSCRIPTION, "invoice_type", "period_from", "period_to", "revision")
"""What identifies an invoice; ``revision`` distinguishes it from voided ones that it replaces, and from others of the
same instant."""
_INVOICE = {
    "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "invoice_type": TEXT, "period_from": INSTANT,
    "period_to": INSTANT, "revision": pl.Int32(),
}  # fmt: skip
_POLICY = {
    "catalog_hash": TEXT,
    "rounding_mode": TEXT,
    "rounding_level": TEXT,
    "zero_invoices": TEXT,
}
POLICY = tuple(_POLICY)
"""What the terms of an invoice say about the whole of it."""

TIER = pl.Struct(dict.fromkeys(("from", "to", "quantity", "unit", "flat", "amount"), pl.String))

LINES = Contract(
    _INVOICE
    | {
        "rank": pl.Int32(), "key": TEXT, "kind": TEXT, "description": TEXT, "service_from": INSTANT,
        "service_to": INSTANT, "meter": TEXT, "dimensions": TEXT, "quantity": EXACT, "amount_precise": EXACT,
        "amount_minor": MINOR, "currency": TEXT, "event_count": pl.Int64(), "tiers": pl.List(TIER), "explains": TEXT,
        "corrected_invoice_id": TEXT, "proposal": TEXT, "is_difference": pl.Boolean(),
    },
    nullable=("meter", "quantity", "event_count", "explains", "corrected_invoice_id", "proposal", "is_difference"),
)  # fmt: skip
"""One row per invoice line. ``rank`` orders the lines of an invoice: fees, then charges, as the plan lists them.
``corrected_invoice_id`` is the invoice that an adjustment corrects, ``proposal`` the fee proposal that an outcome
line bills;
``is_difference`` marks a line that bills its period so far less the earlier invoices of the period.
``explains`` is a text for people: nothing reads it."""

PRICED = ("amount_rounded", "problem")
"""What pricing says of a line: its amount by the terms' rounding mode, or why it has none."""
LINKED = (
    "explains", "corrected_invoice_id", "proposal", "is_difference", "booked_tax_percent", "booked_tax_key",
    "corrected_close",
)  # fmt: skip
"""What only lines that refer to something else have."""
SHOWN = ("amount_minor", "decimals", *POLICY, "place")
"""What showing amounts by the policy of the terms adds to a line (``line_amounts.shown_amounts``)."""
SETTLED = ("plan", "tax_percent", "tax_key", "tax_problem", "discount_minor", "tax_minor")
"""What coupons and taxes add to a line."""

WORKING_LINES = Contract(
    LINES
    | {"terms": pl.UInt32(), "amount_rounded": EXACT, "problem": TEXT, "decimals": pl.Int8()}
    | _POLICY
    | {
        "place": pl.UInt32(), "booked_tax_percent": EXACT, "booked_tax_key": TEXT, "corrected_close": INSTANT,
        "plan": TEXT, "tax_percent": EXACT, "tax_key": TEXT, "tax_problem": TEXT, "discount_minor": MINOR,
        "tax_minor": MINOR,
    },
    nullable={*LINES.nullable, "amount_precise", "terms", *PRICED, *LINKED, *SHOWN, *SETTLED},
)  # fmt: skip
"""Lines as every step of a billing run takes and gives them; what a later step fills is null. ``terms``: the number of
the terms that priced the line, null: of none (a one-off, a correction of a line that is of no terms any more);
``place``: unique over all lines of the run, in the order in which invoices show them; ``booked_tax_*``: the tax that
of the line that a correction corrects; ``corrected_close``: when the invoice closed that it corrects;
``tax_problem``: why the line's tax cannot be known."""

INVOICE_HEADERS = Contract(
    _INVOICE | {"timezone": TEXT, "currency": TEXT, "terms": pl.UInt32()} | _POLICY | {"close": INSTANT},
    key=INVOICE,
    nullable=("terms", "timezone", *POLICY),
)
"""Invoices of a run before they are totalled. ``close``: the instant from which the grace runs."""

BOOKED_LINES = Contract(
    {
        "tenant": TEXT, "invoice_id": TEXT, "key": TEXT, "kind": TEXT, "description": TEXT, "meter": TEXT,
        "dimensions": TEXT, "quantity": EXACT, "amount_minor": MINOR, "net_minor": MINOR, "event_count": pl.Int64(),
        "service_from": INSTANT, "service_to": INSTANT, "line_origin": TEXT, "line_no": pl.Int32(),
        "booked_tax_percent": EXACT, "booked_tax_key": TEXT,
    },
    nullable=("meter", "quantity", "event_count", "line_no"),
)  # fmt: skip
"""What is booked for an invoice, before and net of discounts. ``line_origin``: ``own`` is what its period made, and the
adjustments of that; ``lasting`` its lines of kinds that no event changes. ``line_no``: the line's place on the invoice;
null: another invoice bills it. ``booked_tax_*``: the tax of the line, as ``line_taxes.with_taxes`` names it."""

CURRENT_USAGE = Contract(
    {
        "tenant": TEXT, "key": TEXT, "dimensions": TEXT, "meter": TEXT, "quantity": EXACT, "event_count": pl.Int64(),
        "amount_minor": MINOR, "tax_minor": MINOR,
    },
    key=("tenant", "key", "dimensions"),
    nullable=("meter", "quantity"),
)  # fmt: skip
"""What usage has come to in the running period of a subscription, by charge (``key``) and what it is split by."""

THRESHOLD_LINES = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "period_from": INSTANT, "threshold_at": INSTANT,
        "key": TEXT, "kind": TEXT, "dimensions": TEXT, "quantity": EXACT, "amount_precise": EXACT,
        "amount_minor": MINOR, "discount_minor": MINOR, "event_count": pl.Int64(),
    },
    nullable=("quantity", "event_count"),
)  # fmt: skip
"""Amounts already billed on threshold invoices, by line; ``threshold_at`` is where they close. Lines of kind
``usage`` are of their period."""

THRESHOLD_COUPONS = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "period_from": INSTANT, "origin": TEXT, "key": TEXT,
        "amount_minor": MINOR,
    }
)  # fmt: skip
"""What coupons took on threshold invoices: a row per invoice and coupon."""

COUPON_USES = Contract(
    {"tenant": TEXT, "origin": TEXT, "subscription": TEXT, "period_from": INSTANT, "amount_minor": MINOR},
    key=("tenant", "origin", "subscription", "period_from"),
)
"""The periods that a coupon lowered: one row per application (tenant, origin), subscription and period.
``amount_minor``: what it took on the threshold and closing invoices of the period."""

INVOICE_DISCOUNTS = Contract({"tenant": TEXT, "invoice_id": TEXT, "origin": TEXT, "amount_minor": MINOR})
"""What each coupon application (tenant, origin) took of an invoice."""

CREDITS_USED = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "currency": TEXT, "kind": TEXT, "key": TEXT, "origin": TEXT,
        "is_final": pl.Boolean(), "amount_minor": MINOR,
    }
)  # fmt: skip
"""What credit notes and wallets (``kind``) paid; ``is_final``: of finalised invoices."""

INVOICE_NUMBERS = Contract(
    {
        "tenant": TEXT, "number": TEXT, "invoice_id": TEXT, "customer": TEXT, "currency": TEXT, "total_minor": MINOR,
        "issued_at": INSTANT, "voided_at": INSTANT, "events_known_at": INSTANT,
    },
    key=("tenant", "number"),
    nullable=("invoice_id", "issued_at", "voided_at", "events_known_at"),
)  # fmt: skip
"""Invoices that credit notes may name. ``issued_at`` null: before this run. ``events_known_at``: what was received by
then was known when the number was assigned; null: numbered provisionally."""

CORRECTED = Contract(
    {"tenant": TEXT, "number": TEXT, "corrected_number": TEXT, "known_at": INSTANT, "amount_minor": MINOR},
)
"""Adjustment lines on finalised invoices that stand (``number``), tax included, by the number of the invoice that they
put right and their state of knowledge."""

NEGATIVE_BALANCES = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "currency": TEXT, "origin": TEXT, "key": TEXT, "amount_minor": MINOR,
        "created_at": INSTANT,
    }
)  # fmt: skip
"""What invoices that came out negative leave to their customers: ``amount_minor`` above 0, ``origin`` the invoice."""

_ISSUED = _INVOICE | {"invoice_id": TEXT, "number": TEXT, "currency": TEXT, "total_minor": MINOR}
ISSUED_INVOICES = Contract(_ISSUED | {"events_known_at": INSTANT}, key=("tenant", "invoice_id"))
"""Finalised invoices that were not voided. ``events_known_at``: the newest state of knowledge booked for each, on
itself or on an invoice that corrects it. ``subscription`` '' : of none."""

VOIDED_INVOICES = Contract(_ISSUED | {"voided_at": INSTANT}, key=("tenant", "invoice_id"))
"""Finalised invoices that were voided, and when."""

RECOMPUTED_INVOICES = Contract(
    _INVOICE | {"invoice_id": TEXT, "currency": TEXT, "events_known_at": INSTANT, "rerate_catalog_hash": TEXT},
    key=("tenant", "invoice_id"),
    nullable=("events_known_at", "rerate_catalog_hash"),
)
"""Finalised invoices that are recomputed. ``events_known_at`` null: voided; ``rerate_catalog_hash``: of
the catalog that they were re-rated with, null: their own terms."""

ONE_OFFS_BILLED = Contract({"tenant": TEXT, "key": TEXT})
"""One-off lines that are on an invoice."""

RECOMPUTED_LINES = Contract(
    {
        "tenant": TEXT, "invoice_id": TEXT, "key": TEXT, "kind": TEXT, "description": TEXT, "meter": TEXT,
        "dimensions": TEXT, "service_from": INSTANT, "service_to": INSTANT, "quantity": EXACT,
        "event_count": pl.Int64(), "amount_precise": EXACT, "amount_minor": MINOR, "rank": pl.Int32(),
        "tiers": pl.List(TIER), "line_origin": TEXT, "line_no": pl.Int32(), "terms": pl.UInt32(), "plan": TEXT,
        "decimals": pl.Int8(), "rounding_mode": TEXT,
    },
    nullable=(
        "meter", "quantity", "event_count", "amount_precise", "rank", "tiers", "line_no", "terms", "plan",
        "rounding_mode",
    ),
)  # fmt: skip
"""Lines of a finalised invoice recomputed, and those of it that stay as they are, in the order of the invoice."""

BILLED_INVOICES = Contract(
    _ISSUED
    | {
        "amount_due_minor": MINOR, "events_known_at": INSTANT, "sequence": pl.Int64(), "is_final": pl.Boolean(),
        "voided_at": INSTANT,
    },
    key=("tenant", "invoice_id"),
    nullable=("number", "sequence", "voided_at"),
)  # fmt: skip
"""Invoices as they are recorded. ``is_final`` False: a draft, which has neither number nor sequence."""

BILLED_LINES = Contract(
    {
        "tenant": TEXT, "invoice_id": TEXT, "line_no": pl.Int32(), "key": TEXT, "kind": TEXT, "description": TEXT,
        "meter": TEXT, "dimensions": TEXT, "service_from": INSTANT, "service_to": INSTANT, "quantity": EXACT,
        "amount_precise": EXACT, "amount_minor": MINOR, "discount_minor": MINOR, "tax_minor": MINOR,
        "event_count": pl.Int64(), "corrected_invoice_id": TEXT, "tax_percent": EXACT, "tax_key": TEXT,
    },
    key=("tenant", "invoice_id", "line_no"),
    nullable=("meter", "quantity", "event_count", "corrected_invoice_id", "tax_percent", "tax_key"),
)  # fmt: skip
"""Lines of BILLED_INVOICES as they are recorded. ``tax_percent``, ``tax_key``: the rate of the line, null:
none, or not read."""

BILLED_CREDITS = Contract(
    {"tenant": TEXT, "invoice_id": TEXT, "kind": TEXT, "key": TEXT, "origin": TEXT, "amount_minor": MINOR}
)
"""What credit notes and wallets (``kind``) paid of each invoice."""

BILLED_DISCOUNTS = Contract(
    {"tenant": TEXT, "invoice_id": TEXT, "position": pl.Int32(), "origin": TEXT, "key": TEXT, "amount_minor": MINOR},
    key=("tenant", "invoice_id", "position"),
)
"""What coupons took of each invoice, in the order in which they were taken."""

BILLED_DEDUCTIONS = Contract({**BILLED_CREDITS, **BILLED_DISCOUNTS}, nullable=("kind",))
"""BILLED_CREDITS and BILLED_DISCOUNTS (``kind`` null) of invoices."""

RERATINGS = Contract(
    {"tenant": TEXT, "invoice_id": TEXT, "rerate_catalog_hash": TEXT, "document": TEXT},
    key=("tenant", "invoice_id"),
    nullable=("rerate_catalog_hash", "document"),
)
"""The last re-rating applied to each invoice, with the catalog; null: its own terms."""

NUMBERED_INVOICES = Contract(
    _INVOICE
    | dict.fromkeys(("invoice_id", "status", "document", "content_hash", "number", "previous_hash", "chain_hash"), TEXT)
    | {"sequence": pl.Int64(), "finalised_at": INSTANT},
    key=("tenant", "invoice_id"),
    nullable=("number", "previous_hash", "chain_hash", "sequence", "finalised_at"),
)
"""Invoices of a run with their documents; drafts have no number."""

MONTHLY_TOTALS = Contract(
    {
        "tenant": TEXT, "month": pl.Date(), "currency": TEXT, "status": TEXT, "invoices": pl.Int64(),
        "total_minor": EXACT,
    },
    key=("tenant", "month", "currency", "status"),
)  # fmt: skip
"""Number and sum of the invoices of a month (its first day); ``status``: draft, finalised or voided."""

UNCHANGED_INVOICES = Contract(
    {"tenant": TEXT, "invoice_id": TEXT, "events_known_at": INSTANT}, key=("tenant", "invoice_id")
)
"""Finalised invoices that were recomputed with what was received up to ``events_known_at``, and no amount changed."""

FOUND_UNCHANGED = Contract(
    {**UNCHANGED_INVOICES, "subscription": TEXT, "number": TEXT, "sequence": pl.Int64()},
    key=("tenant", "invoice_id", "events_known_at"),
)
"""Each time that an invoice was found unchanged."""

CORRECTED_IN_VAIN = Contract({"tenant": TEXT, "invoice_id": TEXT}, key=("tenant", "invoice_id"))
"""Invoices of which a correction was voided with the invoice that it is on."""

HELD_LINES = Contract({**_INVOICE, "key": TEXT, "problem": TEXT, "month": pl.Date()})
"""Lines that could not be priced, whose invoices are held back; ``month``: in which the invoice closes."""
