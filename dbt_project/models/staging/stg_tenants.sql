with

source as (
    select * from {{ source('billing', 'tenant') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        ---------- text
        name as tenant_name,
        timezone,
        currency,
        ---------- numerics
        grace_seconds,
        ---------- times
        created_at,
        updated_at
    from source
)

select * from renamed
