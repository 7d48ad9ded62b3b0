with

invoice_lines as (
    select * from {{ ref('int_invoice_lines') }}
),

final as (
    select
        tenant_id,
        invoice_id,
        line_no,
        invoice_number,
        invoice_status,
        customer_key,
        subscription_key,
        invoice_month,
        line_key,
        line_kind,
        description,
        meter_key,
        line_dimensions,
        service_from,
        service_to,
        quantity,
        event_count,
        currency,
        amount_precise,
        amount_minor,
        amount
    from invoice_lines
)

select * from final
