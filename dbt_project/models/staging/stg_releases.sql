with

source as (
    select * from {{ source('billing', 'release') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        period,
        run_id,
        ---------- text
        status as release_status,
        reason as release_reason,
        ---------- times
        decided_at
    from source
)

select * from renamed
