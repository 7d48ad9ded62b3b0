with

rejected as (
    select * from {{ ref('stg_rejected_events') }}
),

final as (
    select
        tenant_id,
        event_source,
        event_id,
        event_type,
        rejection_reason,
        rejection_message,
        event_time,
        decided_at
    from rejected
)

select * from final
