-- depends_on: {{ ref('dim_tenant') }} {{ ref('fct_invoice') }} {{ ref('fct_invoice_line') }}
select relations.oid::regclass as table_name
from pg_class as relations
inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
where
    relations.relkind in ('r', 'p')
    and schemas.nspname in ('marts', 'marts_partitions')
    and not (relations.relrowsecurity and relations.relforcerowsecurity)
