"""What was billed, as the reconciliation reads it from Postgres: every number and instant as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import LiteralString

BILLED: dict[str, LiteralString] = {
    "booked_lines": """
        with

        calendars as (
            select
                tenant_id as tenant,
                %(first)s::timestamp at time zone coalesce(zones.name, 'UTC') as first,
                %(after)s::timestamp at time zone coalesce(zones.name, 'UTC') as after
            from billing.tenant
            left join pg_timezone_names as zones on tenant.timezone = zones.name
            where tenant_id = any(%(tenants)s)
        ),

        closing as (
            select invoice.*
            from billing.invoice
            inner join calendars on invoice.tenant_id = calendars.tenant
            where
                -- as in quality.expectations: by the tenant's calendar, the month's last instant included
                case purpose
                    when 'start' then period_from >= first and period_from < after
                    else period_to > first and period_to <= after
                end
        )

        select
            (row_number() over ())::text as line_id,
            line.tenant_id::text as tenant,
            invoice.customer,
            invoice.subscription,
            line.meter,
            line.key as charge,
            coalesce(line.dimensions, '{}'::jsonb)::text as dimensions,
            line.service_from::text as service_from,
            line.service_to::text as service_to,
            coalesce(invoice.events_known_at, 'infinity'::timestamptz)::text as known_at,
            invoice.catalog_hash,
            subscription.plan as own_plan,
            subscription.plan_version::text as own_version,
            line.quantity::text as booked_quantity,
            line.amount_precise::text as booked_amount,
            coalesce(invoice.number, invoice.invoice_id::text) || ' ' || line.key as cell
        from closing as invoice
        inner join billing.invoice_line as line
            on invoice.tenant_id = line.tenant_id and invoice.invoice_id = line.invoice_id
        inner join billing.subscription
            on invoice.tenant_id = subscription.tenant_id and invoice.subscription = subscription.subscription
        -- Lines of and after threshold invoices are differences within a period, and say so.
        where line.kind = 'usage' and line.meter is not null and line.explains is null
    """,
    "subscriptions": """
        select
            tenant_id::text as tenant,
            customer,
            subscription,
            plan,
            plan_version::text as version,
            started_at::text as started_at,
            coalesce(ended_at, 'infinity'::timestamptz)::text as ended_at
        from billing.subscription
        where tenant_id = any(%(tenants)s)
    """,
    "published_catalogs": """
        select
            tenant_id::text as tenant,
            catalog_hash,
            effective_at::text as valid_from,
            coalesce(
                lead(effective_at) over (partition by tenant_id order by effective_at),
                    'infinity'::timestamptz
            )::text as valid_to,
            document::text as document
        from billing.catalog
        where tenant_id = any(%(tenants)s)
    """,
    "usage_daily": """
        select tenant_id::text as tenant, customer, meter, coalesce(quantity, 0)::text as quantity
        from billing.usage_daily
        where tenant_id = any(%(tenants)s) and day >= %(first)s and day < %(after)s
    """,
    "files": """
        select
            tenant_id as tenant,
            file,
            received::text as received,
            accepted::text as accepted,
            duplicate::text as duplicate,
            quarantined::text as quarantined
        from billing.ingestion_file
        where tenant_id = any(%(tenants)s)
    """,
    "event_days": """
        select
            tenant_id::text as tenant,
            day::text as day,
            accepted::text as accepted,
            billed::text as billed,
            unbilled::text as unbilled
        from billing.event_day
        where tenant_id = any(%(tenants)s) and day >= %(first)s and day < %(after)s
    """,
}
