"""A small world of billing events and usage, to bill in memory."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog.history import CatalogHistory
from valueverse.invoicing import engine
from valueverse.invoicing.prior_state import IssuedInvoices, PriorState
from valueverse.invoicing.rendering.document_hash import invoice_id
from valueverse.invoicing.rendering.invoice_documents import build_invoice_documents
from valueverse.schemas.events import BILLING_FACTS
from valueverse.schemas.invoicing import ISSUED_INVOICES
from valueverse.schemas.metering import USAGE
from valueverse.subscriptions.timeline import Timeline, build_timeline

if TYPE_CHECKING:
    from collections.abc import Sequence


def instant(text: str) -> datetime:
    """An instant; a bare date is UTC midnight."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class World:
    """Billing events and usage of one tenant in the order in which they are received.

    Sources and ids count from 0 in each world, so that those of two tenants are equal.
    """

    def __init__(self, catalog: dict[str, Any], published: str = "2023-01-01", tenant: str = "acme") -> None:
        self.tenant = tenant
        self.facts: list[dict[str, Any]] = []
        self.usage: list[dict[str, Any]] = []
        self.record("catalog.published", published, {"schema": "valueverse.catalog/v1"} | catalog)

    def record(self, kind: str, time: str, data: dict[str, Any], **more: Any) -> None:
        """Add a billing event."""
        moment = instant(time)
        self.facts.append(
            {
                "tenant": self.tenant,
                "type": f"billing.{kind}",
                "time": moment,
                "received_at": moment,
                "source": "test",
                "id": f"b{len(self.facts)}",
                "data": json.dumps(data),
            }
            | more
        )

    def start(self, time: str, plan: str = "pro", subscription: str = "s1", customer: str = "c1", **more: Any) -> None:
        """Start a subscription."""
        self.record(
            "subscription.started", time, {"subscription": subscription, "customer": customer, "plan": plan} | more
        )

    def use(self, time: str, meter: str, value: str | None, customer: str = "c1", **more: Any) -> None:
        """Add a usage row."""
        moment = instant(time)
        number = f"u{len(self.usage)}"
        self.usage.append(
            {
                "tenant": self.tenant,
                "event_date": moment.astimezone(UTC).date(),
                "time": moment,
                "received_at": moment,
                "customer": customer,
                "event_type": "used",
                "source": "test",
                "id": number,
                "root_id": number,
                "meter": meter,
                "value": None if value is None else Decimal(value),
                "dimensions": "",
                "status": "ok",
            }
            | more
        )

    def facts_frame(self) -> pl.DataFrame:
        """The facts in the columns of ``billing_facts``."""
        return _frame(self.facts, BILLING_FACTS)

    def lake_facts(self) -> pl.DataFrame:
        """The facts, and before them those that create customers whom only a subscription names."""
        named_by = [(one["type"], json.loads(one["data"]).get("customer")) for one in self.facts]
        created = {customer for kind, customer in named_by if kind.startswith("billing.customer.")}
        named = dict.fromkeys(customer for kind, customer in named_by if kind == "billing.subscription.started")
        first = {"tenant": self.facts[0]["tenant"], "type": "billing.customer.created", "source": "customers"}
        first |= {name: self.facts[0][name] for name in ("time", "received_at")}
        more = [
            first | {"id": customer, "data": json.dumps({"customer": customer})}
            for customer in named
            if customer not in created
        ]
        return _frame([*more, *self.facts], BILLING_FACTS)

    def usage_frame(self) -> pl.DataFrame:
        """The usage in the columns of USAGE."""
        return _frame(self.usage, USAGE)

    def history(self) -> CatalogHistory:
        """The catalogs published."""
        return CatalogHistory.from_facts(self.facts_frame())

    def timeline(self, known_at: str | None = None) -> Timeline:
        """The timeline as known at an instant."""
        moment = None if known_at is None else instant(known_at)
        return build_timeline(self.facts_frame(), self.history().plans, moment, holds=False)

    def bill(self, start: str, end: str, **more: Any) -> engine.Billed:
        """Bill what closes between two dates."""
        window = (date.fromisoformat(start), date.fromisoformat(end))
        usage = self.usage_frame().lazy()
        return engine.bill(self.timeline(), self.history(), usage, window, **({"known_at": None} | more))

    def documents(self, start: str, end: str, **more: Any) -> list[dict[str, Any]]:
        """The drafts of what closes between two dates, in order of close."""
        billed = self.bill(start, end, **more)
        ordered = billed.invoices.sort(
            "close", "customer", "subscription", "invoice_type", descending=[False] * 3 + [True]
        )
        return list(build_invoice_documents(ordered, billed.lines))


def bill_together(worlds: Sequence[World], start: str, end: str) -> dict[str, list[dict[str, Any]]]:
    """The drafts of what closes between two dates, by tenant: many worlds cost one call of the engine."""
    facts = pl.concat([world.facts_frame() for world in worlds])
    usage = pl.concat([world.usage_frame() for world in worlds])
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None, holds=False)
    window = (date.fromisoformat(start), date.fromisoformat(end))
    billed = engine.bill(timeline, history, usage.lazy(), window, known_at=None)
    found: dict[str, list[dict[str, Any]]] = {world.tenant: [] for world in worlds}
    ordered = billed.invoices.sort(
        "tenant", "close", "customer", "subscription", "invoice_type", descending=[False] * 4 + [True]
    )
    for document in build_invoice_documents(ordered, billed.lines):
        found[document["tenant"]].append(document)
    return found


def prior_of(invoices: pl.DataFrame) -> PriorState:
    """A prior state in which these invoices stand and nothing was used up or changed since."""
    number = pl.lit("").alias("number")
    bare = invoices.drop("number", strict=False).with_columns(number, _invoice_id(invoices))
    return PriorState(IssuedInvoices(ISSUED_INVOICES.conform(bare)))


def _invoice_id(invoices: pl.DataFrame) -> pl.Series:
    if "invoice_id" in invoices.columns:
        return invoices["invoice_id"]
    return pl.Series("invoice_id", [invoice_id(row) for row in invoices.iter_rows(named=True)], pl.String)


def amounts(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Key and shown amount of each line."""
    return [(line["key"], line["amount"]) for line in document["lines"]]


def _frame(rows: list[dict[str, Any]], schema: pl.Schema) -> pl.DataFrame:
    whole = [dict.fromkeys(schema) | row for row in rows]
    return pl.DataFrame(whole, schema=schema, strict=False)
