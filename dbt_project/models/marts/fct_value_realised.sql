with

value_results as (
    select * from {{ ref('int_value_results') }}
),

final as (
    select
        tenant_id,
        commit_id,
        value_month,
        output_name,
        model_key,
        customer_key,
        currency,
        output_unit,
        committed,
        forecast,
        realised,
        difference,
        run_hash,
        known_at
    from value_results
)

select * from final
