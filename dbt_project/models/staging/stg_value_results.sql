with

source as (
    select * from {{ source('value', 'result') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        run_hash,
        name as output_name,
        ---------- text
        unit as output_unit,
        ---------- numerics
        value as output_value
    from source
)

select * from renamed
