"""What has to hold in the billing tables before a month is published: one rule, one sentence, one query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quality.rule import Rule
from quality.total_rules import TOTALS

if TYPE_CHECKING:
    from quality.rule import Scope

SCOPES: dict[str, Scope] = {
    "tenant": "tenant",
    "customer": "tenant",
    "subscription": "tenant",
    "invoice": "closing",
    "invoice_line": "closing",
    "usage_daily": "day",
    "event_day": "day",
    "ingestion_file": "tenant",
    "reconciliation": "period",
    "journal_posting": "booked",
}

RULES: tuple[Rule, ...] = (
    Rule(
        "tenant_has_timezone_and_currency",
        "tenant",
        "Every tenant has a time zone that Postgres knows and a currency",
        """
        select batch.tenant_id, coalesce(batch.timezone, 'no time zone') as example
        from {batch} as batch
        left join pg_timezone_names as zones on batch.timezone = zones.name
        where zones.name is null or batch.currency is null
        """,
    ),
    Rule(
        "customer_has_a_tenant",
        "customer",
        "Every customer belongs to a tenant that exists",
        """
        select batch.tenant_id, batch.customer as example
        from {batch} as batch
        left join billing.tenant as tenant on batch.tenant_id = tenant.tenant_id
        where tenant.tenant_id is null
        """,
    ),
    Rule(
        "subscription_is_on_a_published_plan",
        "subscription",
        "Every subscription is on a plan version that was published",
        """
        select batch.tenant_id, batch.subscription as example
        from {batch} as batch
        left join billing.plan as plan
            on batch.tenant_id = plan.tenant_id and batch.plan = plan.plan and batch.plan_version =
                plan.version
        where plan.plan is null
        """,
    ),
    Rule(
        "invoice_keys_are_filled",
        "invoice",
        "Every invoice names its customer, and a finalised one its number, hash and known-at time",
        """
        select batch.tenant_id, cast(batch.invoice_id as text) as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        where batch.customer is null or batch.customer = ''
            or (
                batch.status = 'finalised'
                and num_nulls(batch.number, batch.sequence, batch.content_hash, batch.events_known_at) > 0
            )
        """,
    ),
    Rule(
        "invoice_has_a_customer",
        "invoice",
        "Every invoice bills a customer of its own tenant",
        """
        select batch.tenant_id, cast(batch.invoice_id as text) as example
        from {batch} as batch
        left join billing.customer as customer
            on batch.tenant_id = customer.tenant_id and batch.customer = customer.customer
        where customer.customer is null
        """,
    ),
    Rule(
        "invoice_subtotal_is_the_sum_of_its_lines",
        "invoice",
        "The subtotal of every invoice is the sum of its lines",
        """
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        left join billing.invoice_line as line
            on batch.tenant_id = line.tenant_id and batch.invoice_id = line.invoice_id
        group by batch.tenant_id, batch.invoice_id, batch.number, batch.subtotal_minor
        having batch.subtotal_minor <> coalesce(sum(line.amount_minor), 0)
        """,
    ),
    Rule(
        "invoice_document_says_the_same_total",
        "invoice",
        "The document that is served shows the total that is booked",
        """
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        where batch.document is not null
            and replace(cast(batch.document as json) ->> 'total', '.', '') is distinct from
                case when batch.total_minor < 0 then '-' else '' end
                || lpad(
                    cast(abs(batch.total_minor) as text),
                    greatest(
                        length(cast(abs(batch.total_minor) as text)),
                        length(regexp_replace(cast(batch.document as json) ->> 'total', '[-.]', '', 'g'))
                    ),
                    '0'
                )
        """,
    ),
    Rule(
        "invoice_amounts_are_in_range",
        "invoice",
        "No amount of an invoice is beyond what events and prices in range can cost",
        """
        select batch.tenant_id, coalesce(batch.number, cast(batch.invoice_id as text)) as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        where greatest(abs(batch.subtotal_minor), abs(batch.tax_total_minor), abs(batch.total_minor))
            -- a quantity of 10^12 at a price of 10^6 is the most that one event can cost
            >= 1000000000000000000
        """,
    ),
    Rule(
        "invoice_numbers_have_no_gaps",
        "tenant",
        "Invoice numbers run 1, 2, 3 ... per tenant, as far as the counter says",
        """
        select batch.tenant_id, 'counter at ' || coalesce(counter.last_sequence, 0) as example
        from {batch} as batch
        left join billing.invoice_sequence as counter on batch.tenant_id = counter.tenant_id
        left join billing.invoice as invoice on batch.tenant_id = invoice.tenant_id and invoice.status =
            'finalised'
        group by batch.tenant_id, counter.last_sequence
        having count(invoice.sequence) <> coalesce(max(invoice.sequence), 0)
            or coalesce(max(invoice.sequence), 0) <> coalesce(counter.last_sequence, 0)
        """,
    ),
    Rule(
        "line_has_an_invoice",
        "invoice_line",
        "No line is without its invoice, and both have one currency",
        """
        select batch.tenant_id, cast(batch.invoice_id as text) || ' line ' || batch.line_no as example
        from {batch} as batch
        left join billing.invoice as invoice
            on batch.tenant_id = invoice.tenant_id and batch.invoice_id = invoice.invoice_id
        where invoice.invoice_id is null or cast(invoice.currency as text) <> cast(batch.currency as text)
        """,
    ),
    Rule(
        "usage_line_has_meter_and_quantity",
        "invoice_line",
        "A usage line names its meter and quantity (one of several meters, as capacity has them, names neither)",
        """
        select batch.tenant_id, cast(batch.invoice_id as text) || ' line ' || batch.line_no as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        where (batch.kind = 'usage' and batch.meter is null and batch.quantity <> 0)
            or (batch.kind = 'usage' and batch.meter is not null and batch.quantity is null)
            or batch.service_to < batch.service_from
        """,
    ),
    Rule(
        "usage_names_its_meter",
        "usage_daily",
        "Metered usage names its meter",
        """
        select batch.tenant_id, cast(batch.day as text) as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        where batch.meter = ''
        """,
    ),
    Rule(
        "accepted_usage_is_billed_or_unbilled",
        "event_day",
        "accepted = billed + unbilled, on every day, and what is unbilled has a reason",
        """
        select batch.tenant_id, cast(batch.day as text) as example
        from {batch} as batch
        left join billing.unbilled_usage as reason
            on batch.tenant_id = reason.tenant_id and batch.day = reason.day
        group by batch.tenant_id, batch.day, batch.accepted, batch.billed, batch.unbilled
        having batch.accepted <> batch.billed + batch.unbilled or batch.unbilled <> coalesce(sum(reason.events), 0)
        """,
    ),
    Rule(
        "quarantined_events_have_a_reason",
        "ingestion_file",
        "every quarantined event of a file has a reason",
        """
        select batch.tenant_id, batch.file as example
        from {batch} as batch
        left join billing.quarantine_summary as reason
            on batch.tenant_id = reason.tenant_id
            and batch.file_hash = reason.file_hash
            and batch.file = reason.file
        group by batch.tenant_id, batch.file_hash, batch.file, batch.quarantined
        having batch.quarantined <> coalesce(sum(reason.events), 0)
        """,
    ),
    Rule(
        "reconciliations_agree",
        "reconciliation",
        "The independent recomputation agrees to the last digit",
        """
        select batch.tenant_id, batch.check_name as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        where not batch.ok
        """,
    ),
    Rule(
        "deferred_revenue_and_wallets_run_out_at_zero",
        "journal_posting",
        "Deferred revenue of every invoice sums to 0, and no wallet holds less than 0",
        """
        select batch.tenant_id, coalesce(batch.invoice, batch.wallet, batch.account) as example
        from {batch} as batch
        inner join (values (1)) as one (x) on true
        group by batch.tenant_id, batch.account, batch.customer, batch.invoice, batch.wallet, batch.currency
        having (batch.account = 'deferred_revenue' and sum(batch.amount_minor) <> 0)
            or (batch.account = 'customer_credit' and sum(batch.amount_minor) > 0)
        """,
    ),
    *TOTALS,
)
