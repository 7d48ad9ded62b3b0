with

metrics as (
    select * from {{ ref('stg_value_metrics') }}
),

final as (
    select
        tenant_id,
        customer_key,
        value_month as mrr_month,
        currency,
        metric_value as mrr
    from metrics
    where metric_key = 'billing.contracted_mrr'
)

select * from final
