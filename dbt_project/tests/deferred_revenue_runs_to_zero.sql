with

schedule as (
    select * from {{ ref('fct_revenue_schedule') }}
),

last_months as (
    select
        tenant_id,
        customer_key,
        invoice_number,
        currency,
        max(revenue_month) as revenue_month
    from schedule
    group by tenant_id, customer_key, invoice_number, currency
)

select
    schedule.tenant_id,
    schedule.invoice_number,
    schedule.deferred_minor
from schedule
inner join last_months
    on
        schedule.tenant_id = last_months.tenant_id
        and schedule.customer_key = last_months.customer_key
        and schedule.invoice_number = last_months.invoice_number
        and schedule.currency = last_months.currency
        and schedule.revenue_month = last_months.revenue_month
where schedule.deferred_minor != 0
