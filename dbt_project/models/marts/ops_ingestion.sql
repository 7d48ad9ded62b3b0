with

files as (
    select * from {{ ref('stg_ingestion_files') }}
),

summaries as (
    select * from {{ ref('stg_quarantine_summaries') }}
),

reasons as (
    select
        tenant_id,
        file_hash,
        file,
        jsonb_object_agg(quarantine_reason, events) as quarantine_reasons
    from summaries
    group by tenant_id, file_hash, file
),

ignored as (
    select * from {{ ref('stg_ignored_files') }}
),

taken as (
    select
        files.tenant_id,
        files.file_hash,
        files.file,
        files.received_on,
        cast(date_trunc('month', files.received_on) as date) as received_month,
        files.received,
        files.accepted,
        files.duplicate,
        files.quarantined,
        files.conflicts,
        files.received = files.accepted + files.duplicate + files.quarantined as counts_add_up,
        coalesce(reasons.quarantine_reasons, '{}'::jsonb) as quarantine_reasons,
        case when files.received = 0 then 'it holds no event' end as ignored_reason,
        files.ingested_at
    from files
    left join reasons
        on
            files.tenant_id = reasons.tenant_id
            and files.file_hash = reasons.file_hash
            and files.file = reasons.file
),

not_taken as (
    select
        tenant_id,
        '' as file_hash,
        file,
        cast(seen_at at time zone 'UTC' as date) as received_on,
        cast(date_trunc('month', seen_at at time zone 'UTC') as date) as received_month,
        cast(0 as bigint) as received,
        cast(0 as bigint) as accepted,
        cast(0 as bigint) as duplicate,
        cast(0 as bigint) as quarantined,
        cast(0 as bigint) as conflicts,
        true as counts_add_up,
        '{}'::jsonb as quarantine_reasons,
        ignored_reason,
        seen_at as ingested_at
    from ignored
),

final as (
    select * from taken
    union all
    select * from not_taken
)

select * from final
