with

ingestion_files as (
    select * from {{ ref('int_ingestion_files') }}
),

final as (
    select
        tenant_id,
        file_hash,
        file,
        received_on,
        received_month,
        received,
        accepted,
        duplicate,
        quarantined,
        conflicts,
        counts_add_up,
        quarantine_reasons,
        ingested_at
    from ingestion_files
)

select * from final
