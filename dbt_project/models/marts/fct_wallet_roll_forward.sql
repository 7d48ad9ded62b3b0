with

postings as (
    select * from {{ ref('int_journal_postings') }}
),

-- credit that customers hold is owed to them: a credit entry adds to it
moved as (
    select
        tenant_id,
        customer_key,
        wallet_key,
        entry_month as wallet_month,
        currency,
        minor_units,
        -coalesce(sum(amount_minor) filter (where entry_kind = 'wallet_granted'), 0) as granted_minor,
        -coalesce(sum(amount_minor) filter (where entry_kind = 'wallet_purchased'), 0) as purchased_minor,
        -coalesce(sum(amount_minor) filter (where entry_kind = 'wallet_voided'), 0) as voided_minor,
        -coalesce(sum(amount_minor) filter (where entry_kind = 'wallet_expired'), 0) as expired_minor,
        -coalesce(sum(amount_minor) filter (where entry_kind in ('invoice', 'void')), 0) as used_minor,
        -sum(amount_minor) as moved_minor
    from postings
    where account = 'customer_credit'
    group by tenant_id, customer_key, wallet_key, entry_month, currency, minor_units
),

running as (
    select
        moved.*,
        sum(moved.moved_minor) over (
            partition by moved.tenant_id, moved.customer_key, moved.wallet_key, moved.currency
            order by moved.wallet_month
        ) as closing_minor
    from moved
),

final as (
    select
        tenant_id,
        customer_key,
        wallet_key,
        wallet_month,
        currency,
        cast(closing_minor - moved_minor as bigint) as opening_minor,
        cast(granted_minor as bigint) as granted_minor,
        cast(purchased_minor as bigint) as purchased_minor,
        cast(voided_minor as bigint) as voided_minor,
        cast(expired_minor as bigint) as expired_minor,
        cast(used_minor as bigint) as used_minor,
        cast(closing_minor as bigint) as closing_minor,
        {{ minor_to_major('closing_minor', 'minor_units') }} as closing
    from running
)

select * from final
