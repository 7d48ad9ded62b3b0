with

plans as (
    select * from {{ ref('int_plans') }}
),

final as (
    select
        tenant_id,
        plan_key,
        plan_version,
        catalog_hash,
        currency,
        period_every,
        period_unit,
        period_align,
        fee_count,
        charge_count,
        is_latest_version
    from plans
)

select * from final
