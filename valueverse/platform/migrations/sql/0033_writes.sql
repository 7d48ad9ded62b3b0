-- Writes over HTTP are billing events that wait in the inbox; a key that a request brings makes its repetitions one write.
set local role valueverse_owner;
alter table inbox.batch add column has_billing boolean not null default true;
comment on column inbox.batch.has_billing is 'Whether an event of it may be a billing event: the next write is judged against those.';

create table inbox.answer (
    tenant_id billing.tenant_key not null,
    key_hash bytea not null check (octet_length(key_hash) = 32),
    fingerprint bytea not null check (octet_length(fingerprint) = 32),
    status smallint not null,
    body bytea not null,
    answered_at timestamptz not null default now(),
    primary key (tenant_id, key_hash)
);
create index answer_age on inbox.answer (tenant_id, answered_at);
comment on table inbox.answer is 'What writes with an Idempotency-Key were answered, for 24 hours.';
comment on column inbox.answer.key_hash is 'SHA-256 of the key.';
comment on column inbox.answer.fingerprint is 'SHA-256 of method, path and body of the request.';
grant select, insert, delete on inbox.answer to valueverse_reader;
create policy api_reader on inbox.answer to valueverse_reader using (true);
create policy api_tenant on inbox.answer as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
reset role;

set local role valueverse_reader;
-- Begins a write: the tenant's writes follow each other until the transaction ends, so that each is judged with those before.
-- state: new; answered, with the answer; mismatch (the key came with another request); in-flight (it is being answered).
create function api.begin_write(for_tenant text, with_key_hash bytea, with_fingerprint bytea)
returns table (state text, status integer, body bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('synchronous_commit', 'on', true);
    if with_key_hash is not null then
        if not pg_try_advisory_xact_lock(hashtextextended(concat_ws(' ', 'answer', for_tenant, encode(with_key_hash, 'hex')), 0)) then
            return query select 'in-flight', null::integer, null::bytea;
            return;
        end if;
        return query
            select case when a.fingerprint = with_fingerprint then 'answered' else 'mismatch' end,
                   case when a.fingerprint = with_fingerprint then a.status::integer end,
                   case when a.fingerprint = with_fingerprint then a.body end
              from inbox.answer as a
             where a.tenant_id = for_tenant and a.key_hash = with_key_hash and a.answered_at > now() - interval '24 hours';
        if found then
            return;
        end if;
    end if;
    perform pg_advisory_xact_lock(hashtextextended(concat_ws(' ', 'write', for_tenant), 0));
    return query select 'new', null::integer, null::bytea;
end $$;

create function api.waiting_requests(for_tenant text)
returns table (received_at timestamptz, body bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select b.received_at, b.body from inbox.batch as b
         where b.tenant_id = for_tenant and b.has_billing order by b.batch_id;
end $$;

-- Keeps what a write is answered, in the transaction of the write.
create function api.keep_answer(
    for_tenant text, with_key_hash bytea, with_fingerprint bytea, with_status integer, with_body bytea
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    delete from inbox.answer as a where a.tenant_id = for_tenant and a.answered_at <= now() - interval '24 hours';
    insert into inbox.answer (tenant_id, key_hash, fingerprint, status, body)
    values (for_tenant, with_key_hash, with_fingerprint, with_status, with_body);
end $$;

drop function api.receive_events(text, uuid, timestamptz, bytea, integer, integer, bytea, text, text, text);
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

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('begin_write', 'waiting_requests', 'keep_answer', 'receive_events') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
