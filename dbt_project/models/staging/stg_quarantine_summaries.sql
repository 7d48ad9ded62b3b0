with

source as (
    select * from {{ source('billing', 'quarantine_summary') }}
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
