with

tenants as (
    select * from {{ ref('stg_tenants') }}
),

final as (
    select
        tenant_id,
        tenant_name,
        timezone,
        currency,
        grace_seconds,
        created_at,
        updated_at
    from tenants
)

select * from final
