with

usage_daily as (
    select * from {{ ref('int_usage_daily') }}
),

final as (
    select
        tenant_id,
        usage_date,
        usage_month,
        customer_key,
        subscription_key,
        meter_key,
        dimensions,
        quantity,
        event_count,
        aggregation,
        is_additive
    from usage_daily
)

select * from final
