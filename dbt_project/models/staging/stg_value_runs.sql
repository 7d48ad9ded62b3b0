with

source as (
    select * from {{ source('value', 'run') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        run_hash,
        commit_id,
        ---------- numbers
        written as write_order,
        ---------- text
        case_name,
        ---------- times
        month as value_month,
        known_at,
        computed_at
    from source
)

select * from renamed
