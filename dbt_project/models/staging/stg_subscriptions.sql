with

source as (
    select * from {{ source('billing', 'subscription') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        subscription as subscription_key,
        customer as customer_key,
        plan as plan_key,
        plan_version,
        ---------- text
        status as subscription_status,
        timezone as subscription_timezone,
        currency,
        ---------- times
        anchor_date,
        started_at,
        ended_at
    from source
)

select * from renamed
