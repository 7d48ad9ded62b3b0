set local role valueverse_reader;
drop function api.audit_entries(text, bigint, text, integer);
create function api.audit_entries(for_tenant text, after_sequence bigint, up_to bigint, at_most integer)
returns table (sequence bigint, entry text, chain_hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select e.sequence, e.entry, e.chain_hash from audit.entry as e
         where e.tenant_id = for_tenant and e.sequence > coalesce(after_sequence, 0) and (up_to is null or e.sequence <= up_to)
         order by e.sequence limit at_most;
end $$;
revoke execute on function api.audit_entries(text, bigint, bigint, integer) from public;
grant execute on function api.audit_entries(text, bigint, bigint, integer) to valueverse_api;

drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text);
-- The row is durable when the call returns, whatever the server's default is.
create function api.receive_events(
    for_tenant text, with_receipt uuid, at timestamptz, with_body bytea, with_events integer, with_expanded integer,
    with_key_hashes bytea
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('synchronous_commit', 'on', true);
    insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes)
    values (for_tenant, with_receipt, at, with_body, with_events, with_expanded, with_key_hashes);
end $$;
revoke execute on function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea) from public;
grant execute on function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea) to valueverse_api;
reset role;

set local role valueverse_owner;
drop index audit.entry_object;
reset role;
