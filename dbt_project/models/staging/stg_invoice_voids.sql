with

source as (
    select * from {{ source('billing', 'invoice_void') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        invoice_id,
        ---------- text
        reason as void_reason,
        ---------- times
        voided_at
    from source
)

select * from renamed
