{# Invoices one of whose totals is not the sum of its rows in a mart of their parts; no row at all is 0. #}
{% macro invoices_that_do_not_add_up(total_minor, parts) -%}
with

invoices as (
    select * from {{ ref('fct_invoice') }}
),

summed as (
    select
        tenant_id,
        invoice_id,
        sum(amount_minor) as parts_minor
    from {{ parts }}
    group by tenant_id, invoice_id
)

select
    invoices.tenant_id,
    invoices.invoice_id,
    invoices.{{ total_minor }},
    summed.parts_minor
from invoices
left join summed
    on
        invoices.tenant_id = summed.tenant_id
        and invoices.invoice_id = summed.invoice_id
where invoices.{{ total_minor }} != coalesce(summed.parts_minor, 0)
{%- endmacro %}
