"""What billing events state of money: payments, credit notes, one-offs and wallets, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import orjson
import polars as pl

from valueverse.dates import utc_text
from valueverse.invoicing.settlement import EVENT_ORIGIN, credit_note_rows
from valueverse.money import plain_text
from valueverse.subscriptions import event_field, known_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.services.subscriptions.billing_log import BillingLog

Kind = Literal["payments", "credit_notes", "one_offs", "wallets"]
_PREFIX = {
    "payments": "billing.payment.",
    "credit_notes": "billing.credit_note.",
    "one_offs": "billing.one_off.",
    "wallets": "billing.wallet.",
}
_FIELDS = {
    "payments": ("invoice", "amount", "currency", "reference"),
    "credit_notes": ("invoice", "amount", "reason"),
    "one_offs": ("customer", "description", "amount", "currency", "service_period"),
    "wallets": ("customer", "wallet", "amount", "currency", "priority", "expires_at", "restrict_to"),
}
_PARTS = ("service_period", "restrict_to")
"""Fields that are no text."""
PLACE = ("time", "source", "id")
"""What orders the events, the newest time first."""


@dataclass(frozen=True)
class MoneyQuestion:
    """Which events are asked for.

    Attributes:
        kind: what they state.
        about: the customer, or the number of the invoice, that they are about; None: any.
        known_at: as known then; None: now.
        after: PLACE of the last one before, times as text; None in it: from the newest on.
        most: how many.
    """

    kind: Kind
    about: str | None
    known_at: datetime | None
    after: Sequence[Any]
    most: int


def stated_money(log: BillingLog, question: MoneyQuestion) -> list[dict[str, Any]]:
    """The events that count: ``source``, ``id``, ``type`` (its last word), ``time``, ``received_at`` and the fields
    that they state; the amount of a credit note by lines is their sum.

    Args:
        log: the tenant's billing events.
        question: which of them.
    """
    names = _FIELDS[question.kind]
    prefix = _PREFIX[question.kind]
    known = known_events(log.facts(), question.known_at).filter(pl.col("type").str.starts_with(prefix))
    rows = known.with_columns(EVENT_ORIGIN, *map(event_field, names))
    if question.kind == "credit_notes":
        listed = credit_note_rows(rows).select("tenant", "origin", plain_text(pl.col("amount")).alias("listed"))
        joined = rows.join(listed, on=["tenant", "origin"], how="left")
        rows = joined.with_columns(pl.coalesce("amount", "listed").alias("amount"))
    if question.about is not None:
        rows = rows.filter(pl.col(names[0]) == question.about)
    page = _rows_after(rows, question.after).sort(PLACE, descending=[True, False, False]).head(question.most)
    shown = page.select(
        "source", "id", pl.col("type").str.strip_prefix(prefix), "time", "received_at", *(pl.col(one) for one in names)
    )
    return [_row(row) for row in shown.iter_rows(named=True)]


def _rows_after(rows: pl.DataFrame, after: Sequence[Any]) -> pl.DataFrame:
    if after[0] is None:
        return rows
    time, source, key = datetime.fromisoformat(after[0]), after[1], after[2]
    later = (pl.col("source") > source) | ((pl.col("source") == source) & (pl.col("id") > key))
    return rows.filter((pl.col("time") < time) | ((pl.col("time") == time) & later))


def _row(row: dict[str, Any]) -> dict[str, Any]:
    moments = {name: utc_text(row[name]) for name in ("time", "received_at")}
    parts = {name: orjson.loads(row[name]) for name in _PARTS if row.get(name)}
    # An event may write 1e2; whoever reads amounts need not know exponents.
    amount = {} if row.get("amount") is None else {"amount": format(Decimal(row["amount"]), "f")}
    return row | moments | parts | amount
