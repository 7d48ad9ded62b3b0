with

postings as (
    select * from {{ ref('int_journal_postings') }}
),

-- the side that says whose invoice is paid; what customers owe falls by what is received
final as (
    select
        tenant_id,
        entry_id,
        posting_no,
        entry_kind as payment_kind,
        entry_reference as event_origin,
        entry_date as payment_date,
        entry_month as payment_month,
        customer_key,
        invoice_number,
        currency,
        -amount_minor as amount_minor,
        -amount as amount,
        booked_at
    from postings
    where
        account = 'receivable'
        and entry_kind in ('payment_received', 'payment_failed', 'payment_refunded')
)

select * from final
