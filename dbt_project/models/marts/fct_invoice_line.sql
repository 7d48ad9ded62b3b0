with

lines as (
    select * from {{ ref('stg_invoice_lines') }}
),

invoices as (
    select * from {{ ref('int_invoices') }}
),

final as (
    select
        lines.tenant_id,
        lines.invoice_id,
        lines.line_no,
        invoices.invoice_number,
        invoices.status as invoice_status,
        invoices.customer_key,
        invoices.subscription_key,
        invoices.invoice_month,
        lines.line_key,
        lines.line_kind,
        lines.description,
        lines.meter_key,
        lines.line_dimensions,
        lines.service_from,
        lines.service_to,
        lines.quantity,
        lines.event_count,
        lines.currency,
        lines.amount_precise,
        lines.amount_minor,
        {{ minor_to_major('lines.amount_minor', 'invoices.minor_units') }} as amount
    from lines
    inner join invoices
        on
            lines.tenant_id = invoices.tenant_id
            and lines.invoice_id = invoices.invoice_id
)

select * from final
