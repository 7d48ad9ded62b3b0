with

source as (
    select * from {{ source('value', 'metric') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        ---------- text
        metric as metric_key,
        customer as customer_key,
        currency,
        ---------- numerics
        value as metric_value,
        ---------- times
        month as value_month,
        known_at
    from source
)

select * from renamed
