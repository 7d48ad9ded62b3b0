"""Bulk re-rating: what finalised invoices would come to under the current or another catalog, first shown, then booked.

A plan is the money difference per tenant, customer, invoice and line, and the hash of it. Applying works it out again
and goes on only if it comes to the same hash: nothing is applied that was not shown (billing.md, States).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import rfc8785

from valueverse.catalog import CatalogHistory, catalog_document, catalog_hash
from valueverse.errors import RefusalError
from valueverse.invoicing import build_billing_context, closing_within, derive_prior_state, issued_invoices
from valueverse.invoicing.corrections import PERIOD_TYPES, found_differences
from valueverse.invoicing.settlement import read_adjustment_events
from valueverse.money import minor_text, minor_units
from valueverse.platform.stores import billing_store as store
from valueverse.platform.stores.tenant_store import known_tenants
from valueverse.platform.warehouse import connect
from valueverse.schemas.invoicing import RECOMPUTED_INVOICES, RERATINGS
from valueverse.services.billing.billing_state import read_rows, watermarks
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.services.per_tenant import without_failing
from valueverse.subscriptions import build_timeline

if TYPE_CHECKING:
    from datetime import date, datetime

    import psycopg

    from valueverse.catalog import Catalog
    from valueverse.invoicing import PriorState
    from valueverse.platform.isolation import Failure
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


PLAN_SCHEMA = "valueverse.rerating/v1"


@dataclass(frozen=True)
class RerateRequest:
    """Which invoices are re-rated: those of the window from start to end (``closing_within``), of these tenants and
    customers.

    ``catalog`` None: under the terms of the log as known now.
    """

    tenants: tuple[str, ...]
    start: date
    end: date
    customers: tuple[str, ...] = ()
    catalog: Catalog | None = None


def plan(
    settings: Settings, lake: Lake, request: RerateRequest, *, as_of: datetime
) -> tuple[dict[str, Any], list[Failure]]:
    """The plan as a JSON document: ``rows`` per line that changes, ``totals`` per customer and currency, ``plan_id``.

    Returns:
        The plan for all tenants but those for whom it cannot be worked out; and who they are. Its ``tenants`` are those
        that it is for: applying it concerns nobody else.

    Raises:
        RefusalError: ``no_invoices`` where nothing finalised is concerned; ``other_meters`` where the catalog's meters
            are not those that usage was read with.
    """

    def work(tenants: list[str]) -> dict[str, Any]:
        with connect(settings, "builder") as connection:
            return _planned(connection, lake, replace(request, tenants=tuple(tenants)), as_of)[0]

    return without_failing(work, request.tenants)


def apply(settings: Settings, lake: Lake, shown: dict[str, Any], request: RerateRequest, *, as_of: datetime) -> int:
    """Record a plan, so that the next billing run books its differences; the number of invoices concerned.

    Raises:
        RefusalError: ``plan_changed`` where working it out again comes to something else.
    """
    with connect(settings, "builder") as connection:
        return apply_plan(connection, lake, shown, request, as_of)


def apply_plan(
    connection: psycopg.Connection[Any], lake: Lake, shown: dict[str, Any], request: RerateRequest, as_of: datetime
) -> int:
    """As ``apply``, in a transaction that the caller commits."""
    again, invoices = _planned(connection, lake, request, as_of)
    if again["plan_id"] != shown.get("plan_id"):
        raise RefusalError(
            "plan_changed",
            "events or invoices have changed since the plan was made: make a new plan and review it",
            "plan_id",
        )
    catalog = request.catalog
    rows = invoices.select(
        pl.col("tenant").alias("tenant_id"),
        pl.lit(again["plan_id"]).alias("plan_id"),
        "invoice_id",
        pl.lit(None if catalog is None else catalog_hash(catalog), pl.String).alias("catalog_hash"),
        pl.lit(None if catalog is None else orjson.dumps(catalog_document(catalog)).decode(), pl.String).alias(
            "document"
        ),
        pl.lit(as_of).alias("applied_at"),
    )
    store.apply_rerating(connection, rows)
    return invoices.height


def _planned(
    connection: psycopg.Connection[Any], lake: Lake, request: RerateRequest, as_of: datetime
) -> tuple[dict[str, Any], pl.DataFrame]:
    tenants = list(request.tenants)
    facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant").is_in(tenants)).collect()
    history = CatalogHistory.from_facts(facts)
    _same_meters(request.catalog, history)
    timeline = build_timeline(facts, history.plans, None)
    usage = lake.scan(USAGE_TABLE).filter(pl.col("tenant").is_in(tenants))
    known_at = watermarks(lake, as_of, tenants)
    catalogs = {} if request.catalog is None else {catalog_hash(request.catalog): request.catalog}
    prior, chosen = _prior(connection, request, next(iter(catalogs), None))
    compared = replace(prior, recompute=replace(prior.recompute, catalogs=catalogs))
    context = build_billing_context(timeline, history, usage, known_at)
    found = found_differences(compared, context, read_adjustment_events(timeline, history), as_of)
    return _document(found, chosen, request, max(known_at.values())), chosen


def _prior(
    connection: psycopg.Connection[Any], request: RerateRequest, under: str | None
) -> tuple[PriorState, pl.DataFrame]:
    """What is booked, and the invoices that are re-rated under the catalog with this hash."""
    scope = store.Scope(list(request.tenants))
    rows = read_rows(connection, scope)
    issued = issued_invoices(rows)
    chosen = _chosen(issued.not_voided, known_tenants(connection, scope.tenants), request)
    if chosen.is_empty():
        raise RefusalError("no_invoices", "no finalised invoice of these tenants and customers closes there", "--from")
    again = RECOMPUTED_INVOICES.conform(chosen.with_columns(pl.lit(under, pl.String).alias("rerate_catalog_hash")))
    whole = rows.with_lines(store.lines_of(connection, scope, again))
    return derive_prior_state(whole, issued, again, RERATINGS.to_frame()), chosen


def booked_of(connection: psycopg.Connection[Any], request: RerateRequest) -> pl.DataFrame:
    """The invoices that a request re-rates as they are booked: tenant, customer, number, currency, net_minor (net of
    coupons, before tax, corrections of it included).

    Raises:
        RefusalError: ``no_invoices``.
    """
    prior, chosen = _prior(connection, request, None)
    net = prior.recompute.lines.group_by("tenant", "invoice_id").agg(pl.col("net_minor").sum())
    return (
        chosen.select("tenant", "customer", "invoice_id", "number", "currency")
        .join(net, on=["tenant", "invoice_id"], how="left", maintain_order="left")
        .with_columns(pl.col("net_minor").fill_null(0))
    )


def _same_meters(catalog: Catalog | None, history: CatalogHistory) -> None:
    """Usage was read with the meters of the log: a catalog with others has nothing to price.

    What a meter is called makes no difference.
    """
    if catalog is None:
        return
    wanted = {meter.key: (meter.event_type, meter.rule) for meter in catalog.meters}
    for published in history.catalogs.values():
        for meter in published.meters:
            if meter.key in wanted and wanted[meter.key] != (meter.event_type, meter.rule):
                raise RefusalError(
                    "other_meters",
                    f"the meter {meter.key!r} differs from the published one: publish the catalog instead",
                    "meters",
                )


def _chosen(finalised: pl.DataFrame, tenants: pl.DataFrame, request: RerateRequest) -> pl.DataFrame:
    periods = finalised.filter(pl.col("invoice_type").is_in(PERIOD_TYPES))
    rows = closing_within(periods, tenants, request.start, request.end)
    return rows.filter(pl.col("customer").is_in(request.customers)) if request.customers else rows


def _document(found: pl.DataFrame, chosen: pl.DataFrame, request: RerateRequest, known_at: datetime) -> dict[str, Any]:
    numbers = dict(chosen.select("invoice_id", "number").iter_rows())
    rows = [
        {
            "tenant": row["tenant"],
            "customer": row["customer"],
            "invoice": numbers[row["invoice_id"]],
            "key": row["key"],
            "dimensions": row["dimensions"] or None,
            "currency": row["currency"],
            "difference": minor_text(row["amount_minor"], minor_units(row["currency"])),
        }
        for row in found.filter(pl.col("amount_minor") != 0)
        .sort("tenant", "customer", "invoice_id", "key", "dimensions")
        .iter_rows(named=True)
    ]
    sums = found.group_by("tenant", "customer", "currency").agg(pl.col("amount_minor").sum()).sort(pl.all())
    body = {
        "schema": PLAN_SCHEMA,
        "tenants": list(request.tenants),
        "customers": list(request.customers),
        "from": request.start.isoformat(),
        "to": request.end.isoformat(),
        "catalog_hash": None if request.catalog is None else catalog_hash(request.catalog),
        "events_known_at": known_at.isoformat(),
        "invoices": chosen.height,
        "rows": rows,
        "totals": [
            {
                "tenant": tenant,
                "customer": customer,
                "currency": currency,
                "difference": minor_text(minor, minor_units(currency)),
            }
            for tenant, customer, currency, minor in sums.iter_rows()
            if minor
        ],
    }
    return body | {"plan_id": plan_hash(body)}


def plan_hash(plan: dict[str, Any]) -> str:
    """SHA-256 of the canonical (RFC 8785) document of a plan without its ``plan_id``.

    Raises:
        ValueError: it has no canonical form.
    """
    return hashlib.sha256(rfc8785.dumps({name: plan[name] for name in plan if name != "plan_id"})).hexdigest()
