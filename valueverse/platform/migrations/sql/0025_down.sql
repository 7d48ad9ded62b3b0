do $$
declare
    one record;
begin
    for one in
        select c.oid, c.relname from pg_class c
         where c.relnamespace = 'marts_partitions'::regnamespace and c.relispartition and c.relkind = 'r'
    loop
        execute format('alter table marts_partitions.%I set schema marts', one.relname);
        execute format('grant select on marts.%I to valueverse_analyst', one.relname);
        perform guard.protect(one.oid);
    end loop;
end $$;
drop schema marts_partitions;
