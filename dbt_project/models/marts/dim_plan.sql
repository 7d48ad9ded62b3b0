with

plans as (
    select * from {{ ref('stg_plans') }}
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
        coalesce(jsonb_array_length(plan_document -> 'fees'), 0) as fee_count,
        coalesce(jsonb_array_length(plan_document -> 'charges'), 0) as charge_count,
        plan_version = max(plan_version) over (partition by tenant_id, plan_key) as is_latest_version
    from plans
)

select * from final
