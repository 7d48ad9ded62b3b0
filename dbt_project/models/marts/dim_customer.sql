with

customers as (
    select * from {{ ref('stg_customers') }}
),

tenants as (
    select * from {{ ref('stg_tenants') }}
),

subscriptions as (
    select * from {{ ref('stg_subscriptions') }}
),

subscribed as (
    select
        tenant_id,
        customer_key,
        count(*) filter (where ended_at is null) as open_subscriptions,
        min(started_at) as first_started_at
    from subscriptions
    group by tenant_id, customer_key
),

final as (
    select
        customers.tenant_id,
        customers.customer_key,
        customers.customer_name,
        customers.email,
        coalesce(customers.currency, tenants.currency) as currency,
        coalesce(customers.timezone, tenants.timezone) as timezone,
        customers.country,
        customers.metadata,
        coalesce(subscribed.open_subscriptions, 0) as open_subscriptions,
        subscribed.first_started_at,
        customers.created_at,
        customers.updated_at
    from customers
    left join tenants on customers.tenant_id = tenants.tenant_id
    left join subscribed
        on
            customers.tenant_id = subscribed.tenant_id
            and customers.customer_key = subscribed.customer_key
)

select * from final
