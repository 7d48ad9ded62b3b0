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

final as (
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
        files.ingested_at
    from files
    left join reasons
        on
            files.tenant_id = reasons.tenant_id
            and files.file_hash = reasons.file_hash
            and files.file = reasons.file
)

select * from final
