with

source as (
    select * from {{ source('billing', 'invoice_line') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        invoice_id,
        line_no,
        key as line_key,
        meter as meter_key,
        ---------- text
        kind as line_kind,
        description,
        cast(currency as text) as currency,
        ---------- numerics
        quantity,
        amount_precise,
        amount_minor,
        event_count,
        ---------- documents
        dimensions as line_dimensions,
        ---------- times
        service_from,
        service_to
    from source
)

select * from renamed
