"""Drill-down of an explained run: the events in the lake and the invoice lines in Postgres of its metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import utc_text
from valueverse.money import minor_text, minor_units, plain
from valueverse.platform.lake import Lake
from valueverse.platform.stores.value_store import METRICS_OF_LINES, lines_serving
from valueverse.services.instants import read_month
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.subscriptions import build_timeline
from valueverse.value.realisation import cost_sources, recurring_sources, subscription_sources, usage_sources

if TYPE_CHECKING:
    from datetime import date

    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.services.value.stored_runs import StoredRun
    from valueverse.subscriptions import Timeline
    from valueverse.value.realisation import Explained


@dataclass
class Drilldown:
    """Of one run.

    Attributes:
        records: of the tenant whose run it is.
        stored: the run.
        limit: how many events, lines or costs are listed for each value.
    """

    records: TenantRecords
    stored: StoredRun
    limit: int
    usage: dict[tuple[str, date], dict[str, tuple[int, list[dict[str, Any]]]]] = field(default_factory=dict, init=False)

    def of_tree(self, root: Explained) -> dict[str, list[dict[str, Any]]]:
        """By id of the measured inputs of a tree: per customer and month of the metric what its value is made of.

        metric, customer, month, value, kind, count, first. A metric that others keep in a mart has none.
        """
        leaves = [node for node in root.nodes() if node.source is not None and node.source["kind"] == "metric"]
        found = {}
        for node in leaves:
            source = node.source or {}
            described = [self._described(source["metric"], row) for row in source["rows"]]
            found[node.id] = [one for one in described if one is not None]
        return found

    def _described(self, metric: str, row: dict[str, Any]) -> dict[str, Any] | None:
        found = self._of(metric, row["customer"], read_month(row["month"], "month"))
        if found is None:
            return None
        kind, count, rows = found
        return {"metric": metric} | row | {"kind": kind, "count": count, "first": rows}

    def _of(self, metric: str, customer: str, month: date) -> tuple[str, int, list[dict[str, Any]]] | None:
        """What it is, how many there are, and the first of them."""
        if metric.startswith("usage."):
            count, events = self._events(metric.removeprefix("usage."), month).get(customer, (0, []))
            return "events", count, [_event(one) for one in events]
        rows = None
        if metric in METRICS_OF_LINES:
            kind, rows = "invoice lines", self._lines(metric, customer, month)
        elif metric == "billing.cost_to_serve":
            costs = cost_sources(self._timeline, customer, month).iter_rows(named=True)
            kind, rows = "cost events", [row | {"amount": plain(row["amount"])} for row in costs]
        elif metric == "billing.active_customers":
            held = subscription_sources(self._timeline, customer, month)
            kind, rows = "subscriptions", [{"subscription": one} for one in held]
        elif metric == "billing.contracted_mrr":
            fees = recurring_sources(self._timeline, self._history, customer, month).iter_rows(named=True)
            kind, rows = "subscriptions", [row | {"value": plain(row["value"])} for row in fees]
        return None if rows is None else (kind, len(rows), rows[: self.limit])

    def _events(self, meter: str, month: date) -> dict[str, tuple[int, list[dict[str, Any]]]]:
        """By customer; read once for all of them."""
        if (meter, month) not in self.usage:
            rows = self._lake.scan(USAGE_TABLE).filter(pl.col("tenant") == self.records.tenant)
            found = usage_sources(rows, self._timeline, meter, month, self._known_at, self.limit)
            self.usage[meter, month] = {customer: (count, first) for customer, count, first in found.iter_rows()}
        return self.usage[meter, month]

    def _lines(self, metric: str, customer: str, month: date) -> list[dict[str, Any]]:
        currency, until = self.stored.commitment.program.currency, self.stored.computed_at
        rows = lines_serving(self.records, metric, customer, currency, month, until)
        return [
            {
                "invoice": row["invoice"],
                "line": row["key"],
                "kind": row["kind"],
                "service_from": row["service_from"].isoformat(),
                "service_to": row["service_to"].isoformat(),
                "net": minor_text(row["amount_minor"], minor_units(row["currency"])),
                "currency": row["currency"],
            }
            for row in rows
        ]

    @cached_property
    def _known_at(self) -> datetime:
        return datetime.fromisoformat(self.stored.known_at)

    @cached_property
    def _lake(self) -> Lake:
        return Lake(self.records.settings.lake_url)

    @cached_property
    def _facts(self) -> pl.DataFrame:
        return self._lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant") == self.records.tenant).collect()

    @cached_property
    def _history(self) -> CatalogHistory:
        return CatalogHistory.from_facts(self._facts, self._known_at)

    @cached_property
    def _timeline(self) -> Timeline:
        return build_timeline(self._facts, self._history.plans, self._known_at)


def _event(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "source": row["source"],
        "id": row["id"],
        "amends": None if row["root_id"] == row["id"] else row["root_id"],
        "time": utc_text(row["time"]),
        "value": None if row["value"] is None else plain(row["value"]),
        "text": row["text_value"],
    }
