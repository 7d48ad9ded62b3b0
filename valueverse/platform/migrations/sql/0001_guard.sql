-- Which analyst (a database login) reads which tenants. Analysts see their own rows and write none.
create table guard.analyst_tenant (
    role_name text not null,
    tenant_id text not null check (tenant_id ~ '^[a-z0-9][a-z0-9_.-]{0,62}$'),
    primary key (role_name, tenant_id)
);
alter table guard.analyst_tenant owner to valueverse_owner;
alter table guard.analyst_tenant enable row level security, force row level security;
create policy own_rows on guard.analyst_tenant for select to valueverse_analyst using (role_name = session_user);
grant usage on schema guard to valueverse_analyst;
grant select on guard.analyst_tenant to valueverse_analyst;

-- Puts one table, view or materialised view under the wall, whoever made it and however.
create function guard.protect(relation oid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    it record;
    has_tenant boolean;
begin
    select c.oid::regclass as name, c.relkind, c.relrowsecurity, c.relforcerowsecurity, n.nspname,
           coalesce(c.reloptions @> array['security_invoker=true'], false) as invoker
      into it
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.oid = relation;
    if not found or it.nspname in ('pg_catalog', 'information_schema', 'pg_toast') or it.nspname like 'pg_temp%' then
        return;
    end if;
    select exists (select from pg_attribute a where a.attrelid = relation and a.attname = 'tenant_id' and not a.attisdropped)
      into has_tenant;

    if it.nspname in ('marts', 'api') and it.relkind = 'm' then
        raise exception 'materialised view % would show every tenant to every reader; make it a table', it.name
            using errcode = 'feature_not_supported';
    end if;
    if it.nspname in ('marts', 'api') and it.relkind = 'v' and not it.invoker then
        execute format('alter view %s set (security_invoker = true)', it.name);
    end if;
    if not has_tenant or it.relkind not in ('r', 'p') then
        return;
    end if;
    -- One combined statement: this runs on ALTER TABLE too, and the second look must find nothing left to do.
    if not (it.relrowsecurity and it.relforcerowsecurity) then
        execute format('alter table %s enable row level security, force row level security', it.name);
    end if;
    if it.nspname = 'marts'
       and not exists (select from pg_policy p where p.polrelid = relation and p.polname = 'analyst_tenant') then
        execute format(
            'create policy analyst_tenant on %s for select to valueverse_analyst using (tenant_id = any (array('
            'select mapped.tenant_id from guard.analyst_tenant as mapped where mapped.role_name = session_user)))',
            it.name
        );
    end if;
end $$;

create function guard.on_ddl() returns event_trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    command record;
begin
    for command in
        select distinct objid from pg_event_trigger_ddl_commands() where classid = 'pg_class'::regclass
    loop
        perform guard.protect(command.objid);
    end loop;
end $$;

revoke execute on function guard.protect(oid) from public;
revoke execute on function guard.on_ddl() from public;

-- Event triggers need a superuser. Without one `valueverse doctor` and the catalogue check take the guard's place.
do $$
begin
    create event trigger valueverse_guard on ddl_command_end
        when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'ALTER TABLE', 'CREATE VIEW', 'ALTER VIEW',
                     'CREATE MATERIALIZED VIEW', 'ALTER MATERIALIZED VIEW')
        execute function guard.on_ddl();
exception when insufficient_privilege then
    raise notice 'no event trigger: this login is not a superuser';
end $$;
