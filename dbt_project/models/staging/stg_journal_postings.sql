with

source as (
    select * from {{ source('billing', 'journal_posting') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        entry_id,
        position as posting_no,
        customer as customer_key,
        invoice as invoice_number,
        wallet as wallet_key,
        ---------- text
        account,
        cast(currency as text) as currency,
        ---------- numerics
        amount_minor
    from source
)

select * from renamed
