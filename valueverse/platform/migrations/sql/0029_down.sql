-- What was acknowledged must not go with the table.
do $$
begin
    if exists (select from inbox.batch) then
        raise exception 'the inbox holds % requests that no ingestion has taken: run an ingestion first', (select count(*) from inbox.batch);
    end if;
end $$;

set local role valueverse_reader;
drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea);
reset role;

set local role valueverse_owner;
drop table inbox.batch;
drop sequence inbox.drain;
create table inbox.event (
    tenant_id billing.tenant_key not null,
    seq bigint generated always as identity,
    received_at timestamptz not null default now(),
    body text not null,
    primary key (tenant_id, seq)
);
revoke usage on schema inbox from valueverse_reader;
reset role;
