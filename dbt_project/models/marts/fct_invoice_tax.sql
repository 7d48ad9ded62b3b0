with

taxes as (
    select * from {{ ref('stg_invoice_taxes') }}
),

invoices as (
    select * from {{ ref('int_invoices') }}
),

customers as (
    select * from {{ ref('stg_customers') }}
),

final as (
    select
        taxes.tenant_id,
        taxes.invoice_id,
        taxes.position_no,
        invoices.invoice_number,
        invoices.status as invoice_status,
        invoices.customer_key,
        customers.country as customer_country,
        invoices.subscription_key,
        invoices.invoice_month,
        invoices.issued_on,
        taxes.tax_key,
        trim_scale(taxes.tax_percent) as tax_percent,
        invoices.currency,
        taxes.base_minor,
        taxes.amount_minor,
        {{ minor_to_major('taxes.base_minor', 'invoices.minor_units') }} as base,
        {{ minor_to_major('taxes.amount_minor', 'invoices.minor_units') }} as amount
    from taxes
    inner join invoices
        on
            taxes.tenant_id = invoices.tenant_id
            and taxes.invoice_id = invoices.invoice_id
    left join customers
        on
            invoices.tenant_id = customers.tenant_id
            and invoices.customer_key = customers.customer_key
)

select * from final
