with

source as (
    select * from {{ source('value', 'closing') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        commit_id,
        ---------- text
        outcome as closing_outcome,
        closed_by,
        ---------- times
        closed_at
    from source
)

select * from renamed
