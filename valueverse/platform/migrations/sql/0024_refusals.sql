-- Names in the landing folder that are no file to take, as the last ingestion found them. Like billing.ingestion_file it may
-- name a tenant nobody has created: the folder, or the name at the top of the landing folder.
set local role valueverse_owner;
create table billing.ignored_file (
    tenant_id text not null,
    file text not null,
    reason text not null,
    seen_at timestamptz not null,
    primary key (tenant_id, file)
);

grant select on billing.rejected_event to valueverse_reader;
create policy api_reader on billing.rejected_event to valueverse_reader using (true);
create policy api_tenant on billing.rejected_event as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
reset role;

-- A mart that dbt has built takes further columns only if it has them.
set local role valueverse_builder;
alter table if exists marts.ops_ingestion add column if not exists ignored_reason text;
reset role;

set local role valueverse_reader;
create function api.rejected_events(for_tenant text, after_source text, after_event text, at_most integer)
returns table (source text, event_id text, type text, reason text, message text, event_time timestamptz, decided_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select r.source, r.event_id, r.type, r.reason, r.message, r.event_time, r.decided_at
          from billing.rejected_event as r
         where r.tenant_id = for_tenant
           and (after_source is null or (r.source, r.event_id) > (after_source, after_event))
         order by r.source, r.event_id
         limit at_most;
end $$;
revoke execute on function api.rejected_events(text, text, text, integer) from public;
grant execute on function api.rejected_events(text, text, text, integer) to valueverse_api;
reset role;
