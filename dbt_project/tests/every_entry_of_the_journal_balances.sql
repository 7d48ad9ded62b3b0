with

postings as (
    select * from {{ ref('fct_journal') }}
)

select
    tenant_id,
    entry_id,
    currency,
    sum(amount_minor) as difference_minor
from postings
group by tenant_id, entry_id, currency
having sum(amount_minor) != 0
