-- depends_on: {{ ref('fct_invoice') }}
select relations.oid::regclass as view_name
from pg_class as relations
inner join pg_namespace as schemas on relations.relnamespace = schemas.oid
where
    relations.relkind = 'v'
    and schemas.nspname in ('marts', 'intermediate', 'staging')
    and not coalesce('security_invoker=true' = any(relations.reloptions), false)
