with

source as (
    select * from {{ source('billing', 'reconciliation') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        check_name,
        period,
        run_id,
        ---------- numerics
        expected,
        actual,
        difference,
        ---------- booleans
        ok as is_ok,
        ---------- text
        detail,
        ---------- times
        checked_at
    from source
)

select * from renamed
