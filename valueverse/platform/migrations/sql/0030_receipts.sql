-- A receipt of events is an entry of the audit log: the root of the request's events, and who sent them.
set local role valueverse_owner;
create index entry_object on audit.entry (tenant_id, ((entry::json) ->> 'object'), sequence);
reset role;

set local role valueverse_reader;
drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea);
-- The row is durable when the call returns, whatever the server's default is.
create function api.receive_events(
    for_tenant text, with_receipt uuid, at timestamptz, with_body bytea, with_events integer, with_expanded integer,
    with_key_hashes bytea, with_root text, with_actor text, with_request text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('synchronous_commit', 'on', true),
            set_config('valueverse.request', with_request, true);
    insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes)
    values (for_tenant, with_receipt, at, with_body, with_events, with_expanded, with_key_hashes);
    perform audit.submit(for_tenant, 'events.received', with_receipt::text, with_root, with_actor);
end $$;
revoke execute on function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text) from public;
grant execute on function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text)
    to valueverse_api;

drop function api.audit_entries(text, bigint, bigint, integer);
create function api.audit_entries(for_tenant text, after_sequence bigint, with_object text, at_most integer)
returns table (sequence bigint, entry text, chain_hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select e.sequence, e.entry, e.chain_hash from audit.entry as e
         where e.tenant_id = for_tenant and e.sequence > coalesce(after_sequence, 0)
           and (with_object is null or (e.entry::json) ->> 'object' = with_object)
         order by e.sequence limit at_most;
end $$;
revoke execute on function api.audit_entries(text, bigint, text, integer) from public;
grant execute on function api.audit_entries(text, bigint, text, integer) to valueverse_api;
reset role;
