with

source as (
    select * from {{ source('billing', 'quarantine_summary') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        file_hash,
        file,
        reason as quarantine_reason,
        ---------- numerics
        events,
        ---------- text
        example
    from source
)

select * from renamed
