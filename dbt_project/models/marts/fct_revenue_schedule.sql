with

postings as (
    select * from {{ ref('int_journal_postings') }}
),

-- what granted credit paid is no revenue, whatever the invoice says
earned as (
    select
        tenant_id,
        customer_key,
        invoice_number,
        entry_month as revenue_month,
        currency,
        minor_units,
        -sum(case when account in ('revenue', 'promotional_credit') then amount_minor else 0 end) as recognised_minor,
        -sum(case when account = 'deferred_revenue' then amount_minor else 0 end) as deferred_change_minor
    from postings
    where account in ('revenue', 'promotional_credit', 'deferred_revenue')
    group by tenant_id, customer_key, invoice_number, entry_month, currency, minor_units
),

running as (
    select
        earned.*,
        sum(earned.deferred_change_minor) over (
            partition by earned.tenant_id, earned.customer_key, earned.invoice_number, earned.currency
            order by earned.revenue_month
        ) as deferred_minor
    from earned
),

final as (
    select
        tenant_id,
        customer_key,
        invoice_number,
        revenue_month,
        currency,
        cast(recognised_minor as bigint) as recognised_minor,
        cast(deferred_minor as bigint) as deferred_minor,
        {{ minor_to_major('recognised_minor', 'minor_units') }} as recognised,
        {{ minor_to_major('deferred_minor', 'minor_units') }} as deferred
    from running
)

select * from final
