with

source as (
    select * from {{ source('billing', 'plan') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        plan as plan_key,
        version as plan_version,
        catalog_hash,
        ---------- text
        currency,
        period_unit,
        period_align,
        ---------- numerics
        period_every,
        ---------- documents
        document as plan_document
    from source
)

select * from renamed
