with

source as (
    select * from {{ source('value', 'verdict') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        proposal as proposal_key,
        ---------- text
        verdict,
        said_by,
        ---------- times
        said_at
    from source
)

select * from renamed
