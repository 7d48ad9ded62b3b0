with

source as (
    select * from {{ source('billing', 'ingestion_file') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        file_hash,
        file,
        ---------- numerics
        received,
        accepted,
        duplicate,
        quarantined,
        conflicts,
        ---------- times
        day as received_on,
        ingested_at
    from source
)

select * from renamed
