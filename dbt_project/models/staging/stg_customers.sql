with

source as (
    select * from {{ source('billing', 'customer') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        customer as customer_key,
        ---------- text
        name as customer_name,
        email,
        currency,
        timezone,
        country,
        ---------- documents
        metadata,
        ---------- times
        created_at,
        updated_at
    from source
)

select * from renamed
