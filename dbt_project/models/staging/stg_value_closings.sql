with

source as (
    select * from {{ source('value', 'closing') }}
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
