"""Documents and billing events for the journal, written by hand or by hypothesis."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import polars as pl

from valueverse.ledger.documents import LedgerDocuments, read_documents
from valueverse.ledger.posting import Journal, JournalInputs, book_entries, derive_movements, no_bookings
from valueverse.schemas.events import BILLING_FACTS
from valueverse.schemas.invoicing import CORRECTED
from valueverse.schemas.ledger import BOOKED_MOVEMENTS, PAYABLE_INVOICES, WALLET_USES

ZONES = pl.DataFrame({"tenant": ["acme"], "timezone": ["UTC"]})
LATER = datetime(2030, 1, 1, tzinfo=UTC)


def money(minor: int) -> str:
    """Minor units of a currency with two decimals as the document shows them."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100}.{abs(minor) % 100:02d}"


def line(minor: int, begin: str = "2024-01-01", end: str = "2024-02-01") -> dict[str, Any]:
    """A line of an invoice."""
    return {"amount": money(minor), "service_period": {"from": f"{begin}T00:00:00Z", "to": f"{end}T00:00:00Z"}}


def document(number: int, lines: list[dict[str, Any]], issued_on: str = "2024-02-02", **more: Any) -> dict[str, Any]:
    """A finalised invoice of ``acme`` to ``c1``; tax, discount and credits in minor units."""
    discount, tax, paid = more.pop("discount", 0), more.pop("tax", 0), more.pop("credits", [])
    total = sum(round(float(one["amount"]) * 100) for one in lines) - discount + tax
    used = sum(amount for _, _, amount in paid)
    return {
        "number": f"acme-{number:06d}", "tenant": "acme", "customer": "c1", "currency": "USD",
        "issued_on": issued_on, "lines": lines,
        "discount_total": money(discount), "tax_total": money(tax), "total": money(total), "credit_total": money(used),
        "amount_due": money(total - used),
        "credits": [{"kind": kind, "key": key, "amount": money(amount)} for kind, key, amount in paid],
    } | more  # fmt: skip


def facts(*inputs: tuple[str, str, dict[str, Any]]) -> pl.DataFrame:
    """Billing facts (kind, time, data) of ``acme``, in the order in which they are received."""
    rows = [
        dict.fromkeys(BILLING_FACTS)
        | {
            "tenant": "acme", "type": f"billing.{kind}", "time": datetime.fromisoformat(time),
            "received_at": datetime.fromisoformat(time), "source": "test", "id": f"b{number}",
            "data": json.dumps(data),
        }
        for number, (kind, time, data) in enumerate(inputs)
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=BILLING_FACTS, strict=False)


def read(*documents: dict[str, Any]) -> LedgerDocuments:
    """Documents as frames, in UTC days."""
    texts = [json.dumps(one) for one in documents]
    return read_documents(
        pl.DataFrame({"document": texts, "timezone": ["UTC"] * len(texts)}, schema_overrides={"document": pl.String})
    )


def bills(found: LedgerDocuments, voided: dict[str, str] | None = None) -> pl.DataFrame:
    """PAYABLE_INVOICES of these documents; ``voided``: number -> when."""
    moments = {number: datetime.fromisoformat(time) for number, time in (voided or {}).items()}
    when = [moments.get(number) for number in found.invoices["number"]]
    moment = pl.Series("voided_at", when, PAYABLE_INVOICES["voided_at"])
    return PAYABLE_INVOICES.conform(found.invoices.with_columns(moment), unset=("events_known_at",))


def inputs_of(
    found: LedgerDocuments,
    events: pl.DataFrame | None = None,
    voided: dict[str, str] | None = None,
    as_of: datetime = LATER,
) -> JournalInputs:
    """What the journal needs beside the documents; credits count as used unless their invoice is voided."""
    remaining = found.credits.filter(~pl.col("number").is_in(list(voided or {})))
    used = WALLET_USES.conform(remaining.drop_nulls("origin"))
    return JournalInputs(
        facts() if events is None else events, bills(found, voided), CORRECTED.to_frame(), used, ZONES, as_of
    )


def booked(*documents: dict[str, Any], events: pl.DataFrame | None = None, **more: Any) -> Journal:
    """The journal of these documents and events, booked at once."""
    found = read(*documents)
    moves, _ = derive_movements(found, inputs_of(found, events, **more))
    return book_entries(moves, no_bookings())


def balance(journal: Journal, account: str, until: str | None = None) -> int:
    """Balance of an account, up to a date included."""
    rows = journal.postings.join(journal.entries.select("tenant", "entry_id", "date"), on=["tenant", "entry_id"])
    if until is not None:
        rows = rows.filter(pl.col("date") <= date.fromisoformat(until))
    return int(rows.filter(pl.col("account") == account)["amount_minor"].sum())


def net_postings(journals: list[Journal]) -> pl.DataFrame:
    """What these journals have booked together (BOOKED_MOVEMENTS)."""
    parts = [
        BOOKED_MOVEMENTS.conform(one.postings.join(one.entries, on=["tenant", "entry_id", "currency"]))
        for one in journals
    ]
    return pl.concat([BOOKED_MOVEMENTS.to_frame(), *parts])
