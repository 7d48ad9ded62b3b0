with

source as (
    select * from {{ source('value', 'approval') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        commit_id,
        ---------- text
        side as approval_side,
        approved_by,
        ---------- times
        approved_at
    from source
)

select * from renamed
