with

reconciliations as (
    select * from {{ ref('int_reconciliations') }}
),

final as (
    select
        tenant_id,
        check_name,
        period,
        expected,
        actual,
        difference,
        is_ok,
        detail,
        release_status,
        release_reason,
        run_id,
        checked_at
    from reconciliations
)

select * from final
