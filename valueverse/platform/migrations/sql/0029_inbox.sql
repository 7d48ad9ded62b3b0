-- Requests that the API has accepted and no ingestion has taken yet: one row each, which ingestion deletes once the lake
-- has its events (docs/decisions/1602).
set local role valueverse_owner;
-- Meant for them, a row an event, and never written to.
drop table inbox.event;
create table inbox.batch (
    tenant_id billing.tenant_key not null,
    batch_id bigint generated always as identity,
    receipt uuid not null,
    received_at timestamptz not null,
    body bytea not null,
    events integer not null check (events > 0),
    expanded integer not null,
    key_hashes bytea not null,
    drain_id bigint,
    primary key (tenant_id, batch_id)
);
comment on column inbox.batch.receipt is 'What the sender is told: other than batch_id, it does not tell how much others send.';
comment on column inbox.batch.body is 'The events as they came, one on each line, compressed by Zstandard.';
comment on column inbox.batch.expanded is 'Bytes of body before it was compressed.';
comment on column inbox.batch.key_hashes is 'xxh3_128 of each event''s tenant, source and id, 16 bytes each, in the order of body.';
comment on column inbox.batch.drain_id is 'The drain that takes it; null while it waits for one.';
-- It is compressed already.
alter table inbox.batch alter column body set storage external, alter column key_hashes set storage external;
create sequence inbox.drain as bigint;
grant usage on sequence inbox.drain to valueverse_builder;

grant usage on schema inbox to valueverse_reader;
grant select, insert on inbox.batch to valueverse_reader;
create policy api_reader on inbox.batch to valueverse_reader using (true);
create policy api_tenant on inbox.batch as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
reset role;

set local role valueverse_reader;
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
