with

postings as (
    select * from {{ ref('int_journal_postings') }}
),

invoices as (
    select * from {{ ref('int_invoices') }}
),

released as (
    select
        tenant_id,
        max(slice_month) as last_month
    from {{ ref('int_released_slices') }}
    group by tenant_id
),

owed as (
    select
        tenant_id,
        customer_key,
        coalesce(invoice_number, '') as invoice_number,
        currency,
        minor_units,
        entry_month,
        sum(amount_minor) as moved_minor
    from postings
    where account = 'receivable'
    group by tenant_id, customer_key, coalesce(invoice_number, ''), currency, minor_units, entry_month
),

begun as (
    select
        tenant_id,
        min(entry_month) as first_month
    from owed
    group by tenant_id
),

-- also months that are held: a balance leaves none of them out
months as (
    select
        begun.tenant_id,
        cast(series.month as date) as aging_month,
        cast(series.month + interval '1 month' - interval '1 day' as date) as as_of
    from begun
    inner join released
        on begun.tenant_id = released.tenant_id
    cross join lateral generate_series(
        cast(begun.first_month as timestamp), cast(released.last_month as timestamp), interval '1 month'
    ) as series (month)
),

balances as (
    select
        months.tenant_id,
        months.aging_month,
        months.as_of,
        owed.customer_key,
        owed.invoice_number,
        owed.currency,
        owed.minor_units,
        sum(owed.moved_minor) as outstanding_minor
    from months
    inner join owed
        on
            months.tenant_id = owed.tenant_id
            and months.aging_month >= owed.entry_month
    group by
        months.tenant_id,
        months.aging_month,
        months.as_of,
        owed.customer_key,
        owed.invoice_number,
        owed.currency,
        owed.minor_units
    having sum(owed.moved_minor) != 0
),

dated as (
    select
        balances.*,
        coalesce(invoices.due_on, invoices.issued_on) as due_on,
        greatest(balances.as_of - coalesce(invoices.due_on, invoices.issued_on), 0) as days_overdue
    from balances
    left join invoices
        on
            balances.tenant_id = invoices.tenant_id
            and balances.invoice_number = invoices.invoice_number
),

final as (
    select
        tenant_id,
        aging_month,
        as_of,
        customer_key,
        invoice_number,
        currency,
        due_on,
        days_overdue,
        case
            when outstanding_minor < 0 then 'credit'
            when days_overdue = 0 then 'not_due'
            when days_overdue <= 30 then '1_to_30'
            when days_overdue <= 60 then '31_to_60'
            when days_overdue <= 90 then '61_to_90'
            else 'over_90'
        end as age_bucket,
        cast(outstanding_minor as bigint) as outstanding_minor,
        {{ minor_to_major('outstanding_minor', 'minor_units') }} as outstanding
    from dated
)

select * from final
