"""Why an invoice's adjustment lines are what they are: what was booked before, and what was received since."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import Capacity, CatalogHistory, Matrix
from valueverse.invoicing import build_billing_context, changed_events, line_events, line_quantities
from valueverse.invoicing.rendering import ChangedEvents, Correction, QuantityPart
from valueverse.money import minor_text, minor_units, plain
from valueverse.schemas.dimensions import dimensions_text
from valueverse.schemas.invoicing import BILLED_INVOICES
from valueverse.services.billing.next_invoices import CustomerTerms
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.subscriptions import build_timeline, event_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.invoicing import BillingContext
    from valueverse.platform.lake import Lake
    from valueverse.platform.stores.explain_store import ExplainStore

_CAUSES = ("catalog.", "tenant.", "customer.", "subscription.", "coupon.", "invoice.voided")
"""Kinds of billing events that change what a finalised invoice comes to."""
_UPDATES = ("billing.tenant.updated", "billing.customer.updated")
_ON_AMOUNTS = ("currency", "timezone", "country", "tax_rates")
"""What an update states and amounts follow from."""


def context_of(lake: Lake, tenant: str, known_at: datetime | None) -> BillingContext:
    """What a billing run of a tenant reads, as known at an instant; None: now."""
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == tenant).collect()
    history = CatalogHistory.from_facts(facts, known_at)
    timeline = build_timeline(facts, history.plans, known_at)
    return build_billing_context(timeline, history, lake.scan(USAGE_TABLE).filter(pl.col("tenant") == tenant), known_at)


def customer_context(lake: Lake, tenant: str, customer: str, known_at: datetime) -> BillingContext:
    """What a billing run reads of one customer, as known at an instant."""
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == tenant).collect()
    terms = CustomerTerms.of(facts, [customer], known_at)
    usage = lake.scan(USAGE_TABLE).filter(pl.col("tenant") == tenant, pl.col("customer") == customer)
    return build_billing_context(terms.timeline, terms.history, usage, known_at)


def recorded(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """BILLED_INVOICES of rows that have more."""
    return pl.DataFrame(rows, schema=BILLED_INVOICES, orient="row")


@dataclass(frozen=True)
class ExplainedCorrection:
    """An adjustment line's reasons, and its events that came, changed or went (``invoicing.changed_events``)."""

    reasons: Correction
    events: pl.DataFrame

    def made_of(self, parts: Sequence[Sequence[QuantityPart]]) -> ExplainedCorrection:
        """With the parts of its quantity before and now; empty: its price asks for none."""
        if not parts:
            return self
        before, now = parts
        return replace(self, reasons=replace(self.reasons, parts=(before, now)))


@dataclass(frozen=True)
class _Booked:
    """A corrected invoice as the run found it that made the corrections.

    Attributes:
        invoice: number, issued_on, voided.
        lines: BILLED_LINES, those that correct it included, in the order in which they were issued.
        documents: number, sequence, events_known_at and lines of the invoices that they are on, by invoice_id.
    """

    invoice: Mapping[str, Any]
    lines: pl.DataFrame
    documents: Mapping[str, Mapping[str, Any]]

    def of(self, line: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What was booked of a document's line."""
        label = dimensions_text(line["dimensions"]) if line["dimensions"] else ""
        return self.lines.filter(pl.col("key") == line["key"], pl.col("dimensions") == label).to_dicts()

    @property
    def known_at(self) -> datetime:
        """The newest state of knowledge that is booked for it."""
        known: list[datetime] = [one["events_known_at"] for one in self.documents.values()]
        return max(known)

    def tiers(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """How the newest of these lines was priced; of a line that stood for several parts of a period: nothing."""
        if not rows or sum(row["corrected_invoice_id"] is None for row in rows) > 1:
            return []
        newest = self.documents[rows[-1]["invoice_id"]]["lines"][rows[-1]["line_no"] - 1]
        return list(newest["tiers"] or ())


def explained_corrections(
    store: ExplainStore, lake: Lake, invoice_id: str, document: Mapping[str, Any], context: BillingContext
) -> dict[int, ExplainedCorrection]:
    """The adjustment lines of an invoice, by their place.

    Args:
        store, lake: where the tenant's invoices and events are.
        invoice_id: of the invoice.
        document: the invoice's.
        context: as known when it was made.
    """
    corrected = store.corrected_lines(invoice_id)
    known_now = datetime.fromisoformat(document["basis"]["events_known_at"])
    found = {}
    for other in {row["invoice_id"]: row for row in corrected}.values():
        booked = _booked(store, other)
        period = recorded(store.invoices([other["invoice_id"]])).filter(pl.col("invoice_type") == "period")
        states = customer_context(lake, store.tenant, document["customer"], booked.known_at), context
        before, now = (line_events(period, state) for state in states)
        events = changed_events(before, now, booked.known_at, known_now)
        parts = _quantities(period, states)
        causes = _causes(store, lake, document, other["period_to"], (booked.known_at, known_now))
        for row in corrected:
            if row["invoice_id"] == other["invoice_id"]:
                line = document["lines"][row["line_no"] - 1]
                one = _explained(line, booked, events, causes, other["rerate_catalog_hash"])
                found[row["line_no"]] = one.made_of([parts_of(line, frame) for frame in parts])
    return found


def _booked(store: ExplainStore, other: Mapping[str, Any]) -> _Booked:
    lines = store.booked_lines(other["invoice_id"], other)
    ids = [*lines["invoice_id"].unique(), other["invoice_id"]]
    shown = {row["invoice_id"]: row | {"lines": json.loads(row["document"])["lines"]} for row in store.invoices(ids)}
    order = {key: row["sequence"] for key, row in shown.items()}
    issued = pl.col("invoice_id").replace_strict(order, return_dtype=pl.Int64)
    return _Booked(other, lines.sort(issued, "line_no"), shown)


def price_models(context: BillingContext) -> set[type]:
    """The models of all prices of a context's catalogs."""
    plans = [plan for catalog in context.history.catalogs.values() for plan in catalog.plans]
    return {type(charge.price) for plan in plans for charge in plan.charges}


def _quantities(period: pl.DataFrame, states: Sequence[BillingContext]) -> list[pl.DataFrame]:
    """``line_quantities`` of a period in each state of knowledge; none where no price is made of parts."""
    if not any(price_models(state) & {Capacity, Matrix} for state in states):
        return []
    return [line_quantities(period, state) for state in states]


def parts_of(line: Mapping[str, Any], quantities: pl.DataFrame) -> list[QuantityPart]:
    """Those ``line_quantities`` that a line is made of."""
    label = dimensions_text(line["dimensions"]) if line["dimensions"] else ""
    mine = quantities.filter(pl.col("key") == line["key"], pl.col("label") == label, pl.col("quantity").is_not_null())
    return [
        QuantityPart(row["meter"], json.loads(row["dimensions"] or "{}"), row["quantity"])
        for row in mine.iter_rows(named=True)
    ]


def _causes(
    store: ExplainStore,
    lake: Lake,
    document: Mapping[str, Any],
    until: datetime,
    known: tuple[datetime, datetime],
) -> list[tuple[str, str, datetime]]:
    """Billing events about the invoice's customer, its subscription or the tenant that take effect before ``until`` and
    were received, amended or voided between two states of knowledge. Not those that could not be applied, nor updates
    of what no amount follows from."""
    known_before, known_now = known
    stated = pl.any_horizontal(event_field(name).is_not_null() for name in _ON_AMOUNTS)
    decides = ~pl.col("type").is_in(_UPDATES) | pl.col("data").is_null() | stated
    moments = [
        pl.when((pl.col(name) > known_before) & (pl.col(name) <= known_now)).then(name)
        for name in ("known_until", "received_at")
    ]
    about = [
        event_field(name).is_null() | (event_field(name) == document[name]).fill_null(value=False)
        for name in ("customer", "subscription")
    ]
    rejected = store.rejections()
    rows = (
        lake.scan(BILLING_FACTS_TABLE)
        .filter(pl.col("tenant") == store.tenant, pl.col("time") < until)
        .join(
            rejected.lazy(), left_on=["tenant", "source", "id"], right_on=["tenant", "source", "event_id"], how="anti"
        )
        .with_columns(pl.coalesce(moments).alias("changed_at"))
        .filter(pl.col("changed_at").is_not_null())
        .collect()
        .filter(
            pl.any_horizontal(pl.col("type").str.starts_with(f"billing.{kind}") for kind in _CAUSES), *about, decides
        )
        .sort("changed_at", "source", "id")
    )
    return list(rows.select("type", "id", "changed_at").iter_rows())


def _explained(
    line: Mapping[str, Any],
    booked: _Booked,
    events: pl.DataFrame,
    causes: list[tuple[str, str, datetime]],
    catalog: str | None,
) -> ExplainedCorrection:
    rows = booked.of(line)
    places = minor_units(booked.invoice["currency"])
    billed = sum(row["amount_minor"] - row["discount_minor"] for row in rows)
    due = billed + int(Decimal(line["amount"]).scaleb(places))
    label = dimensions_text(line["dimensions"]) if line["dimensions"] else ""
    mine = events.filter(pl.col("key") == line["key"], pl.col("label") == label)
    counts = dict(mine.group_by("tenant", "change").len().select("change", "len").iter_rows())
    since = mine.filter(pl.col("change").is_in(["late", "amended", "voided"])).sort("changed_at")["changed_at"]
    metered = line["meter"] is not None
    quantity = sum((row["quantity"] or Decimal(0) for row in rows), Decimal(0))
    added = None if line["quantity"] is None else Decimal(line["quantity"])
    counted = sum(row["event_count"] or 0 for row in rows)
    reasons = Correction(
        invoice=booked.invoice["number"],
        issued_on=booked.invoice["issued_on"],
        is_void=booked.invoice["is_void"],
        billed_on=list(dict.fromkeys(booked.documents[row["invoice_id"]]["number"] for row in rows)),
        billed=minor_text(billed, places),
        due=minor_text(due, places),
        events=(counted, counted + (line["event_count"] or 0)) if metered else None,
        quantity=None if added is None else (plain(quantity), plain(quantity + added)),
        tiers=booked.tiers(rows),
        changed=ChangedEvents(counts, *([since[0], since[-1]] if len(since) else [])),
        causes=causes,
        catalog=catalog,
    )
    return ExplainedCorrection(reasons, mine)
