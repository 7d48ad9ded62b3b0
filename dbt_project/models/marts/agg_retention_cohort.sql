with

recurring as (
    select * from {{ ref('int_contracted_mrr') }}
),

joined_in as (
    select
        recurring.*,
        min(recurring.mrr_month) filter (where recurring.mrr > 0) over (
            partition by recurring.tenant_id, recurring.customer_key, recurring.currency
        ) as cohort_month
    from recurring
),

-- who stayed pays at most what it paid at first: expansion is no retention
begun as (
    select
        joined_in.*,
        min(joined_in.mrr) filter (where joined_in.mrr_month = joined_in.cohort_month) over (
            partition by joined_in.tenant_id, joined_in.customer_key, joined_in.currency
        ) as first_mrr
    from joined_in
    where joined_in.mrr_month >= joined_in.cohort_month
),

sizes as (
    select
        tenant_id,
        cohort_month,
        currency,
        count(*) as cohort_customers,
        sum(mrr) as cohort_mrr
    from begun
    where mrr_month = cohort_month
    group by tenant_id, cohort_month, currency
),

measured as (
    select distinct
        tenant_id,
        currency,
        mrr_month
    from recurring
),

months as (
    select
        sizes.*,
        measured.mrr_month
    from sizes
    inner join measured
        on
            sizes.tenant_id = measured.tenant_id
            and sizes.currency = measured.currency
            and sizes.cohort_month <= measured.mrr_month
),

retained as (
    select
        tenant_id,
        cohort_month,
        currency,
        mrr_month,
        count(*) filter (where mrr > 0) as customers,
        sum(mrr) as mrr,
        sum(least(mrr, first_mrr)) as retained_mrr
    from begun
    group by tenant_id, cohort_month, currency, mrr_month
),

final as (
    select
        months.tenant_id,
        months.cohort_month,
        months.mrr_month,
        months.currency,
        cast(
            (extract(year from months.mrr_month) - extract(year from months.cohort_month)) * 12
            + extract(month from months.mrr_month) - extract(month from months.cohort_month) as integer
        ) as months_since,
        months.cohort_customers,
        coalesce(retained.customers, 0) as customers,
        trim_scale(months.cohort_mrr) as cohort_mrr,
        trim_scale(coalesce(retained.mrr, 0)) as mrr,
        trim_scale(round(coalesce(retained.mrr, 0) / months.cohort_mrr, 6)) as net_retention,
        trim_scale(round(coalesce(retained.retained_mrr, 0) / months.cohort_mrr, 6)) as gross_retention,
        trim_scale(round(coalesce(retained.customers, 0)::numeric / months.cohort_customers, 6)) as logo_retention
    from months
    left join retained
        on
            months.tenant_id = retained.tenant_id
            and months.cohort_month = retained.cohort_month
            and months.currency = retained.currency
            and months.mrr_month = retained.mrr_month
)

select * from final
