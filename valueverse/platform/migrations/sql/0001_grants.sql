-- The builder loads and reads; TRUNCATE and REFERENCES are nobody's, since they pass by row-level security.
grant usage on schema billing, audit, inbox, value, guard to valueverse_builder;
grant select, insert, update, delete on all tables in schema billing, audit, inbox, value to valueverse_builder;
alter default privileges for role valueverse_owner in schema billing, audit, inbox, value
    grant select, insert, update, delete on tables to valueverse_builder;
grant execute on all functions in schema billing to valueverse_builder;

-- Analysts reach marts only; what they see there is their policy's business.
grant usage on schema marts to valueverse_analyst;
alter default privileges for role valueverse_builder in schema marts grant select on tables to valueverse_analyst;

grant usage on schema api to valueverse_api;

-- What every SQL user may call by default and no analyst needs: holding the lock that a mart's build waits for, waking
-- the API's caches, storing large objects. (Releasing locks stays public: drivers do it when they reset a connection.)
do $$
declare
    one record;
begin
    for one in
        select oid::regprocedure as name from pg_proc
         where pronamespace = 'pg_catalog'::regnamespace
           and (proname ~ '^pg_(try_)?advisory_(xact_)?lock' or proname ~ '^(lo_|loread$|lowrite$)' or proname = 'pg_notify')
    loop
        execute format('revoke execute on function %s from public', one.name);
        execute format('grant execute on function %s to valueverse_owner, valueverse_builder, valueverse_reader', one.name);
    end loop;
exception when insufficient_privilege then
    raise notice 'locks and large objects stay open to analysts: this login is not a superuser';
end $$;
