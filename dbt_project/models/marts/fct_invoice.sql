with

invoices as (
    select * from {{ ref('int_invoices') }}
),

final as (
    select
        tenant_id,
        invoice_id,
        invoice_number,
        status,
        customer_key,
        subscription_key,
        purpose,
        currency,
        invoice_month,
        period_from,
        period_to,
        issued_on,
        due_on,
        subtotal_minor,
        discount_total_minor,
        tax_total_minor,
        total_minor,
        credit_total_minor,
        amount_due_minor,
        subtotal,
        discount_total,
        tax_total,
        total,
        credit_total,
        amount_due,
        events_known_at,
        catalog_hash,
        content_hash,
        finalised_at,
        voided_at,
        void_reason
    from invoices
)

select * from final
