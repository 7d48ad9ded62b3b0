set local role valueverse_reader;
drop function api.begin_write(text, bytea, bytea);
drop function api.waiting_requests(text);
drop function api.keep_answer(text, bytea, bytea, integer, bytea);
drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean);
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
reset role;

set local role valueverse_owner;
drop table inbox.answer;
alter table inbox.batch drop column has_billing;
reset role;
