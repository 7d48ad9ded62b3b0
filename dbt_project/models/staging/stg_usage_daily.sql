with

source as (
    select * from {{ source('billing', 'usage_daily') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        customer as customer_key,
        subscription as subscription_key,
        meter as meter_key,
        dimensions,
        ---------- texts
        aggregation,
        ---------- numerics
        quantity,
        events as event_count,
        ---------- times
        day as usage_date
    from source
)

select * from renamed
