with

parts as (
    select * from {{ ref('stg_invoice_discounts') }}
),

invoices as (
    select * from {{ ref('int_invoices') }}
),

final as (
    select
        parts.tenant_id,
        parts.invoice_id,
        parts.position_no,
        invoices.invoice_number,
        invoices.status as invoice_status,
        invoices.customer_key,
        invoices.subscription_key,
        invoices.invoice_month,
        invoices.issued_on,
        parts.coupon_key,
        parts.event_origin,
        invoices.currency,
        parts.amount_minor,
        {{ minor_to_major('parts.amount_minor', 'invoices.minor_units') }} as amount
    from parts
    inner join invoices
        on
            parts.tenant_id = invoices.tenant_id
            and parts.invoice_id = invoices.invoice_id
)

select * from final
