-- A mart is queried through its own name, which alone needs a right: its partitions are nobody's but the builder's.
create schema marts_partitions authorization valueverse_builder;

set local role valueverse_builder;
do $$
declare
    one record;
begin
    for one in
        select c.oid, c.relname from pg_class c
         where c.relnamespace = 'marts'::regnamespace and c.relispartition and c.relkind = 'r'
    loop
        execute format('revoke all on marts.%I from valueverse_analyst', one.relname);
        execute format('drop policy if exists analyst_tenant on marts.%I', one.relname);
        execute format('alter table marts.%I set schema marts_partitions', one.relname);
    end loop;
end $$;
reset role;
