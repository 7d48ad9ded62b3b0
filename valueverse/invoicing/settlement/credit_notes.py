"""Which credit notes count, and what is left of an invoice beside them (docs/decisions/0020).

An invoice, its corrections and its credit notes give back no more than was due for it, whichever comes first: what a
correction gave back is not left for a note, and what a note gave back a correction does not give back again. An invoice
that comes out below zero as known now, since it gives back fees that an earlier one billed, is due that. Documents and
journal both use the functions here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.lines.line_amounts import in_order
from valueverse.invoicing.settlement.adjustment_events import EVENT_ORIGIN, NOT_FINALISED, credit_note_rows
from valueverse.money import minor_units
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.types import EXACT, INSTANT
from valueverse.subscriptions import event_field, rejected_events

if TYPE_CHECKING:
    from datetime import datetime

UNKNOWN, VOIDED, EXCEEDS, ODD = "unknown_invoice", "invoice_voided", "exceeds_invoice", "bad_amount"
_NUMBER = ["tenant", "number"]
_SHOWN = pl.col("amount").cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")


def whole_minor_units(amount: str, currency: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``amount_minor`` (Int64): ``amount`` (EXACT, >= 0) in whole minor units, the rest left out; and ``fraction``:
    whether there was one."""
    decimals = {code: minor_units(code) for code in rows[currency].drop_nulls().unique()}
    # An empty mapping would leave the column as text.
    found = pl.col(currency).replace_strict(decimals or {"": 0}, default=0, return_dtype=pl.Int8)
    minor = pl.lit(None, pl.Int64)
    fraction = pl.lit(value=False)
    for places in sorted(set(decimals.values())):
        of_these = found == places
        scaled = (pl.col(amount) * pl.lit(10**places).cast(pl.Decimal(38, 0))).cast(EXACT)
        minor = pl.when(of_these).then(scaled.floor().cast(pl.Int64)).otherwise(minor)
        fraction = pl.when(of_these).then(scaled != scaled.floor()).otherwise(fraction)
    return rows.with_columns(minor.alias("amount_minor"), fraction.alias("fraction"))


def judge_credit_notes(notes: pl.DataFrame, bills: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """Credit notes with what is known of their invoices (the columns of ``bills``), amount_minor and ``refusal`` (null:
    it fits the invoice).

    The first received comes first, so that what counted once counts for ever. An invoice leaves its total and what
    corrections known before the note added or gave back; what corrects another invoice on it belongs to that one. A
    note names no invoice that was numbered by a run to which the note was known already (docs/decisions/0720).

    Args:
        notes: CREDIT_NOTES.
        bills: tenant, number, customer, currency, total_minor, voided_at, events_known_at and more.
        corrected: CORRECTED.
    """
    if notes.is_empty():
        found = {name: dtype for name, dtype in bills.schema.items() if name not in {*_NUMBER, "events_known_at"}}
        return pl.DataFrame(schema={**notes.schema, **found, "amount_minor": pl.Int64(), "refusal": pl.String()})
    known_at = pl.col("events_known_at")
    joined = notes.join(bills, on=_NUMBER, how="left", maintain_order="left").with_columns(
        pl.when(known_at.is_null() | (known_at < pl.col("received_at"))).then(name).alias(name)
        for name in bills.columns
        if name not in _NUMBER
    )
    rows = _with_unused_amount(whole_minor_units("amount", "currency", joined), corrected).sort(
        "received_at", "created_at", "source", "id", maintain_order=True
    )
    whole = rows.filter(pl.col("amount_minor") > 0)
    fitting = whole
    while True:
        # A refused note leaves its amount to the next one, so only the first above the limit is known to be refused.
        over = fitting.filter(pl.col("amount_minor").cum_sum().over(_NUMBER) > pl.col("limit"))
        first = over.unique(_NUMBER, keep="first", maintain_order=True)
        if first.is_empty():
            break
        fitting = fitting.join(first, on=["tenant", "origin"], how="anti", maintain_order="left")
    fits = fitting.select("tenant", "origin", pl.lit(value=True).alias("fits"))
    refusal = (
        pl.when(pl.col("customer").is_null()).then(pl.lit(UNKNOWN))
        .when(pl.col("amount_minor").fill_null(0) <= 0).then(pl.lit(ODD))
        .when(pl.col("fits").is_null()).then(pl.lit(EXCEEDS))
    )  # fmt: skip
    marked = rows.join(fits, on=["tenant", "origin"], how="left", maintain_order="left")
    return marked.with_columns(refusal.alias("refusal")).drop("limit", "fraction", "fits", "events_known_at")


def _with_unused_amount(rows: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    corrections = corrected.group_by(_NUMBER).agg(pl.col("amount_minor").sum().alias("corrected_minor"))
    before = (
        rows.select(*_NUMBER, "origin", "received_at")
        .join(corrected.drop("number").rename({"corrected_number": "number", "amount_minor": "given"}), on=_NUMBER)
        .filter(pl.col("known_at") < pl.col("received_at"))
        .group_by("tenant", "origin")
        .agg(pl.col("given").sum())
    )
    # What others give back on it lowers what is due on it; what they add is due for them.
    own = pl.col("total_minor") - pl.col("corrected_minor").fill_null(0).clip(0)
    return (
        rows.join(corrections, on=_NUMBER, how="left", maintain_order="left")
        .join(before, on=["tenant", "origin"], how="left", maintain_order="left")
        .with_columns((own + pl.col("given").fill_null(0)).alias("limit"))
        .drop("corrected_minor", "given")
    )


def counting(found: pl.DataFrame) -> pl.DataFrame:
    """Of ``judge_credit_notes`` notes those that count: a void takes the notes of its invoice with it."""
    return found.filter(pl.col("refusal").is_null(), pl.col("voided_at").is_null())


def refused(found: pl.DataFrame) -> pl.DataFrame:
    """``judge_credit_notes`` notes that do not count, with the reason (REJECTED_EVENTS)."""
    if found.is_empty():
        return REJECTED_EVENTS.to_frame()
    messages = {
        UNKNOWN: NOT_FINALISED,
        VOIDED: pl.format("invoice {} was voided", "number"),
        ODD: pl.lit("a credit note gives at least one minor unit of its invoice's currency"),
        EXCEEDS: pl.format("a credit note of {} is more than is left of invoice {}", _SHOWN, "number"),
    }
    reason = pl.when(pl.col("voided_at").is_not_null()).then(pl.lit(VOIDED)).otherwise("refusal")
    rows = found.with_columns(reason.alias("refusal"))
    parts = [
        rejected_events(rows.filter(pl.col("refusal") == code), code, message) for code, message in messages.items()
    ]
    return pl.concat([REJECTED_EVENTS.to_frame(), *parts])


def rejected_credit_notes(facts: pl.DataFrame, bills: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """Credit notes that do not count beside the others of their invoices (REJECTED_EVENTS).

    Args:
        facts: valid billing events in their order.
        bills: PAYABLE_INVOICES or BILLED_INVOICES.
        corrected: CORRECTED.
    """
    issued = facts.filter(pl.col("type") == "billing.credit_note.issued").with_columns(EVENT_ORIGIN)
    return refused(judge_credit_notes(credit_note_rows(issued), bills, corrected))


def reopened(booked: pl.DataFrame, facts: pl.DataFrame, known_at: datetime | None) -> pl.DataFrame:
    """The finalised invoices of which a credit note was withdrawn or amended since: what it held back of a correction
    may be given now.

    Args:
        booked: tenant, number, invoice_id, events_known_at (the newest state of knowledge booked for it).
        facts: billing facts.
        known_at: the run's state of knowledge; None: nothing was received.
    """
    gone = facts.filter(
        pl.col("type") == "billing.credit_note.issued", pl.col("known_until") <= pl.lit(known_at, INSTANT)
    ).select("tenant", event_field("invoice").alias("number"), pl.col("known_until").alias("gone_at"))
    if gone.is_empty():
        return booked.clear()
    since = gone.group_by(_NUMBER).agg(pl.col("gone_at").max())
    return booked.join(since, on=_NUMBER).filter(pl.col("gone_at") > pl.col("events_known_at")).drop("gone_at")


def _left(notes: pl.DataFrame, bills: pl.DataFrame, corrected: pl.DataFrame) -> pl.DataFrame:
    """What stands of invoices that credit notes lower, tax included: tenant, invoice_id, value_minor (without the
    notes), left_minor (beside them).

    Args:
        notes: CREDIT_NOTES.
        bills: INVOICE_NUMBERS.
        corrected: CORRECTED.
    """
    count = counting(judge_credit_notes(notes, bills, corrected))
    given = count.group_by(_NUMBER).agg(pl.col("amount_minor").sum().alias("given"))
    by_others = corrected.drop("number").rename({"corrected_number": "number"})
    signed = pl.concat(
        [
            bills.select(*_NUMBER, pl.col("total_minor").alias("amount_minor")),
            by_others.select(*_NUMBER, "amount_minor"),
            corrected.select(*_NUMBER, -pl.col("amount_minor")),
        ]
    )
    value = signed.group_by(_NUMBER).agg(pl.col("amount_minor").sum().alias("value_minor"))
    left = (pl.col("value_minor") - pl.col("given")).alias("left_minor")
    return bills.join(given, on=_NUMBER).join(value, on=_NUMBER).select("tenant", "invoice_id", "value_minor", left)


def cap_by_credit_notes(
    lines: pl.DataFrame, notes: pl.DataFrame, bills: pl.DataFrame, corrected: pl.DataFrame
) -> pl.DataFrame:
    """Lines whose adjustments give back no more of an invoice than credit notes leave of it, tax included: down to
    zero, or to what the invoice comes to as known now where that is below.

    The lines of one correction give in their order, each as much as the ones before it leave; what adds to the invoice
    is added to what is left. Their tax counts unrounded: whichever way the invoice that bills them rounds it, not a
    minor unit more is given back. A line that is left nothing and brings no event to account is left out.

    Args:
        lines: LINES with decimals and tax_percent.
        notes: CREDIT_NOTES.
        bills: INVOICE_NUMBERS.
        corrected: CORRECTED.
    """
    if notes.is_empty():
        return lines
    left = _left(notes, bills, corrected)
    corrected_by, named = ["tenant", "corrected_invoice_id"], ["tenant", "invoice_id"]
    concerned = in_order(lines.join(left, left_on=corrected_by, right_on=named))
    if concerned.is_empty():
        return lines
    rest = lines.join(left, left_on=corrected_by, right_on=named, how="anti", maintain_order="left")
    share = pl.lit(1).cast(EXACT) + pl.col("tax_percent") / pl.lit(100).cast(EXACT)
    gross = pl.col("amount_minor").cast(EXACT) * share
    back = (-gross).clip(0)
    now = pl.col("value_minor").cast(EXACT) + gross.sum().over(corrected_by)
    allowed = (pl.col("left_minor").cast(EXACT) - now.clip(upper_bound=0)).clip(0)
    there = allowed + (gross + back).sum().over(corrected_by) - back.cum_sum().over(corrected_by)
    most = ((there + back).clip(0) / share).floor().cast(pl.Int64)
    given = concerned.with_columns(pl.max_horizontal("amount_minor", -most).alias("given"))
    capped = given.filter(pl.col("amount_minor") < pl.col("given"))
    whole = given.filter(pl.col("amount_minor") >= pl.col("given"))
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    adjustments = capped.with_columns(
        pl.col("given").alias("amount_minor"),
        (pl.col("given").cast(EXACT) / scale).alias("amount_precise"),
        pl.format("{}; a credit note gave the rest back", pl.col("explains").fill_null("")).alias("explains"),
    )
    shown = pl.any_horizontal(pl.col(name).fill_null(0) != 0 for name in ("amount_minor", "event_count", "quantity"))
    return pl.concat([frame.select(lines.columns) for frame in (rest, whole, adjustments.filter(shown))])
