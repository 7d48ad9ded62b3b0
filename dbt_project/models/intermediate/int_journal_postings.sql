with

postings as (
    select * from {{ ref('stg_journal_postings') }}
),

entries as (
    select * from {{ ref('stg_journal_entries') }}
),

currencies as (
    select * from {{ ref('currencies') }}
),

joined as (
    select
        postings.*,
        entries.entry_kind,
        entries.entry_reference,
        entries.entry_date,
        entries.entry_revision,
        entries.booked_at,
        currencies.minor_units
    from postings
    inner join entries
        on
            postings.tenant_id = entries.tenant_id
            and postings.entry_id = entries.entry_id
    left join currencies on postings.currency = currencies.currency
),

final as (
    select
        tenant_id,
        entry_id,
        posting_no,
        entry_kind,
        entry_reference,
        entry_date,
        cast(date_trunc('month', entry_date) as date) as entry_month,
        entry_revision,
        account,
        customer_key,
        invoice_number,
        wallet_key,
        currency,
        minor_units,
        amount_minor,
        {{ minor_to_major('amount_minor', 'minor_units') }} as amount,
        booked_at
    from joined
)

select * from final
