with

movements as (
    select * from {{ ref('fct_mrr_movement') }}
),

placed as (
    select
        movements.*,
        coalesce(lag(movements.closing_mrr) over (
            partition by movements.tenant_id, movements.customer_key, movements.currency
            order by movements.mrr_month
        ), 0) as closed_before
    from movements
)

select
    tenant_id,
    customer_key,
    mrr_month,
    currency,
    opening_mrr,
    closing_mrr
from placed
where
    opening_mrr != closed_before
    or opening_mrr + new_mrr + reactivation_mrr + expansion_mrr + contraction_mrr + churn_mrr != closing_mrr
