with

releases as (
    select * from {{ ref('stg_releases') }}
),

-- dimensions have no month: the latest decision of the gate holds for the whole tenant
ranked as (
    select
        releases.*,
        row_number() over (
            partition by releases.tenant_id
            order by releases.decided_at desc, releases.period desc
        ) = 1 as is_latest
    from releases
),

final as (
    select
        tenant_id,
        to_date(period, 'YYYY-MM') as slice_month,
        is_latest
    from ranked
    where release_status = 'released'
)

select * from final
