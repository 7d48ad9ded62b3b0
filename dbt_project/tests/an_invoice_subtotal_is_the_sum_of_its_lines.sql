with

invoices as (
    select * from {{ ref('fct_invoice') }}
),

lines as (
    select * from {{ ref('fct_invoice_line') }}
),

summed as (
    select
        tenant_id,
        invoice_id,
        sum(amount_minor) as lines_minor
    from lines
    group by tenant_id, invoice_id
)

select
    invoices.tenant_id,
    invoices.invoice_number,
    invoices.subtotal_minor,
    summed.lines_minor
from invoices
left join summed
    on
        invoices.tenant_id = summed.tenant_id
        and invoices.invoice_id = summed.invoice_id
where invoices.subtotal_minor != coalesce(summed.lines_minor, 0)
