with

files as (
    select * from {{ ref('ops_ingestion') }}
)

select
    tenant_id,
    file,
    received,
    accepted,
    duplicate,
    quarantined
from files
where not counts_add_up or conflicts > quarantined
