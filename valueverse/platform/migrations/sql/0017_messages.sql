-- Every SQL user may write messages of any size into the write-ahead log by default. No bound of a login counts them, and
-- a full disk stops every tenant.
do $$
declare
    one record;
begin
    for one in
        select oid::regprocedure as name from pg_proc
         where pronamespace = 'pg_catalog'::regnamespace and proname = 'pg_logical_emit_message'
    loop
        execute format('revoke execute on function %s from public', one.name);
    end loop;
exception when insufficient_privilege then
    raise notice 'messages in the write-ahead log stay open to analysts: this login is not a superuser';
end $$;
