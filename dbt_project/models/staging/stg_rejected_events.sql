with

source as (
    select * from {{ source('billing', 'rejected_event') }}
    where {{ is_read() }}
),

renamed as (
    select
        ---------- ids
        tenant_id,
        source as event_source,
        event_id,
        ---------- text
        type as event_type,
        reason as rejection_reason,
        message as rejection_message,
        ---------- times
        event_time,
        decided_at
    from source
)

select * from renamed
