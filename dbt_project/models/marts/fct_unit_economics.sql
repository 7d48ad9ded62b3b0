with

unit_economics as (
    select * from {{ ref('int_unit_economics') }}
),

final as (
    select
        tenant_id,
        customer_key,
        value_month,
        currency,
        invoiced_net,
        recurring,
        cost_to_serve,
        gross_margin,
        gross_margin_ratio,
        realised_value,
        value_to_price
    from unit_economics
)

select * from final
