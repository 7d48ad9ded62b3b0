with

usage as (
    select * from {{ ref('stg_usage_daily') }}
),

final as (
    select
        tenant_id,
        usage_date,
        cast(date_trunc('month', usage_date) as date) as usage_month,
        customer_key,
        subscription_key,
        meter_key,
        dimensions,
        quantity,
        event_count,
        aggregation,
        coalesce(aggregation in ('count', 'sum'), false) as is_additive
    from usage
)

select * from final
