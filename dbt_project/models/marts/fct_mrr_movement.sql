with

recurring as (
    select * from {{ ref('int_contracted_mrr') }}
),

-- the row before may be of an earlier month: nothing was in force between
placed as (
    select
        recurring.*,
        recurring.mrr as closing_mrr,
        coalesce(lag(recurring.mrr) over (
            partition by recurring.tenant_id, recurring.customer_key, recurring.currency
            order by recurring.mrr_month
        ), 0) as opening_mrr,
        row_number() over (
            partition by recurring.tenant_id, recurring.customer_key, recurring.currency
            order by recurring.mrr_month
        ) = 1 as is_first
    from recurring
),

classified as (
    select
        tenant_id,
        customer_key,
        mrr_month,
        currency,
        opening_mrr,
        closing_mrr,
        case
            when opening_mrr = closing_mrr then 'none'
            when opening_mrr = 0 and is_first then 'new'
            when opening_mrr = 0 then 'reactivation'
            when closing_mrr = 0 then 'churn'
            when closing_mrr > opening_mrr then 'expansion'
            else 'contraction'
        end as movement
    from placed
),

final as (
    select
        tenant_id,
        customer_key,
        mrr_month,
        currency,
        movement,
        trim_scale(opening_mrr) as opening_mrr,
        trim_scale(case when movement = 'new' then closing_mrr - opening_mrr else 0 end) as new_mrr,
        trim_scale(case when movement = 'reactivation' then closing_mrr - opening_mrr else 0 end) as reactivation_mrr,
        trim_scale(case when movement = 'expansion' then closing_mrr - opening_mrr else 0 end) as expansion_mrr,
        trim_scale(case when movement = 'contraction' then closing_mrr - opening_mrr else 0 end) as contraction_mrr,
        trim_scale(case when movement = 'churn' then closing_mrr - opening_mrr else 0 end) as churn_mrr,
        trim_scale(closing_mrr) as closing_mrr
    from classified
)

select * from final
