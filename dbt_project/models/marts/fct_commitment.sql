with

commitments as (
    select * from {{ ref('int_commitments') }}
),

results as (
    select * from {{ ref('int_value_results') }}
),

proposals as (
    select * from {{ ref('stg_value_proposals') }}
),

verdicts as (
    select * from {{ ref('stg_value_verdicts') }}
),

last_words as (
    select distinct on (verdicts.tenant_id, verdicts.proposal_key) verdicts.*
    from verdicts
    order by verdicts.tenant_id asc, verdicts.proposal_key asc, verdicts.said_at desc, verdicts.verdict asc
),

benefits as (
    select
        tenant_id,
        commit_id,
        count(*) as months_measured,
        sum(committed) as committed_benefit,
        sum(realised) as realised_benefit
    from results
    where output_name = 'benefit'
    group by tenant_id, commit_id
),

horizons as (
    select distinct on (tenant_id, commit_id)
        tenant_id,
        commit_id,
        committed as committed_total,
        forecast as forecast_total
    from results
    where output_name = 'total_benefit'
    order by tenant_id asc, commit_id asc, value_month desc
),

proposed as (
    select
        proposals.tenant_id,
        proposals.commit_id,
        sum(proposals.amount) as fees_proposed
    from proposals
    left join last_words
        on
            proposals.tenant_id = last_words.tenant_id
            and proposals.proposal_key = last_words.proposal_key
    where coalesce(last_words.verdict, 'open') != 'withdrawn'
    group by proposals.tenant_id, proposals.commit_id
),

final as (
    select
        commitments.tenant_id,
        commitments.commit_id,
        commitments.parent_commit_id,
        commitments.model_key,
        commitments.customer_key,
        commitments.scenario,
        commitments.commitment_state,
        commitments.author,
        commitments.currency,
        commitments.starts_on,
        commitments.committed_at,
        commitments.active_since,
        commitments.ended_at,
        coalesce(benefits.months_measured, 0) as months_measured,
        benefits.committed_benefit,
        benefits.realised_benefit,
        trim_scale(round(benefits.realised_benefit / nullif(benefits.committed_benefit, 0), 6)) as attainment,
        horizons.committed_total,
        horizons.forecast_total,
        trim_scale(coalesce(proposed.fees_proposed, 0)) as fees_proposed
    from commitments
    left join benefits
        on
            commitments.tenant_id = benefits.tenant_id
            and commitments.commit_id = benefits.commit_id
    left join horizons
        on
            commitments.tenant_id = horizons.tenant_id
            and commitments.commit_id = horizons.commit_id
    left join proposed
        on
            commitments.tenant_id = proposed.tenant_id
            and commitments.commit_id = proposed.commit_id
)

select * from final
