with

months as (
    select * from {{ ref('fct_wallet_roll_forward') }}
),

moved as (
    select
        tenant_id,
        customer_key,
        wallet_key,
        currency,
        sum(granted_minor + purchased_minor + voided_minor + expired_minor + used_minor) as moved_minor
    from months
    group by tenant_id, customer_key, wallet_key, currency
),

journal as (
    select
        tenant_id,
        customer_key,
        wallet_key,
        currency,
        -sum(amount_minor) as credit_minor
    from {{ ref('fct_journal') }}
    where account = 'customer_credit'
    group by tenant_id, customer_key, wallet_key, currency
)

select
    coalesce(moved.tenant_id, journal.tenant_id) as tenant_id,
    coalesce(moved.wallet_key, journal.wallet_key) as wallet_key,
    moved.moved_minor,
    journal.credit_minor
from moved
full outer join journal
    on
        moved.tenant_id = journal.tenant_id
        and moved.customer_key = journal.customer_key
        and moved.wallet_key = journal.wallet_key
        and moved.currency = journal.currency
where moved.moved_minor is distinct from journal.credit_minor
