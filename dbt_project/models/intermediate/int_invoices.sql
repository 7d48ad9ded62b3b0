with

invoices as (
    select * from {{ ref('stg_invoices') }}
),

voids as (
    select * from {{ ref('stg_invoice_voids') }}
),

tenants as (
    select * from {{ ref('stg_tenants') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

-- one tenant's unknown time zone must not stop the others
zones as (
    select name as timezone from pg_timezone_names
),

joined as (
    select
        invoices.*,
        case when voids.invoice_id is null then invoices.recorded_status else 'voided' end as status,
        voids.voided_at,
        voids.void_reason,
        currencies.minor_units,
        coalesce(zones.timezone, 'UTC') as billing_timezone,
        -- a period ends where the next one starts, so its last instant lies just before
        case invoices.purpose
            when 'start' then invoices.period_from
            else invoices.period_to - interval '1 microsecond'
        end as arises_at
    from invoices
    left join voids
        on
            invoices.tenant_id = voids.tenant_id
            and invoices.invoice_id = voids.invoice_id
    left join tenants on invoices.tenant_id = tenants.tenant_id
    left join zones on tenants.timezone = zones.timezone
    left join currencies on invoices.currency = currencies.currency
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
        minor_units,
        billing_timezone,
        cast(date_trunc('month', arises_at at time zone billing_timezone) as date) as invoice_month,
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
        {{ minor_to_major('subtotal_minor', 'minor_units') }} as subtotal,
        {{ minor_to_major('discount_total_minor', 'minor_units') }} as discount_total,
        {{ minor_to_major('tax_total_minor', 'minor_units') }} as tax_total,
        {{ minor_to_major('total_minor', 'minor_units') }} as total,
        {{ minor_to_major('credit_total_minor', 'minor_units') }} as credit_total,
        {{ minor_to_major('amount_due_minor', 'minor_units') }} as amount_due,
        events_known_at,
        catalog_hash,
        content_hash,
        finalised_at,
        voided_at,
        void_reason
    from joined
)

select * from final
