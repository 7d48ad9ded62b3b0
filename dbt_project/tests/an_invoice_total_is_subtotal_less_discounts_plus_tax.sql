with

invoices as (
    select * from {{ ref('fct_invoice') }}
)

select
    tenant_id,
    invoice_number,
    total_minor,
    amount_due_minor
from invoices
where
    total_minor != subtotal_minor - discount_total_minor + tax_total_minor
    or amount_due_minor != total_minor - credit_total_minor
