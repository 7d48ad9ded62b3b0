with

runs as (
    select * from {{ ref('stg_value_runs') }}
),

results as (
    select * from {{ ref('stg_value_results') }}
),

commitments as (
    select * from {{ ref('int_commitments') }}
),

-- late data makes a new run beside the old: the newest is what holds
newest as (
    select distinct on (runs.tenant_id, runs.commit_id, runs.case_name, runs.value_month) runs.*
    from runs
    order by
        runs.tenant_id asc,
        runs.commit_id asc,
        runs.case_name asc,
        runs.value_month asc,
        runs.computed_at desc,
        runs.known_at desc,
        runs.write_order desc
),

by_output as (
    select
        newest.tenant_id,
        newest.commit_id,
        newest.value_month,
        results.output_name,
        max(results.output_unit) as output_unit,
        max(results.output_value) filter (where newest.case_name = 'committed') as committed,
        max(results.output_value) filter (where newest.case_name = 'forecast') as forecast,
        max(results.output_value) filter (where newest.case_name = 'realised') as realised,
        max(newest.run_hash) filter (where newest.case_name = 'realised') as run_hash,
        max(newest.known_at) as known_at
    from newest
    inner join results
        on
            newest.tenant_id = results.tenant_id
            and newest.run_hash = results.run_hash
    group by newest.tenant_id, newest.commit_id, newest.value_month, results.output_name
),

final as (
    select
        by_output.tenant_id,
        by_output.commit_id,
        by_output.value_month,
        by_output.output_name,
        commitments.model_key,
        commitments.customer_key,
        commitments.currency,
        by_output.output_unit,
        by_output.committed,
        by_output.forecast,
        by_output.realised,
        by_output.realised - by_output.committed as difference,
        by_output.run_hash,
        by_output.known_at
    from by_output
    inner join commitments
        on
            by_output.tenant_id = commitments.tenant_id
            and by_output.commit_id = commitments.commit_id
)

select * from final
