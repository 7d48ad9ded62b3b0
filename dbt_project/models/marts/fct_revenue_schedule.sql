with

schedule as (
    select * from {{ ref('int_revenue_schedule') }}
),

final as (
    select
        tenant_id,
        customer_key,
        invoice_number,
        revenue_month,
        currency,
        recognised_minor,
        deferred_minor,
        recognised,
        deferred
    from schedule
)

select * from final
