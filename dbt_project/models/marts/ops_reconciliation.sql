with

reconciliations as (
    select * from {{ ref('stg_reconciliations') }}
),

releases as (
    select * from {{ ref('stg_releases') }}
),

final as (
    select
        reconciliations.tenant_id,
        reconciliations.check_name,
        reconciliations.period,
        reconciliations.expected,
        reconciliations.actual,
        reconciliations.difference,
        reconciliations.is_ok,
        reconciliations.detail,
        releases.release_status,
        releases.release_reason,
        reconciliations.run_id,
        reconciliations.checked_at
    from reconciliations
    left join releases
        on
            reconciliations.tenant_id = releases.tenant_id
            and reconciliations.period = releases.period
)

select * from final
