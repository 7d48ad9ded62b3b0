"""What billing events move by themselves: payments and credit notes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.settlement import EVENT_ORIGIN, credit_note_rows, judge_credit_notes, whole_minor_units
from valueverse.ledger.accounts import CASH, RECEIVABLE, REVENUE, TAX_PAYABLE, move
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.subscriptions import event_field, local_date, number_field, rejected_events

if TYPE_CHECKING:
    from collections.abc import Iterable

_PAYMENTS = ("received", "failed", "refunded")
_NUMBER = ["tenant", "number"]


def received_events(facts: pl.DataFrame, *kinds: str) -> pl.DataFrame:
    """The events of these kinds (``payment.received``) with their ``origin``, in the order in which they count."""
    return facts.filter(pl.col("type").is_in([f"billing.{kind}" for kind in kinds])).with_columns(EVENT_ORIGIN)


def dated(rows: pl.DataFrame, instant: str, zones: pl.DataFrame) -> pl.DataFrame:
    """Add ``date``: the tenant's day of an instant; UTC for a tenant without a known zone."""
    named = rows.join(zones, on="tenant", how="left", maintain_order="left").with_columns(
        pl.col("timezone").fill_null("UTC")
    )
    return local_date(named, pl.col(instant), "timezone", "date").drop("timezone")


def payment_movements(
    facts: pl.DataFrame, bills: pl.DataFrame, zones: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Movements of payments received, taken back and refunded, and those that name no invoice (REJECTED_EVENTS).

    A failed attempt moves nothing. One with the reference of a payment received before takes that back: a direct
    debit returned, a charge disputed.

    Args:
        facts: valid billing events in their order.
        bills: PAYABLE_INVOICES.
        zones: tenant, timezone.
    """
    good, rejected = _payments(facts, bills, _PAYMENTS)
    booked = dated(good, "time", zones).with_columns(
        pl.col("type").str.replace("billing.payment.", "payment_", literal=True).alias("kind"),
        pl.col("origin").alias("reference"),
        pl.col("number").alias("invoice"),
    )
    received = booked.filter(pl.col("kind") == "payment_received")
    back = pl.concat([booked.filter(pl.col("kind") == "payment_refunded"), _returned(booked, received)])
    paid = pl.col("amount_minor")
    moved = [
        move(received, CASH, paid),
        move(received, RECEIVABLE, -paid, "customer", "invoice"),
        move(back, CASH, -paid),
        move(back, RECEIVABLE, paid, "customer", "invoice"),
    ]
    return pl.concat(moved), rejected


def failed_payments(facts: pl.DataFrame, bills: pl.DataFrame) -> pl.DataFrame:
    """Payments that failed, also those that move nothing: tenant, origin, number, customer, received_at.

    Args:
        facts: valid billing events in their order.
        bills: PAYABLE_INVOICES.
    """
    found, _ = _payments(facts, bills, ("failed",))
    return found.select("tenant", "origin", "number", "customer", "received_at")


def rejected_payments(facts: pl.DataFrame, bills: pl.DataFrame) -> pl.DataFrame:
    """Payments that are not booked (REJECTED_EVENTS).

    Args:
        facts: valid billing events in their order.
        bills: PAYABLE_INVOICES or BILLED_INVOICES.
    """
    return _payments(facts, bills, _PAYMENTS)[1]


def _payments(facts: pl.DataFrame, bills: pl.DataFrame, kinds: Iterable[str]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events about payments that name an invoice with its customer, and those that do not (REJECTED_EVENTS)."""
    inputs = received_events(facts, *(f"payment.{kind}" for kind in kinds)).with_columns(
        event_field("invoice").alias("number"),
        number_field("amount"),
        event_field("currency"),
        event_field("reference").alias("payment"),
    )
    known = bills.select(*_NUMBER, "customer", pl.col("currency").alias("billed_in"))
    rows = whole_minor_units("amount", "currency", inputs).join(known, on=_NUMBER, how="left", maintain_order="left")
    return _judged(rows)


def _returned(booked: pl.DataFrame, received: pl.DataFrame) -> pl.DataFrame:
    """Failures that take a payment back, up to what was received under their reference."""
    same = ["tenant", "number", "payment"]
    paid = received.drop_nulls("payment").group_by(same).agg(pl.col("amount_minor").sum().alias("paid"))
    failed = booked.filter(pl.col("kind") == "payment_failed").join(paid, on=same, maintain_order="left")
    return failed.filter(pl.col("amount_minor").cum_sum().over(same) <= pl.col("paid")).drop("paid")


def _judged(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    unknown = pl.col("customer").is_null()
    other = pl.col("currency") != pl.col("billed_in")
    odd = (pl.col("amount_minor") <= 0) | pl.col("fraction")
    reason = (
        pl.when(unknown).then(pl.lit("unknown_invoice"))
        .when(other).then(pl.lit("wrong_currency"))
        .when(odd).then(pl.lit("bad_amount"))
    )  # fmt: skip
    marked = rows.with_columns(reason.alias("refusal"))
    number_text = pl.format("'{}'", pl.col("number").fill_null(""))
    messages = {
        "unknown_invoice": pl.format("not booked: no invoice {} of this tenant has been finalised", number_text),
        "wrong_currency": pl.format("not booked: the invoice {} is in another currency", number_text),
        "bad_amount": pl.lit("not booked: a payment is more than 0 and whole in the currency's minor unit"),
    }
    rejected = [
        rejected_events(marked.filter(pl.col("refusal") == code), code, message) for code, message in messages.items()
    ]
    return marked.filter(pl.col("refusal").is_null()), pl.concat([REJECTED_EVENTS.to_frame(), *rejected])


def note_movements(
    facts: pl.DataFrame, bills: pl.DataFrame, corrected: pl.DataFrame, zones: pl.DataFrame
) -> pl.DataFrame:
    """Movements of credit notes: what the customer owes falls, revenue and tax in the proportion of the invoice.

    A note counts if it fits its invoice (``credit_notes.judged``); of a voided invoice it is taken back
    with the void. (Those that do not count are listed by the billing run.)

    Args:
        facts: valid billing events in their order.
        bills: PAYABLE_INVOICES.
        corrected: notes.CORRECTED.
        zones: tenant, timezone.
    """
    found = judge_credit_notes(credit_note_rows(received_events(facts, "credit_note.issued")), bills, corrected)
    open_then = pl.col("voided_at").is_null() | (pl.col("created_at") <= pl.col("voided_at"))
    counted = _with_tax(found.filter(pl.col("refusal").is_null(), open_then))
    booked = dated(counted, "created_at", zones).with_columns(
        pl.lit("credit_note").alias("kind"), pl.col("origin").alias("reference"), pl.col("number").alias("invoice")
    )
    voided = dated(booked.filter(pl.col("voided_at").is_not_null()).drop("date"), "voided_at", zones)
    back = voided.with_columns(-pl.col("amount_minor", "tax_part"))
    whole = pl.concat([booked, back.select(booked.columns)])
    return pl.concat(
        [
            move(whole, RECEIVABLE, -pl.col("amount_minor"), "customer"),
            move(whole, REVENUE, pl.col("amount_minor") - pl.col("tax_part"), "customer", "invoice"),
            move(whole, TAX_PAYABLE, "tax_part"),
        ]
    )


def _with_tax(counted: pl.DataFrame) -> pl.DataFrame:
    """Notes with the tax in each (``tax_part``), in the proportion of their invoice."""
    wide = pl.Int128
    sofar = pl.col("amount_minor").cum_sum().over(_NUMBER).cast(wide)
    # Of all notes together the nearest whole unit, so that a note of everything gives back all the tax.
    taxed = ((2 * sofar * pl.col("tax_minor").cast(wide) + pl.col("total_minor")) // (2 * pl.col("total_minor"))).cast(
        pl.Int64
    )
    before = pl.col("tax_sofar").shift(1, fill_value=0).over(_NUMBER)
    return counted.with_columns(taxed.alias("tax_sofar")).with_columns((pl.col("tax_sofar") - before).alias("tax_part"))
