with

source as (
    select * from {{ source('billing', 'ignored_file') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        file,
        ---------- text
        reason as ignored_reason,
        ---------- times
        seen_at
    from source
)

select * from renamed
