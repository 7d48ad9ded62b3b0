with

source as (
    select * from {{ source('billing', 'invoice_discount') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        invoice_id,
        position as position_no,
        ---------- text
        key as coupon_key,
        origin as event_origin,
        ---------- numerics
        amount_minor
    from source
)

select * from renamed
