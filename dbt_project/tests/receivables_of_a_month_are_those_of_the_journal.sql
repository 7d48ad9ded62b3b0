with

aging as (
    select
        tenant_id,
        aging_month,
        currency,
        sum(outstanding_minor) as outstanding_minor
    from {{ ref('fct_receivables_aging') }}
    group by tenant_id, aging_month, currency
),

journal as (
    select
        tenant_id,
        currency,
        entry_date,
        amount_minor
    from {{ ref('fct_journal') }}
    where account = 'receivable'
),

booked as (
    select
        aging.tenant_id,
        aging.aging_month,
        aging.currency,
        sum(journal.amount_minor) as booked_minor
    from aging
    inner join journal
        on
            aging.tenant_id = journal.tenant_id
            and aging.currency = journal.currency
            and aging.aging_month + interval '1 month' > journal.entry_date
    group by aging.tenant_id, aging.aging_month, aging.currency
)

select
    aging.tenant_id,
    aging.aging_month,
    aging.currency,
    aging.outstanding_minor,
    booked.booked_minor
from aging
inner join booked
    on
        aging.tenant_id = booked.tenant_id
        and aging.aging_month = booked.aging_month
        and aging.currency = booked.currency
where aging.outstanding_minor != booked.booked_minor
