with

metrics as (
    select * from {{ ref('stg_value_metrics') }}
),

results as (
    select * from {{ ref('int_value_results') }}
),

commitments as (
    select * from {{ ref('int_commitments') }}
),

money as (
    select
        tenant_id,
        customer_key,
        value_month,
        currency,
        coalesce(
            sum(metric_value) filter (where metric_key in ('billing.invoiced_net', 'billing.outcome_fees')), 0
        ) as invoiced_net,
        coalesce(sum(metric_value) filter (where metric_key = 'billing.mrr'), 0) as recurring,
        coalesce(sum(metric_value) filter (where metric_key = 'billing.cost_to_serve'), 0) as cost_to_serve
    from metrics
    where
        metric_key in ('billing.invoiced_net', 'billing.outcome_fees', 'billing.mrr', 'billing.cost_to_serve')
        and currency is not null
    group by tenant_id, customer_key, value_month, currency
),

starts as (
    select
        tenant_id,
        parent_commit_id,
        min(coalesce(starts_on, '-infinity'::date)) as replaced_from
    from commitments
    where parent_commit_id is not null and active_since is not null
    group by tenant_id, parent_commit_id
),

-- a superseded commit counts up to the month in which its successor begins, so nothing counts twice
benefits as (
    select
        results.tenant_id,
        results.customer_key,
        results.value_month,
        results.currency,
        sum(results.realised) as realised_value
    from results
    inner join commitments
        on
            results.tenant_id = commitments.tenant_id
            and results.commit_id = commitments.commit_id
    left join starts
        on
            results.tenant_id = starts.tenant_id
            and results.commit_id = starts.parent_commit_id
    where
        results.output_name = 'benefit'
        and results.customer_key is not null
        and (starts.replaced_from is null or results.value_month < date_trunc('month', starts.replaced_from))
    group by results.tenant_id, results.customer_key, results.value_month, results.currency
),

final as (
    select
        coalesce(money.tenant_id, benefits.tenant_id) as tenant_id,
        coalesce(money.customer_key, benefits.customer_key) as customer_key,
        coalesce(money.value_month, benefits.value_month) as value_month,
        coalesce(money.currency, benefits.currency) as currency,
        trim_scale(coalesce(money.invoiced_net, 0)) as invoiced_net,
        trim_scale(coalesce(money.recurring, 0)) as recurring,
        trim_scale(coalesce(money.cost_to_serve, 0)) as cost_to_serve,
        trim_scale(coalesce(money.invoiced_net, 0) - coalesce(money.cost_to_serve, 0)) as gross_margin,
        trim_scale(
            round((money.invoiced_net - money.cost_to_serve) / nullif(money.invoiced_net, 0), 6)
        ) as gross_margin_ratio,
        benefits.realised_value,
        trim_scale(round(benefits.realised_value / nullif(money.invoiced_net, 0), 6)) as value_to_price
    from money
    full outer join benefits
        on
            money.tenant_id = benefits.tenant_id
            and money.customer_key = benefits.customer_key
            and money.value_month = benefits.value_month
            and money.currency = benefits.currency
)

select * from final
