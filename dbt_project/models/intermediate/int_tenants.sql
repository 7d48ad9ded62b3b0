with

tenants as (
    select * from {{ ref('stg_tenants') }}
)

select * from tenants
