"""Results of committed models, in Postgres: metrics, runs, results, fee proposals and their verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, row_of
from valueverse.platform.warehouse import copy_frame
from valueverse.schemas.value import INVOICED_LINES, RECORDED_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    import polars as pl
    import psycopg

    from valueverse.platform.stores.tenant_records import TenantRecords

    Connection = psycopg.Connection[Any]

METRICS_OF_LINES = frozenset({"billing.invoiced_net", "billing.outcome_fees", "billing.mrr"})
"""Metrics that are made of invoice lines."""

_RUN = ("run_hash", "commit_id", "case_name", "month", "known_at", "content_hash", "document", "run_id", "computed_at")


def lock_tenants(connection: Connection, tenants: Sequence[str]) -> None:
    """Let one run at a time propose fees of these tenants, until the transaction ends: two would propose the same
    difference."""
    connection.execute("select value.lock_tenants(%s)", [list(tenants)])


def lock_value(records: TenantRecords) -> None:
    """As ``lock_tenants``, of one tenant."""
    records.rows("lock_value")


def billed_lines(connection: Connection, tenants: Sequence[str]) -> pl.DataFrame:
    """INVOICED_LINES of invoices that are not voided, with ``net`` in minor units."""
    return frame_of(
        connection,
        "select tenant, customer, kind, currency, service_from, service_to, amount_minor::numeric as net"
        " from value.effective_lines(%s, null)",
        [list(tenants)],
        INVOICED_LINES,
    )


def lines_serving(
    records: TenantRecords, metric: str, customer: str, currency: str | None, month: date, until: datetime
) -> list[dict[str, Any]]:
    """Standing invoice lines behind a metric of a customer and month.

    Args:
        records: the tenant's.
        metric: one of METRICS_OF_LINES.
        customer: whose invoices.
        currency: of the lines; None: any.
        month: its first day.
        until: only what was finalised, and not voided, by then.

    Returns:
        invoice, key, kind, service_from, service_to (days), amount_minor after discounts, currency.
    """
    return records.rows("metric_lines", metric, customer, currency, month, until)


def replace_metrics(connection: Connection, metrics: pl.DataFrame, measured: pl.DataFrame) -> None:
    """Write tenant_id, metric, customer, month, currency, value, known_at in place of these months (tenant, month)."""
    connection.execute(
        "delete from value.metric m using unnest(%s::text[], %s::date[]) as measured (tenant, month)"
        " where m.tenant_id = measured.tenant and m.month = measured.month",
        [measured["tenant"].to_list(), measured["month"].to_list()],
    )
    copy_frame(connection, "value.metric", metrics)


def metrics(records: TenantRecords, customer: str | None, currency: str | None) -> pl.DataFrame:
    """RECORDED_METRICS of the tenant or one of its customers; money in one currency."""
    return records.frame("metrics", RECORDED_METRICS, customer, currency)


def known_until(records: TenantRecords) -> datetime | None:
    """When the newest event behind the tenant's metrics was received."""
    found: datetime | None = records.value("metrics_known_at")
    return found


def customers(records: TenantRecords, customer: str | None = None) -> set[str]:
    """Keys of the customers that the last billing run knew; ``customer``: this one, if it did."""
    return {row["customer"] for row in records.rows("known_customers", customer)}


def recorded_months(records: TenantRecords) -> list[date]:
    """First days of the months that metrics of the tenant are recorded of, oldest first."""
    return [row["month"] for row in records.rows("measured_months")]


def newest_month(records: TenantRecords, commit: str) -> date | None:
    """The last month that a commit was run for."""
    found = newest_runs(records, commit, None, documents=False)
    return found[0]["month"] if found else None


def add_run(records: TenantRecords, run: Mapping[str, Any], results: Sequence[tuple[str, str, str]]) -> None:
    """Add a run with its results.

    Args:
        records: the tenant's, who is locked by ``lock_value``.
        run: run_hash, commit_id, case_name, month, known_at, content_hash, document, run_id, computed_at.
        results: name, value as text, unit.
    """
    names, amounts, units = ([row[place] for row in results] for place in range(3))
    records.rows("add_run", *(run[name] for name in _RUN), names, amounts, units, records.actor, records.request)


def newest_runs(
    records: TenantRecords, commit: str, month: date | None, *, documents: bool = True
) -> list[dict[str, Any]]:
    """The newest run of each case of a commit in a month (None: the last one measured), as ``run_named`` gives it; the
    document null where not asked for."""
    return records.rows("newest_runs", commit, month, documents)


def run_named(records: TenantRecords, run_hash: str) -> dict[str, Any] | None:
    """The run of that hash: run_hash, commit_id, case_name, month, known_at, computed_at, content_hash, document."""
    return next(iter(records.rows("run", run_hash)), None)


def run_results(records: TenantRecords, run_hash: str) -> list[dict[str, Any]]:
    """name, value (the exact number as text), unit of a run's results, by name."""
    return records.rows("run_results", run_hash)


def brand(connection: Connection, tenant: str) -> tuple[str | None, str | None]:
    """The colour and the logo that a tenant states for its documents."""
    row = row_of(
        connection,
        "select coalesce(t.invoicing ->> 'accent', t.address ->> 'accent') as accent, t.invoicing ->> 'logo' as logo "
        "from billing.tenant t where t.tenant_id = %s",
        [tenant],
    )
    return (row["accent"], row["logo"]) if row else (None, None)


def names(connection: Connection, tenant: str, customer: str | None) -> tuple[str, str | None]:
    """What a tenant and one of its customers are called; their keys where they state no name."""
    row = row_of(
        connection,
        "select coalesce(t.name, t.tenant_id::text) as tenant, (select c.name from billing.customer c "
        "where c.tenant_id = t.tenant_id and c.customer = %s) as customer from billing.tenant t where t.tenant_id = %s",
        [customer, tenant],
    )
    return (row["tenant"], row["customer"] or customer) if row else (tenant, customer)
