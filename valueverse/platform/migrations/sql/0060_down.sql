-- The topic has their events, and the audit log their receipts: only the question where they wait is not answered any more.
delete from inbox.batch where body is null;

set local role valueverse_reader;
drop function api.event_waiting(text, bytea);
drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean, text, bigint[]);
-- The row is durable when the call returns, whatever the server's default is.
create function api.receive_events(
    for_tenant text, with_receipt uuid, at timestamptz, with_body bytea, with_events integer, with_expanded integer,
    with_key_hashes bytea, with_root text, with_actor text, with_request text, with_billing boolean
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('synchronous_commit', 'on', true),
            set_config('valueverse.request', with_request, true);
    if with_billing then
        perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'write', for_tenant), 0));
    end if;
    insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes, has_billing)
    values (for_tenant, with_receipt, at, with_body, with_events, with_expanded, with_key_hashes, with_billing);
    perform audit.submit(for_tenant, 'events.received', with_receipt::text, with_root, with_actor);
end $$;
revoke execute on function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean) from public;
grant execute on function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean)
    to valueverse_api;
reset role;

set local role valueverse_owner;
drop function billing.event_waiting(text, bytea);
-- Requests in the inbox that have a key, found by its hash.
create function billing.event_waiting(for_tenant text, with_key_hash bytea)
returns table (receipt text, received_at timestamptz, key_hashes bytea, body bytea)
language sql stable set search_path = pg_catalog, pg_temp as $$
    select b.receipt::text, b.received_at, b.key_hashes, b.body from inbox.batch as b
     where b.tenant_id = for_tenant and position(with_key_hash in b.key_hashes) > 0
     order by b.batch_id
$$;
revoke execute on function billing.event_waiting(text, bytea) from public;
grant execute on function billing.event_waiting(text, bytea) to valueverse_builder, valueverse_reader;
alter table inbox.batch drop constraint batch_somewhere, drop column offsets, drop column application, alter column body set not null;
reset role;

set local role valueverse_reader;
create function api.event_waiting(for_tenant text, with_key_hash bytea)
returns table (receipt text, received_at timestamptz, key_hashes bytea, body bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_waiting(for_tenant, with_key_hash);
end $$;
revoke execute on function api.event_waiting(text, bytea) from public;
grant execute on function api.event_waiting(text, bytea) to valueverse_api;
reset role;
