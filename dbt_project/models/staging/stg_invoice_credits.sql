with

source as (
    select * from {{ source('billing', 'invoice_credit') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        invoice_id,
        position as position_no,
        ---------- text
        kind as credit_kind,
        key as credit_key,
        origin as event_origin,
        ---------- numerics
        amount_minor
    from source
)

select * from renamed
