-- Texts of value models that a tenant writes over HTTP. Each version stays; the one with the highest number is the current one.
set local role valueverse_owner;
create table value.model (
    tenant_id billing.tenant_key not null,
    model text not null check (model <> ''),
    version integer not null check (version >= 1),
    text text not null,
    title text,
    content_hash text not null check (content_hash ~ '^[0-9a-f]{64}$'),
    written_by text not null check (written_by <> ''),
    written_at timestamptz not null default now(),
    primary key (tenant_id, model, version)
);
comment on table value.model is 'Texts of value models as the value architect stores them.';
comment on column value.model.content_hash is 'Of the document, whichever way it is written.';
comment on column value.model.written_by is 'Prefix of the API key.';
create trigger insert_only before update or delete or truncate on value.model
    for each statement execute function billing.refuse_change();
alter table value.model enable always trigger insert_only;
grant select, insert on value.model to valueverse_reader;
create policy api_reader on value.model to valueverse_reader using (true);
create policy api_tenant on value.model as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
reset role;

set local role valueverse_reader;
-- Current versions by key, without their texts.
create function api.value_models(for_tenant text, after_model text, at_most integer)
returns table (model text, version integer, title text, content_hash text, written_by text, written_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select distinct on (m.model) m.model, m.version, m.title, m.content_hash, m.written_by, m.written_at
          from value.model as m
         where m.tenant_id = for_tenant and (after_model is null or m.model > after_model)
         order by m.model, m.version desc limit at_most;
end $$;

-- One version; null: the current one.
create function api.value_model(for_tenant text, of_model text, of_version integer)
returns table (
    model text, version integer, title text, content_hash text, written_by text, written_at timestamptz, text text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select m.model, m.version, m.title, m.content_hash, m.written_by, m.written_at, m.text from value.model as m
         where m.tenant_id = for_tenant and m.model = of_model and (of_version is null or m.version = of_version)
         order by m.version desc limit 1;
end $$;

-- Adds a version, in a transaction that begin_write began: the tenant's writes follow each other.
create function api.store_value_model(
    for_tenant text, of_model text, with_title text, with_text text, with_hash text, with_actor text, with_request text
)
returns table (
    model text, version integer, title text, content_hash text, written_by text, written_at timestamptz, text text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    return query
        insert into value.model as m (tenant_id, model, version, text, title, content_hash, written_by)
        select for_tenant, of_model, coalesce(max(o.version), 0) + 1, with_text, with_title, with_hash, with_actor
          from value.model as o where o.tenant_id = for_tenant and o.model = of_model
        returning m.model, m.version, m.title, m.content_hash, m.written_by, m.written_at, m.text;
    perform audit.submit(for_tenant, 'value_model.stored', of_model, with_hash, with_actor);
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('value_models', 'value_model', 'store_value_model') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
