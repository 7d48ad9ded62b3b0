with

source as (
    select * from {{ source('billing', 'invoice_tax') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        invoice_id,
        position as position_no,
        ---------- text
        key as tax_key,
        ---------- numerics
        percent as tax_percent,
        base_minor,
        amount_minor
    from source
)

select * from renamed
