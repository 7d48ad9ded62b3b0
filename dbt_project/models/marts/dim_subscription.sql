with

subscriptions as (
    select * from {{ ref('stg_subscriptions') }}
),

final as (
    select
        tenant_id,
        subscription_key,
        customer_key,
        plan_key,
        plan_version,
        subscription_status,
        subscription_timezone,
        currency,
        anchor_date,
        started_at,
        ended_at
    from subscriptions
)

select * from final
