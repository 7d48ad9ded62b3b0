with

postings as (
    select * from {{ ref('int_journal_postings') }}
),

final as (
    select
        tenant_id,
        entry_id,
        posting_no,
        entry_kind,
        entry_reference,
        entry_date,
        entry_month,
        entry_revision,
        account,
        customer_key,
        invoice_number,
        wallet_key,
        currency,
        amount_minor,
        amount,
        booked_at
    from postings
)

select * from final
