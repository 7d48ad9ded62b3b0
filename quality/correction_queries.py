"""Lines that follow from others, as the reconciliation reads them from Postgres: corrections, commitments, outcomes.

Every number and instant is text. What may follow from more than plain inputs is left out here, or marked: discounts,
credit notes, threshold invoices, voids, and periods that were re-rated or closed more than once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quality.calendars import CALENDARS

if TYPE_CHECKING:
    from typing import LiteralString

_NOT_VOIDED: LiteralString = """not exists (
    select from billing.invoice_void as void
    where void.tenant_id = {0}.tenant_id and void.invoice_id = {0}.invoice_id
)"""
_ALONE: LiteralString = """not exists (
    select from billing.invoice as beside
    where beside.tenant_id = {0}.tenant_id and beside.subscription = {0}.subscription
        and beside.period_from = {0}.period_from and beside.invoice_id <> {0}.invoice_id
        and beside.invoice_type in ('period', 'threshold')
)"""
_CLOSING: LiteralString = """case invoice.invoice_type
        when 'start' then invoice.period_from >= calendars.first and invoice.period_from < calendars.after
        else invoice.period_to > calendars.first and invoice.period_to <= calendars.after
    end"""

LATER: dict[str, LiteralString] = {
    "corrections": f"""
        with

        {CALENDARS},

        -- Made once: what is looked up for each of its rows is then found by key.
        adjusted as materialized (
            select
                line.*,
                invoice.events_known_at,
                coalesce(invoice.number, invoice.invoice_id::text) || ' ' || line.key as cell
            from billing.invoice as invoice
            inner join calendars on invoice.tenant_id = calendars.tenant
            inner join billing.invoice_line as line
                on invoice.tenant_id = line.tenant_id and invoice.invoice_id = line.invoice_id
            where
                line.kind = 'adjustment' and line.meter is not null and line.quantity is not null
                and {_CLOSING}
                and {_NOT_VOIDED.replace("{0}", "invoice")}
        )

        select
            line.tenant_id::text as tenant,
            line.invoice_id::text as billed_by,
            line.line_no::text as line_no,
            line.cell,
            line.events_known_at::text as known_at,
            original.events_known_at::text as first_known_at,
            original.customer,
            original.subscription,
            original.catalog_hash,
            original.period_to::text as period_to,
            own.meter,
            own.key as charge,
            own.currency::text as currency,
            coalesce(own.dimensions, '{{}}'::jsonb)::text as dimensions,
            own.service_from::text as service_from,
            own.service_to::text as service_to,
            (own.amount_minor + before.amount)::text as before_minor,
            (own.quantity + before.quantity)::text as before_quantity,
            line.amount_minor::text as amount_minor,
            line.quantity::text as quantity
        from adjusted as line
        inner join billing.invoice as original
            on line.tenant_id = original.tenant_id and line.corrected_invoice_id = original.invoice_id
        inner join billing.invoice_line as own
            on original.tenant_id = own.tenant_id and original.invoice_id = own.invoice_id
            and line.key = own.key and line.dimensions is not distinct from own.dimensions
            and own.kind = 'usage' and own.corrected_invoice_id is null
        inner join lateral (
            select coalesce(sum(earlier.amount_minor), 0) as amount, coalesce(sum(earlier.quantity), 0) as quantity
            from billing.invoice_line as earlier
            inner join billing.invoice as adjusting
                on earlier.tenant_id = adjusting.tenant_id and earlier.invoice_id = adjusting.invoice_id
            where earlier.tenant_id = line.tenant_id and earlier.corrected_invoice_id = line.corrected_invoice_id
                and earlier.key = line.key and earlier.dimensions is not distinct from line.dimensions
                and adjusting.events_known_at < line.events_known_at
        ) as before on true
        where
            original.invoice_type = 'period' and original.status = 'finalised'
            and {_NOT_VOIDED.replace("{0}", "original")}
            and {_ALONE.replace("{0}", "original")}
            and not own.is_difference and own.discount_minor = 0 and original.discount_total_minor = 0
            and 1 = (
                select count(*) from billing.invoice_line as same
                where same.tenant_id = own.tenant_id and same.invoice_id = own.invoice_id and same.key = own.key
                    and same.dimensions is not distinct from own.dimensions and same.corrected_invoice_id is null
            )
            and not exists (
                select from billing.rerating as other
                where other.tenant_id = original.tenant_id and other.invoice_id = original.invoice_id
            )
            and not exists (
                select from billing.credit_note as note
                where note.tenant_id = original.tenant_id and note.number = original.number
            )
            and not exists (
                select from billing.invoice_line as earlier
                inner join billing.invoice_void as void
                    on earlier.tenant_id = void.tenant_id and earlier.invoice_id = void.invoice_id
                where earlier.tenant_id = line.tenant_id and earlier.corrected_invoice_id = line.corrected_invoice_id
            )
    """,  # noqa: S608 - nothing but constants is put in
    # Parts are made once each, so that none is read whole for every row of another.
    "committed": f"""
        with

        {CALENDARS},

        closing as materialized (
            select invoice.*
            from billing.invoice as invoice
            inner join calendars on invoice.tenant_id = calendars.tenant
            where invoice.invoice_type = 'period' and {_CLOSING}
        ),

        several as materialized (
            select tenant_id, subscription, period_from
            from billing.invoice
            where tenant_id = any(%(tenants)s) and invoice_type in ('period', 'threshold')
                and subscription is not null
            group by tenant_id, subscription, period_from
            having count(*) > 1
        )

        select
            invoice.tenant_id::text as tenant,
            invoice.invoice_id::text as invoice_id,
            max(coalesce(invoice.number, invoice.invoice_id::text)) as cell,
            max(invoice.customer) as customer,
            max(invoice.subscription) as subscription,
            max(invoice.currency::text) as currency,
            max(invoice.catalog_hash) as catalog_hash,
            max(invoice.events_known_at)::text as known_at,
            max(invoice.period_from)::text as period_from,
            max(invoice.period_to)::text as period_to,
            coalesce(sum(line.amount_minor) filter (
                where (line.kind in ('fee', 'usage') or (line.kind = 'minimum' and line.key <> 'commitment'))
                    and line.service_from < invoice.period_to
            ), 0)::text as counted_minor,
            -- a charge's own minimum, over its lines, has the charge's key
            coalesce(sum(line.amount_minor) filter (
                where line.kind = 'minimum' and line.key = 'commitment'
            ), 0)::text as minimum_minor
        from closing as invoice
        inner join billing.invoice_line as line
            on invoice.tenant_id = line.tenant_id and invoice.invoice_id = line.invoice_id
            and line.corrected_invoice_id is null
        where (invoice.tenant_id, invoice.subscription, invoice.period_from) not in (
            select several.tenant_id, several.subscription, several.period_from from several
        )
        group by invoice.tenant_id, invoice.invoice_id
        -- where a charge is called commitment, its own minimum looks like the true-up
        having not bool_or(line.is_difference or (line.key = 'commitment' and line.kind <> 'minimum'))
    """,  # noqa: S608 - nothing but constants is put in
    "outcomes": f"""
        with

        {CALENDARS},

        closing as materialized (
            select invoice.*
            from billing.invoice as invoice
            inner join calendars on invoice.tenant_id = calendars.tenant
            where {_CLOSING}
        ),

        outcome_lines as materialized (
            select
                line.*,
                count(*) over (partition by line.tenant_id, line.proposal) as times
            from billing.invoice_line as line
            left join billing.invoice_void as void
                on line.tenant_id = void.tenant_id and line.invoice_id = void.invoice_id
            where line.tenant_id = any(%(tenants)s) and line.kind = 'outcome' and void.invoice_id is null
        )

        select
            line.tenant_id::text as tenant,
            invoice.invoice_id::text as billed_by,
            line.line_no::text as line_no,
            line.key as charge,
            coalesce(invoice.number, invoice.invoice_id::text) || ' ' || line.key as cell,
            invoice.currency::text as currency,
            line.amount_precise::text as amount,
            proposal.amount::text as proposed,
            proposal.fee_to_date::text as fee_to_date,
            case when proposal.binding = 'none' then greatest(round(proposal.realised_value, 18), 0)::text end
                as realised,
            line.times::text as times
        from closing as invoice
        inner join outcome_lines as line on invoice.tenant_id = line.tenant_id and invoice.invoice_id = line.invoice_id
        inner join value.proposal as proposal
            on line.tenant_id = proposal.tenant_id and line.proposal = proposal.proposal
    """,  # noqa: S608 - nothing but constants is put in
}
