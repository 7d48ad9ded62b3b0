with

postings as (
    select * from {{ ref('int_journal_postings') }}
),

released as (
    select
        tenant_id,
        max(slice_month) as last_month
    from {{ ref('int_released_slices') }}
    group by tenant_id
),

-- credit that customers hold is owed to them: a credit entry adds to it
moved as (
    select
        tenant_id,
        customer_key,
        wallet_key,
        entry_month,
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

wallets as (
    select
        tenant_id,
        customer_key,
        wallet_key,
        currency,
        minor_units,
        min(entry_month) as first_month,
        max(entry_month) as last_entry_month
    from moved
    group by tenant_id, customer_key, wallet_key, currency, minor_units
),

-- months without a movement too, so that all wallets of a month add up
months as (
    select
        wallets.*,
        cast(series.month as date) as wallet_month
    from wallets
    left join released on wallets.tenant_id = released.tenant_id
    cross join lateral generate_series(
        cast(wallets.first_month as timestamp),
        cast(greatest(wallets.last_entry_month, released.last_month) as timestamp),
        interval '1 month'
    ) as series (month)
),

running as (
    select
        months.tenant_id,
        months.customer_key,
        months.wallet_key,
        months.wallet_month,
        months.currency,
        months.minor_units,
        coalesce(moved.granted_minor, 0) as granted_minor,
        coalesce(moved.purchased_minor, 0) as purchased_minor,
        coalesce(moved.voided_minor, 0) as voided_minor,
        coalesce(moved.expired_minor, 0) as expired_minor,
        coalesce(moved.used_minor, 0) as used_minor,
        coalesce(moved.moved_minor, 0) as moved_minor,
        sum(coalesce(moved.moved_minor, 0)) over (
            partition by months.tenant_id, months.customer_key, months.wallet_key, months.currency
            order by months.wallet_month
        ) as closing_minor
    from months
    left join moved
        on
            months.tenant_id = moved.tenant_id
            and months.customer_key = moved.customer_key
            and months.wallet_key = moved.wallet_key
            and months.currency = moved.currency
            and months.wallet_month = moved.entry_month
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
