with

parts as (
    select
        tenant_id,
        invoice_id,
        sum(amount_minor) as amount_minor
    from {{ ref('fct_credit_use') }}
    group by tenant_id, invoice_id
),

invoices as (
    select * from {{ ref('fct_invoice') }}
)

select
    invoices.tenant_id,
    invoices.invoice_id,
    invoices.credit_total_minor,
    parts.amount_minor
from invoices
left join parts
    on
        invoices.tenant_id = parts.tenant_id
        and invoices.invoice_id = parts.invoice_id
where invoices.credit_total_minor != coalesce(parts.amount_minor, 0)
