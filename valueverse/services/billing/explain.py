"""What ``valueverse explain invoice`` shows: a line down to its events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.invoicing import line_events, used_days
from valueverse.money import plain
from valueverse.platform.stores.explain_store import ExplainStore, tenant_of
from valueverse.schemas.dimensions import dimensions_text
from valueverse.services.billing.explained_corrections import (
    customer_context,
    explained_corrections,
    recorded,
)
from valueverse.services.billing.invoices import unknown_invoice
from valueverse.value.realisation import Commitment, FeeTerms, outcome_charges

if TYPE_CHECKING:
    import psycopg

    from valueverse.invoicing import BillingContext
    from valueverse.platform.lake import Lake
    from valueverse.services.billing.explained_corrections import ExplainedCorrection


@dataclass(frozen=True)
class FoundInvoice:
    """A finalised invoice with what its lines came from.

    Attributes:
        tenant, invoice_id, document: the invoice.
        is_void: it was voided since.
        ongoing: more of its period follows: it was made at a threshold.
        lines: those asked for, with ``line_no``.
        context: the state of knowledge that it was billed with, not that of what corrected it since.
        period: INVOICE and invoice_id of the period that it bills; empty: none.
        events: ``line_events`` of its usage lines.
        days: used and full days by the beginning and end of each part of its period.
        corrections: of its adjustment lines, by their ``line_no``.
        related: lines of other invoices that belong to its own (``ExplainStore.related_lines``).
    """

    tenant: str
    invoice_id: str
    document: dict[str, Any]
    is_void: bool
    ongoing: bool
    lines: list[dict[str, Any]]
    context: BillingContext
    period: pl.DataFrame
    events: pl.DataFrame
    days: dict[tuple[datetime, datetime], tuple[int, int]]
    corrections: dict[int, ExplainedCorrection]
    related: list[dict[str, Any]]

    def related_to(self, link: str, line: dict[str, Any]) -> list[dict[str, Any]]:
        """Lines of other invoices that are linked so to one of its lines."""
        named = (link, line["key"], line["dimensions"] or {})
        return [row for row in self.related if (row["link"], row["key"], row["dimensions"] or {}) == named]

    def is_reproduced(self, line: dict[str, Any]) -> bool:
        """Whether as many events are found of a usage line as it and the threshold invoices before it count."""
        before = sum(row["event_count"] for row in self.related_to("before", line))
        return bool(self.events_of(line).height == line["event_count"] + before)

    def events_of(self, line: dict[str, Any]) -> pl.DataFrame:
        """The events that a usage line counts, in the order of time."""
        label = dimensions_text(line["dimensions"] or {}) if line["dimensions"] else ""
        own = self.events.filter(pl.col("key") == line["key"], pl.col("label") == label)
        start, end = (_instant(line["service_period"][name]) for name in ("from", "to"))
        return own.filter(pl.col("time") >= start, pl.col("time") < end)


def find_lines(store: ExplainStore, lake: Lake, number: str, line: str | None) -> FoundInvoice:
    """The lines of an invoice of the store's tenant; ``line``: only those with this key.

    Raises:
        RefusalError: ``unknown_invoice``, ``unknown_line``.
    """
    found = store.invoice(number)
    if found is None:
        raise unknown_invoice(number)
    invoice_id, document = found["invoice_id"], json.loads(found["document"])
    lines = [one | {"line_no": place} for place, one in enumerate(document["lines"], 1) if line in {None, one["key"]}]
    if not lines and line is not None:
        known = ", ".join(dict.fromkeys(one["key"] for one in document["lines"]))
        raise RefusalError("unknown_line", f"the invoice has no line {line!r}; it has {known}", "--line")
    known_at = datetime.fromisoformat(document["basis"]["events_known_at"])
    context = customer_context(lake, store.tenant, document["customer"], known_at)
    # A threshold invoice counts the events of its period so far.
    ongoing = found["invoice_type"] == "threshold"
    period = (
        recorded([found])
        .filter(pl.col("invoice_type").is_in(("period", "threshold")))
        .with_columns(invoice_type=pl.lit("period"))
    )
    parts = used_days(period, context).select("from", "to", "used_days", "full_days").iter_rows()
    days = {(begins, ends): (used, full) for begins, ends, used, full in parts}
    corrections = explained_corrections(store, lake, invoice_id, document, context)
    events, related = line_events(period, context), store.related_lines(invoice_id)
    return FoundInvoice(
        store.tenant, invoice_id, document, found["voided_at"] is not None, ongoing, lines, context, period, events,
        days, corrections, related,
    )  # fmt: skip


def store_of(connection: psycopg.Connection[Any], number: str) -> ExplainStore:
    """The rows of whoever issued the invoice with a number, for the builder's connection.

    Raises:
        RefusalError: ``unknown_invoice``.
    """
    tenant = tenant_of(connection, number)
    if tenant is None:
        raise unknown_invoice(number)
    return ExplainStore(connection, tenant=tenant)


def explain_invoice(
    connection: psycopg.Connection[Any], lake: Lake, number: str, line: str | None, limit: int
) -> dict[str, Any]:
    """An invoice's lines, each with its tiers and the events that it counts; of the builder's connection.

    Raises:
        RefusalError: as ``find_lines``.
    """
    store = store_of(connection, number)
    return answer_of(store, find_lines(store, lake, number, line), limit)


def answer_of(store: ExplainStore, found: FoundInvoice, limit: int, skipped: int = 0) -> dict[str, Any]:
    """The lines as data, with ``limit`` events each after the first ``skipped``."""
    document = found.document
    return {
        "invoice": document["number"],
        "tenant": found.tenant,
        "customer": document["customer"],
        "status": "voided" if found.is_void else document["status"],
        "basis": document["basis"],
        "lines": [_line(one, found, (skipped, limit)) | _leads_on(store, found, one) for one in found.lines],
    }


def _line(line: dict[str, Any], found: FoundInvoice, page: tuple[int, int]) -> dict[str, Any]:
    shown = {name: line[name] for name in ("key", "kind", "description", "service_period", "meter", "dimensions")}
    shown |= {name: line[name] for name in ("quantity", "amount_precise", "amount", "tiers", "explains")}
    if line["line_no"] in found.corrections:
        return shown | _correction(found.corrections[line["line_no"]], page)
    if line["kind"] != "usage":
        return shown
    counts = {"event_count": line["event_count"], "reproduced": found.is_reproduced(line)}
    return shown | counts | _page(found.events_of(line), page)


def _page(events: pl.DataFrame, page: tuple[int, int]) -> dict[str, Any]:
    skipped, limit = page
    return {
        "events": [_event(row) for row in events.slice(skipped, limit).iter_rows(named=True)],
        "more_events": max(events.height - skipped - limit, 0),
    }


def _correction(one: ExplainedCorrection, page: tuple[int, int]) -> dict[str, Any]:
    """What an adjustment was made from, and the events that came, changed or went."""
    reasons = one.reasons
    return {
        "correction": {
            "invoice": reasons.invoice,
            "billed_on": list(reasons.billed_on),
            "billed": reasons.billed,
            "due": reasons.due,
            "events": reasons.events,
            "quantity": reasons.quantity,
            "tiers_before": list(reasons.tiers),
            "changes": dict(reasons.changed.counts),
            "causes": [{"type": kind, "id": key, "at": utc_text(at)} for kind, key, at in reasons.causes],
            "rerate_catalog_hash": reasons.catalog,
        },
        **_page(one.events, page),
    }


def _leads_on(store: ExplainStore, found: FoundInvoice, line: dict[str, Any]) -> dict[str, str]:
    """Of an outcome: the command that shows the tree of the value that its fee is a share of."""
    row = store.outcome(found.invoice_id, line["line_no"]) if line["kind"] == "outcome" else None
    if row is None:
        return {}
    commitment = Commitment.read(row["commit_id"], row["document"])
    end = datetime.fromisoformat(line["service_period"]["to"])
    charges = outcome_charges(found.context.timeline, found.context.history, found.tenant, commitment, end)
    terms = [FeeTerms.of(one.price, commitment.program) for one in charges if one.key == line["key"]]
    output = f" --output {terms[0].output}" if terms else ""
    to_date = " --to-date" if terms and terms[0].true_up == "cumulative" else ""
    return {"leads_on": f"valueverse value explain --tenant {found.tenant} --run {row['run_hash']}{output}{to_date}"}


def _instant(text: str) -> pl.Expr:
    return pl.lit(text).str.to_datetime("%+", time_unit="us", time_zone="UTC")


def _event(row: dict[str, Any]) -> dict[str, Any]:
    event = {
        "source": row["source"],
        "id": row["id"],
        "amends": None if row["root_id"] == row["id"] else row["root_id"],
        "time": utc_text(row["time"]),
        "meter": row["meter"],
        "value": None if row["value"] is None else plain(row["value"]),
        "text": row["text_value"],
        "dimensions": json.loads(row["dimensions"]) if row["dimensions"] else None,
    }
    if "change" in row:
        event |= {"change": row["change"], "changed_at": row["changed_at"] and utc_text(row["changed_at"])}
    return event
