-- Roles are the server's, not this database's: they stay.
drop event trigger if exists valueverse_guard;
drop schema if exists api, marts, intermediate, staging, auth, value, audit, inbox, billing, guard cascade;

alter default privileges for role valueverse_owner grant execute on functions to public;
alter default privileges for role valueverse_builder grant execute on functions to public;
alter default privileges for role valueverse_reader grant execute on functions to public;

do $$
declare
    one record;
begin
    for one in
        select oid::regprocedure as name from pg_proc
         where pronamespace = 'pg_catalog'::regnamespace
           and (proname ~ '^pg_(try_)?advisory_(xact_)?lock' or proname ~ '^(lo_|loread$|lowrite$)' or proname = 'pg_notify')
    loop
        execute format('grant execute on function %s to public', one.name);
    end loop;
exception when insufficient_privilege then
    null;
end $$;
