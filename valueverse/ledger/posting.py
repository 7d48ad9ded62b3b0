"""The journal: what documents and billing events move, and the entries that bring the books to it.

Nothing in the journal is ever changed. What a cause (an invoice, a payment) should have moved is compared with what is
booked for it, and the difference is a new entry: booking again finds none, a payment that was withdrawn is taken back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import polars_hash  # noqa: F401 - registers .chash

from valueverse.ledger.accounts import CAUSE, POSITION, RECEIVABLE
from valueverse.ledger.invoices import invoice_movements, void_movements
from valueverse.ledger.payment_movements import dated, note_movements, payment_movements
from valueverse.ledger.wallets import wallet_blocks, wallet_movements
from valueverse.schemas.ledger import AMOUNTS_OWED, BOOKED_MOVEMENTS, JOURNAL_ENTRIES, JOURNAL_POSTINGS
from valueverse.subscriptions import event_field, known_events

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.ledger.documents import LedgerDocuments

_ENTRY = [*CAUSE, "date", "currency"]


@dataclass(frozen=True)
class Journal:
    """JOURNAL_ENTRIES and their JOURNAL_POSTINGS."""

    entries: pl.DataFrame
    postings: pl.DataFrame


@dataclass(frozen=True)
class JournalInputs:
    """What the journal is made from, beside documents.

    Attributes:
        facts: BILLING_FACTS; amended and withdrawn ones are left out here.
        bills: PAYABLE_INVOICES of the invoices that events may name.
        corrected: what invoices correct of each other (credit_notes.CORRECTED).
        used: WALLET_USES.
        zones: tenant, timezone.
        as_of: credit that expires later has not expired.
    """

    facts: pl.DataFrame
    bills: pl.DataFrame
    corrected: pl.DataFrame
    used: pl.DataFrame
    zones: pl.DataFrame
    as_of: datetime


def derive_movements(documents: LedgerDocuments, inputs: JournalInputs) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What documents and events move (JOURNAL_MOVEMENTS), and payments that could not be booked (REJECTED_EVENTS)."""
    facts = known_events(inputs.facts, None)
    blocks = wallet_blocks(facts)
    # Withdrawn grants too: what was paid from them is owed again as what it was.
    kinds = wallet_blocks(inputs.facts).select("tenant", "origin", "wallet_kind")
    invoices = invoice_movements(documents.invoices, documents.lines, documents.credits, kinds)
    voids = dated(inputs.bills.filter(pl.col("voided_at").is_not_null()), "voided_at", inputs.zones).select(
        "tenant", "number", pl.col("date").alias("void_date")
    )
    payments, rejected = payment_movements(facts, inputs.bills, inputs.zones)
    parts = [
        invoices,
        void_movements(invoices, voids),
        payments,
        note_movements(facts, inputs.bills, inputs.corrected, inputs.zones),
        wallet_movements(blocks, inputs.used, inputs.zones, inputs.as_of),
    ]
    return pl.concat(parts), rejected


def book_entries(movements: pl.DataFrame, booked: pl.DataFrame) -> Journal:
    """The entries that bring what is booked for these causes to what they move; none where nothing is missing.

    Args:
        movements: JOURNAL_MOVEMENTS: all that the causes move.
        booked: BOOKED_MOVEMENTS: all that stands for them; a cause that moves nothing any more is taken back.
    """
    where = [*_ENTRY, *POSITION]
    wanted = movements.group_by(where).agg(pl.col("amount_minor").sum())
    there = booked.group_by(where).agg(pl.col("amount_minor").sum().alias("booked"))
    both = wanted.join(there, on=where, how="full", coalesce=True, nulls_equal=True)
    lacking = both.with_columns(
        (pl.col("amount_minor").fill_null(0) - pl.col("booked").fill_null(0)).alias("amount_minor")
    ).filter(pl.col("amount_minor") != 0)
    newest = booked.group_by(_ENTRY).agg((pl.col("revision").max() + 1).alias("revision"))
    numbered = lacking.join(newest, on=_ENTRY, how="left").with_columns(pl.col("revision").fill_null(0))
    return _written(numbered.with_columns(_entry_id()))


def _entry_id() -> pl.Expr:
    """SHA-256 of the cause, the date, the currency and the revision; names are set apart by what no name contains."""
    text = pl.concat_str(
        *CAUSE, pl.col("date").dt.strftime("%F"), "currency", pl.col("revision").cast(pl.String), separator="\n"
    )
    digest: pl.Expr = text.chash.sha2_256()  # type: ignore[attr-defined]  # registered by polars_hash
    return digest.alias("entry_id")


def _written(rows: pl.DataFrame) -> Journal:
    ordered = rows.sort("tenant", "date", "kind", "reference", "revision", "currency", *POSITION)
    entries = ordered.unique(["tenant", "entry_id"], keep="first", maintain_order=True)
    place = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("tenant", "entry_id")
    return Journal(
        JOURNAL_ENTRIES.conform(entries),
        JOURNAL_POSTINGS.conform(ordered.with_columns(place.alias("position"))),
    )


def no_bookings() -> pl.DataFrame:
    """The journal's beginning (BOOKED_MOVEMENTS)."""
    return BOOKED_MOVEMENTS.to_frame()


def named_invoices(facts: pl.DataFrame) -> pl.DataFrame:
    """tenant, number of every invoice that a payment, credit note or void names, as PAYABLE_INVOICES are needed."""
    names_invoice = pl.col("type").str.contains(r"^billing\.(payment|credit_note|invoice)\.")
    return facts.filter(names_invoice).select("tenant", event_field("invoice").alias("number")).drop_nulls().unique()


def receivables(invoiced: pl.DataFrame, inputs: JournalInputs) -> pl.DataFrame:
    """What customers owe (AMOUNTS_OWED): invoices less what wallets paid, payments and credit notes.

    Args:
        invoiced: AMOUNTS_OWED of the finalised invoices that stand.
        inputs: the payments and credit notes.
    """
    facts = known_events(inputs.facts, None)
    payments, _ = payment_movements(facts, inputs.bills, inputs.zones)
    notes = note_movements(facts, inputs.bills, inputs.corrected, inputs.zones)
    lowered = pl.concat([payments, notes]).filter(pl.col("account") == RECEIVABLE)
    return pl.concat([invoiced.select(AMOUNTS_OWED.names()).cast(AMOUNTS_OWED), lowered.select(AMOUNTS_OWED.names())])
