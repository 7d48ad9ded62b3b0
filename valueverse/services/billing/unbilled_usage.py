"""What customers used and no finalised invoice bills yet, as if it were billed now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing.rendering import build_invoice_documents
from valueverse.money import minor_text, minor_units
from valueverse.schemas.invoicing import INVOICE
from valueverse.services.billing.next_invoices import CustomerTerms, held_lines, next_invoices
from valueverse.subscriptions import CUSTOMER_TYPES, event_field

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.stores.customer_invoices import CustomerInvoices

_USED = (pl.col("kind") == "usage") | (pl.col("kind") == "adjustment") & pl.col("event_count").is_not_null()
_SHOWN = (
    "kind", "description", "meter", "dimensions", "quantity", "amount_precise", "amount", "event_count", "explains",
)  # fmt: skip


@dataclass(frozen=True)
class UnbilledUsage:
    """What a customer used and no finalised invoice bills.

    Attributes:
        customer: whose.
        charges: a line of a charge each: ``subscription``, ``charge``, ``currency``, ``service_period``, and what the
            line of an invoice says.
        totals: of the charges, ``amount`` by ``currency``, before discounts and taxes.
        held: sentences about lines that have no amount.
    """

    customer: str
    charges: list[dict[str, Any]]
    totals: list[dict[str, str]]
    held: list[str]

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return {"customer": self.customer, "charges": self.charges, "totals": self.totals, "held": self.held}


def known_customers(facts: pl.DataFrame, known_at: datetime | None, after: str | None, only: str | None) -> list[str]:
    """The customers of a tenant that events had created by an instant, in order.

    Args:
        facts: the tenant's BILLING_FACTS.
        known_at: the instant; None: now.
        after: those behind this key; None: from the first on.
        only: this one; None: all.
    """
    received = facts if known_at is None else facts.filter(pl.col("received_at") <= known_at)
    created = received.filter(pl.col("type").is_in(CUSTOMER_TYPES))
    keys = created.select(event_field("customer")).unique().drop_nulls().sort("customer")["customer"]
    wanted = keys if after is None else keys.filter(keys > after)
    found: list[str] = (wanted if only is None else wanted.filter(wanted == only)).to_list()
    return found


def unbilled_usage(
    store: CustomerInvoices, usage: pl.DataFrame, facts: pl.DataFrame, moment: datetime
) -> list[UnbilledUsage]:
    """What the customers of the ``store`` used and no finalised invoice bills, if it were billed now: of each whose
    charges or corrections come to something, in the order of the store.

    Charges of a running period come to what they would if it closed with the usage so far, minimums included.

    Args:
        store: what is finalised, as known when.
        usage: the customers'.
        facts: the tenant's BILLING_FACTS.
        moment: now, or the instant as of which is asked.
    """
    terms = CustomerTerms.of(facts, store.customers, store.known_at)
    until = terms.next_day(terms.last_close(moment) or moment)
    billed = next_invoices(store, usage, terms, until, moment)
    begun = billed.invoices.filter(pl.col("period_from") <= moment).sort("period_from", "subscription", *INVOICE)
    lines = billed.lines.filter(_USED, (pl.col("event_count") > 0) | (pl.col("amount_minor") != 0))
    lines = lines.join(begun.select(INVOICE), on=INVOICE, how="semi", maintain_order="left")
    totals = lines.group_by("tenant", "customer", "currency").agg(pl.col("amount_minor").sum()).sort("currency")
    charges: dict[str, list[dict[str, Any]]] = {}
    for document in build_invoice_documents(begun, lines):
        charges.setdefault(document["customer"], []).extend(_charges(document))
    parts = totals.partition_by("tenant", "customer", as_dict=True)
    summed = {customer: rows for (_, customer), rows in parts.items()}
    held = held_lines(billed.problems)
    found = [
        UnbilledUsage(one, charges.get(one, []), _totals(summed.get(one)), held.get(one, [])) for one in store.customers
    ]
    return [one for one in found if one.charges or one.held]


def _charges(document: dict[str, Any]) -> list[dict[str, Any]]:
    of = {"subscription": document["subscription"], "currency": document["currency"]}
    return [
        of | {"charge": line["key"], "service_period": line["service_period"]} | {name: line[name] for name in _SHOWN}
        for line in document["lines"]
    ]


def _totals(rows: pl.DataFrame | None) -> list[dict[str, str]]:
    found = [] if rows is None else rows.select("currency", "amount_minor").iter_rows()
    return [{"currency": code, "amount": minor_text(minor, minor_units(code))} for code, minor in found]
