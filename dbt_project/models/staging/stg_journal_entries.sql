with

source as (
    select * from {{ source('billing', 'journal_entry') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        entry_id,
        ---------- text
        kind as entry_kind,
        reference as entry_reference,
        ---------- numerics
        revision as entry_revision,
        ---------- times
        date as entry_date,
        booked_at
    from source
)

select * from renamed
