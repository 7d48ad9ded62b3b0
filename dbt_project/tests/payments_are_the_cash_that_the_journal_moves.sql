with

payments as (
    select
        tenant_id,
        entry_id,
        sum(amount_minor) as amount_minor
    from {{ ref('fct_payment') }}
    group by tenant_id, entry_id
),

cash as (
    select
        tenant_id,
        entry_id,
        sum(amount_minor) as amount_minor
    from {{ ref('fct_journal') }}
    where
        account = 'cash'
        and entry_kind in ('payment_received', 'payment_failed', 'payment_refunded')
    group by tenant_id, entry_id
)

select
    coalesce(payments.tenant_id, cash.tenant_id) as tenant_id,
    coalesce(payments.entry_id, cash.entry_id) as entry_id,
    payments.amount_minor,
    cash.amount_minor as cash_minor
from payments
full outer join cash
    on
        payments.tenant_id = cash.tenant_id
        and payments.entry_id = cash.entry_id
where payments.amount_minor is distinct from cash.amount_minor
