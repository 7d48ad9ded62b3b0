with

customers as (
    select * from {{ ref('int_customers') }}
),

final as (
    select
        tenant_id,
        customer_key,
        customer_name,
        email,
        currency,
        timezone,
        country,
        metadata,
        open_subscriptions,
        first_started_at,
        created_at,
        updated_at
    from customers
)

select * from final
