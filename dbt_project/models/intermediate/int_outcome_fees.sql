with

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

final as (
    select
        proposals.tenant_id,
        proposals.proposal_key,
        proposals.commit_id,
        proposals.customer_key,
        proposals.currency,
        proposals.amount,
        coalesce(last_words.verdict, 'open') as proposal_state
    from proposals
    left join last_words
        on
            proposals.tenant_id = last_words.tenant_id
            and proposals.proposal_key = last_words.proposal_key
)

select * from final
