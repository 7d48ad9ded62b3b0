"""Finalised invoices that are worked out again, and what they correct."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of
from valueverse.schemas.checks import SAMPLED_INVOICES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import polars as pl
    import psycopg


def sample_of(
    connection: psycopg.Connection[Any], months: Sequence[date], tenants: Sequence[str] | None, size: int
) -> pl.DataFrame:
    """Up to ``size`` finalised invoices per tenant that close in these months (first days), adjusted ones first.

    Months are of the tenant's calendar; an invoice made at a subscription's start belongs to the month of the start.
    """
    return frame_of(
        connection,
        "select tenant, number, invoice_id, content_hash, period_from, period_to, events_known_at, finalised_at, "
        "sequence "
        "from (select i.tenant_id::text as tenant, i.number, i.invoice_id::text as invoice_id, i.content_hash, "
        "i.period_from, i.period_to, i.events_known_at, i.finalised_at, i.sequence, row_number() over (partition by "
        "i.tenant_id "
        "order by exists (select from billing.invoice_line l where l.tenant_id = i.tenant_id "
        "and l.invoice_id = i.invoice_id and l.corrected_invoice_id is not null) desc, i.content_hash) as place "
        "from billing.invoice i "
        "inner join billing.tenant as owner on i.tenant_id = owner.tenant_id "
        "left join pg_timezone_names as zones on owner.timezone = zones.name where i.status = 'finalised' "
        "and date_trunc('month', case i.invoice_type when 'start' then i.period_from else i.period_to - interval "
        "'1 microsecond' end at time zone coalesce(zones.name, 'UTC'))::date = any(%(months)s) "
        "and (%(tenants)s::text[] is null or i.tenant_id = any(%(tenants)s))) as ranked where place <= %(size)s "
        "order by tenant, finalised_at, number",
        {"months": list(months), "tenants": None if tenants is None else list(tenants), "size": size},
        SAMPLED_INVOICES,
    )


def corrected_by(connection: psycopg.Connection[Any], invoices: pl.DataFrame) -> pl.DataFrame:
    """tenant, invoice_id, period_from, period_to of the invoices that lines of these ones (tenant, invoice_id)
    correct."""
    return frame_of(
        connection,
        "select distinct o.tenant_id::text as tenant, o.invoice_id::text as invoice_id, o.period_from, o.period_to "
        "from unnest(%s::text[], %s::uuid[]) as n(tenant_id, invoice_id) "
        "join billing.invoice_line l on l.tenant_id = n.tenant_id and l.invoice_id = n.invoice_id "
        "join billing.invoice o on o.tenant_id = l.tenant_id and o.invoice_id = l.corrected_invoice_id",
        [invoices["tenant"].to_list(), invoices["invoice_id"].to_list()],
        SAMPLED_INVOICES.part("tenant", "invoice_id", "period_from", "period_to"),
    )
