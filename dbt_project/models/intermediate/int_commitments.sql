with

commits as (
    select * from {{ ref('stg_value_commits') }}
),

approvals as (
    select * from {{ ref('stg_value_approvals') }}
),

closings as (
    select * from {{ ref('stg_value_closings') }}
),

agreed as (
    select
        tenant_id,
        commit_id,
        count(*) as sides,
        max(approved_at) as active_since
    from approvals
    group by tenant_id, commit_id
),

successors as (
    select
        children.tenant_id,
        children.parent_commit_id,
        min(agreed.active_since) as superseded_at
    from commits as children
    inner join agreed
        on
            children.tenant_id = agreed.tenant_id
            and children.commit_id = agreed.commit_id
            and agreed.sides = 2
    where children.parent_commit_id is not null
    group by children.tenant_id, children.parent_commit_id
),

final as (
    select
        commits.tenant_id,
        commits.commit_id,
        commits.parent_commit_id,
        commits.model_key,
        commits.customer_key,
        commits.scenario,
        case
            when closings.closing_outcome is not null then closings.closing_outcome
            when coalesce(agreed.sides, 0) < 2 then 'proposed'
            when successors.superseded_at is not null then 'superseded'
            else 'active'
        end as commitment_state,
        commits.author,
        commits.currency,
        commits.starts_on,
        commits.committed_at,
        case when agreed.sides = 2 then agreed.active_since end as active_since,
        coalesce(closings.closed_at, successors.superseded_at) as ended_at
    from commits
    left join agreed
        on
            commits.tenant_id = agreed.tenant_id
            and commits.commit_id = agreed.commit_id
    left join closings
        on
            commits.tenant_id = closings.tenant_id
            and commits.commit_id = closings.commit_id
    left join successors
        on
            commits.tenant_id = successors.tenant_id
            and commits.commit_id = successors.parent_commit_id
)

select * from final
