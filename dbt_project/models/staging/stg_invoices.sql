with

source as (
    select * from {{ source('billing', 'invoice') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        invoice_id,
        number as invoice_number,
        sequence as invoice_sequence,
        customer as customer_key,
        subscription as subscription_key,
        catalog_hash,
        content_hash,
        ---------- text
        status as recorded_status,
        invoice_type as purpose,
        cast(currency as text) as currency,
        ---------- numerics
        subtotal_minor,
        discount_total_minor,
        tax_total_minor,
        total_minor,
        credit_total_minor,
        amount_due_minor,
        ---------- times
        period_from,
        period_to,
        issued_on,
        due_on,
        events_known_at,
        computed_at,
        finalised_at
    from source
)

select * from renamed
