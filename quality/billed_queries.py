"""What was billed, as the reconciliation reads it from Postgres: every number and instant as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quality.calendars import CALENDARS
from quality.correction_queries import LATER

if TYPE_CHECKING:
    from typing import LiteralString

# Amounts of a voided invoice of the period count for some of the other invoices and not for all of them.
_BESIDE_A_VOIDED_ONE = """exists (
                select from billing.invoice_void as void
                inner join billing.invoice as voided
                    on void.tenant_id = voided.tenant_id and void.invoice_id = voided.invoice_id
                where void.tenant_id = invoice.tenant_id and voided.subscription = invoice.subscription
                    and voided.period_from = invoice.period_from and voided.invoice_type in ('threshold', 'period')
            )"""

BILLED: dict[str, LiteralString] = LATER | {
    "booked_lines": f"""
        with

        {CALENDARS},

        closing as (
            select invoice.*
            from billing.invoice
            inner join calendars on invoice.tenant_id = calendars.tenant
            where
                -- as in quality.expectations: by the tenant's calendar, the month's last instant included
                case invoice_type
                    when 'start' then period_from >= first and period_from < after
                    else period_to > first and period_to <= after
                end
        )

        select
            (row_number() over ())::text as line_id,
            line.tenant_id::text as tenant,
            invoice.customer,
            invoice.subscription,
            invoice.invoice_id::text as invoice_id,
            line.meter,
            line.key as charge,
            line.kind,
            line.currency::text as currency,
            coalesce(line.dimensions, '{{}}'::jsonb)::text as dimensions,
            line.service_from::text as service_from,
            line.service_to::text as service_to,
            coalesce(invoice.events_known_at, 'infinity'::timestamptz)::text as known_at,
            invoice.catalog_hash,
            subscription.anchor_date::text as anchor,
            subscription.timezone,
            subscription.started_at::text as started_at,
            coalesce(subscription.ended_at, 'infinity'::timestamptz)::text as ended_at,
            -- Threshold invoices, and the closing one after them, bill differences: their sum is what the whole
            -- of the period so far comes to.
            (invoice.invoice_type = 'threshold')::text as early,
            line.is_difference::text as so_far,
            coalesce(so_far.quantity, line.quantity)::text as booked_quantity,
            coalesce(so_far.amount, line.amount_precise)::text as booked_amount,
            line.amount_minor::text as booked_minor,
            coalesce(invoice.number, invoice.invoice_id::text) || ' ' || line.key as cell
        from closing as invoice
        inner join billing.invoice_line as line
            on invoice.tenant_id = line.tenant_id and invoice.invoice_id = line.invoice_id
        left join billing.subscription as subscription
            on invoice.tenant_id = subscription.tenant_id and invoice.subscription = subscription.subscription
        left join lateral (
            select sum(part.quantity) as quantity, sum(part.amount_precise) as amount
            from billing.invoice as other
            inner join billing.invoice_line as part
                on other.tenant_id = part.tenant_id and other.invoice_id = part.invoice_id
            where
                line.is_difference
                and other.tenant_id = invoice.tenant_id and other.subscription = invoice.subscription
                and other.period_from = invoice.period_from and other.period_to <= invoice.period_to
                and other.invoice_type in ('threshold', 'period')
                and part.key = line.key and part.dimensions is not distinct from line.dimensions
                and part.kind = 'usage' and part.corrected_invoice_id is null
                and not exists (
                    select from billing.invoice_void as void
                    where void.tenant_id = other.tenant_id and void.invoice_id = other.invoice_id
                )
        ) as so_far on true
        where
            line.kind in ('usage', 'fee') and line.corrected_invoice_id is null
            and not (line.is_difference and {_BESIDE_A_VOIDED_ONE})
    """,  # noqa: S608 - nothing but constants is put in
    "other_lines": f"""
        with

        {CALENDARS}

        select
            (-row_number() over ())::text as line_id,
            line.tenant_id::text as tenant,
            line.invoice_id::text as invoice_id,
            line.line_no::text as line_no,
            line.key as charge,
            line.kind
        from billing.invoice as invoice
        inner join calendars on invoice.tenant_id = calendars.tenant
        inner join billing.invoice_line as line
            on invoice.tenant_id = line.tenant_id and invoice.invoice_id = line.invoice_id
        where (
                line.kind in ('adjustment', 'outcome', 'one_off', 'minimum')
                or (line.is_difference and {_BESIDE_A_VOIDED_ONE})
            )
            and case invoice.invoice_type
                when 'start' then invoice.period_from >= first and invoice.period_from < after
                else invoice.period_to > first and invoice.period_to <= after
            end
    """,  # noqa: S608 - nothing but constants is put in
    "calendars": f"""
        with

        {CALENDARS}

        select
            calendars.tenant::text as tenant,
            calendars.first::text as first,
            calendars.after::text as after,
            (max(invoice.computed_at))::text as billed_until,
            (max(invoice.events_known_at))::text as known_at
        from calendars
        inner join billing.invoice as invoice on calendars.tenant = invoice.tenant_id
        where
            -- what only a run that billed the month makes: a correction of the month may come of any run
            (invoice.invoice_type = 'period' and invoice.period_to > calendars.first
                and invoice.period_to <= calendars.after)
            or (invoice.invoice_type = 'start' and invoice.period_from >= calendars.first
                and invoice.period_from < calendars.after)
        group by calendars.tenant, calendars.first, calendars.after
    """,  # noqa: S608 - nothing but CALENDARS, a constant, is put in
    "period_invoices": f"""
        with

        {CALENDARS}

        select
            invoice.tenant_id::text as tenant,
            invoice.subscription,
            invoice.period_from::text as period_from,
            invoice.period_to::text as period_to
        from billing.invoice as invoice
        inner join calendars on invoice.tenant_id = calendars.tenant
        where invoice.invoice_type = 'period' and invoice.period_to > calendars.first
    """,  # noqa: S608 - nothing but CALENDARS, a constant, is put in
    "closed_periods": f"""
        with

        {CALENDARS}

        select
            invoice.tenant_id::text as tenant,
            coalesce(invoice.number, invoice.invoice_id::text) as cell,
            invoice.subscription,
            invoice.period_from::text as period_from,
            invoice.period_to::text as period_to,
            coalesce(invoice.events_known_at, 'infinity'::timestamptz)::text as known_at,
            invoice.catalog_hash,
            coalesce((
                select jsonb_agg(distinct line.key)
                from billing.invoice_line as line
                where line.tenant_id = invoice.tenant_id and line.invoice_id = invoice.invoice_id
            ), '[]'::jsonb)::text as keys
        from billing.invoice as invoice
        inner join calendars on invoice.tenant_id = calendars.tenant
        where invoice.invoice_type = 'period' and invoice.period_to > calendars.first
            and invoice.period_to <= calendars.after and invoice.revision = 0
            -- amounts on a threshold invoice may leave nothing to the closing one; of a period that closes
            -- twice, the first closing invoice bills what the period itself made
            and not exists (
                select from billing.invoice as early
                where early.tenant_id = invoice.tenant_id and early.subscription = invoice.subscription
                    and early.period_from = invoice.period_from
                    and (early.invoice_type = 'threshold'
                        or (early.invoice_type = 'period' and early.period_to < invoice.period_to))
            )
    """,  # noqa: S608 - nothing but CALENDARS, a constant, is put in
    "subscriptions": """
        select
            tenant_id::text as tenant,
            customer,
            subscription,
            plan,
            plan_version::text as version,
            currency::text as currency,
            timezone,
            anchor_date::text as anchor,
            started_at::text as started_at,
            coalesce(ended_at, 'infinity'::timestamptz)::text as ended_at
        from billing.subscription
        where tenant_id = any(%(tenants)s)
    """,
    "proposals": """
        select tenant_id::text as tenant, customer, amount::text as amount
        from value.proposal
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
    "rejected": """
        select tenant_id::text as tenant, source, event_id
        from billing.rejected_event
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
