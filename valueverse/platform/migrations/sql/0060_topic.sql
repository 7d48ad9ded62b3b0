-- Events of a request may be in a topic instead of the inbox: its row says where, until the lake has them (docs/decisions/1665).
set local role valueverse_owner;
alter table inbox.batch
    alter column body drop not null,
    add column application text,
    add column offsets bigint[],
    add constraint batch_somewhere check (
        (body is null) = (application is not null) and (application is null) = (offsets is null)
        and (offsets is null or (cardinality(offsets) = events and not has_billing)));
comment on column inbox.batch.body is 'The events as they came, one on each line, compressed by Zstandard; null: they are in a topic.';
comment on column inbox.batch.application is 'Partition of the topic that has them, as the lake''s transactions name it.';
comment on column inbox.batch.offsets is 'The message of each event, in the order of key_hashes.';

drop function billing.event_waiting(text, bytea);
-- Requests in the inbox that have a key, found by its hash.
create function billing.event_waiting(for_tenant text, with_key_hash bytea)
returns table (receipt text, received_at timestamptz, key_hashes bytea, body bytea, application text, offsets bigint[])
language sql stable set search_path = pg_catalog, pg_temp as $$
    select b.receipt::text, b.received_at, b.key_hashes, b.body, b.application, b.offsets from inbox.batch as b
     where b.tenant_id = for_tenant and position(with_key_hash in b.key_hashes) > 0
     order by b.batch_id
$$;
revoke execute on function billing.event_waiting(text, bytea) from public;
grant execute on function billing.event_waiting(text, bytea) to valueverse_builder, valueverse_reader;
reset role;

set local role valueverse_reader;
drop function api.event_waiting(text, bytea);
create function api.event_waiting(for_tenant text, with_key_hash bytea)
returns table (receipt text, received_at timestamptz, key_hashes bytea, body bytea, application text, offsets bigint[])
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select * from billing.event_waiting(for_tenant, with_key_hash);
end $$;
revoke execute on function api.event_waiting(text, bytea) from public;
grant execute on function api.event_waiting(text, bytea) to valueverse_api;

drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean);
-- The row is durable when the call returns, whatever the server's default is.
create function api.receive_events(
    for_tenant text, with_receipt uuid, at timestamptz, with_body bytea, with_events integer, with_expanded integer,
    with_key_hashes bytea, with_root text, with_actor text, with_request text, with_billing boolean,
    in_application text default null, at_offsets bigint[] default null
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('synchronous_commit', 'on', true),
            set_config('valueverse.request', with_request, true);
    if with_billing then
        perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'write', for_tenant), 0));
    end if;
    insert into inbox.batch (
        tenant_id, receipt, received_at, body, events, expanded, key_hashes, has_billing, application, offsets)
    values (for_tenant, with_receipt, at, with_body, with_events, with_expanded, with_key_hashes, with_billing,
            in_application, at_offsets);
    perform audit.submit(for_tenant, 'events.received', with_receipt::text, with_root, with_actor);
end $$;
revoke execute on function
    api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean, text, bigint[]) from public;
grant execute on function
    api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text, boolean, text, bigint[])
    to valueverse_api;
reset role;
