with

invoices as (
    select * from {{ ref('fct_invoice') }}
)

select
    tenant_id,
    invoice_id,
    status,
    invoice_number
from invoices
where (status = 'draft') != (invoice_number is null)
