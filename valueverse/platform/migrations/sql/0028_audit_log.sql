-- The audit log. A change submits its entry in its own transaction and takes no lock for it; sequencing gives the entries of a
-- tenant one order, a hash chain and leaf hashes later (valueverse.services.audit). Entries are canonical JSON (RFC 8785):
-- keys sorted, texts alone, which to_json escapes as the RFC asks.
set local role valueverse_owner;

create table audit.submitted (
    tenant_id text not null,
    submission bigint generated always as identity,
    entry text not null,
    primary key (tenant_id, submission)
);
create policy submitted_by_triggers on audit.submitted for insert to valueverse_owner with check (true);

create table audit.entry (
    tenant_id text not null,
    sequence bigint not null check (sequence >= 1),
    entry text not null,
    chain_hash bytea not null check (octet_length(chain_hash) = 32),
    primary key (tenant_id, sequence)
);
create trigger insert_only before update or delete or truncate on audit.entry
    for each statement execute function billing.refuse_change();
alter table audit.entry enable always trigger insert_only;

-- Keys of pseudonyms: who knows a name and the key finds its entries, and without the key nobody does.
create table audit.pseudonym_key (
    tenant_id text primary key,
    key bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
);
create policy keys_of_triggers on audit.pseudonym_key to valueverse_owner using (true) with check (true);

create function audit.pseudonym(of_tenant text, name text) returns text
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.pseudonym_key (tenant_id) values (of_tenant) on conflict do nothing;
    return (select 'p:' || left(encode(sha256(k.key || convert_to(name, 'UTF8')), 'hex'), 32)
              from audit.pseudonym_key as k where k.tenant_id = of_tenant);
end $$;
revoke execute on function audit.pseudonym(text, text) from public;

create function audit.entry_text(tenant text, action text, object text, digest text, actor text) returns text
language sql stable set search_path = pg_catalog, pg_temp as $$
    select '{"action":' || to_json(action)::text || ',"actor":' || to_json(actor)::text
           || ',"at":"' || to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
           || '","digest":' || to_json(coalesce(digest, ''))::text || ',"object":' || to_json(object)::text
           || ',"request":' || to_json(coalesce(current_setting('valueverse.request', true), ''))::text
           || ',"tenant":' || to_json(tenant)::text || '}'
$$;
revoke execute on function audit.entry_text(text, text, text, text, text) from public;

create function audit.on_invoice() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'invoice.finalised', n.number, n.content_hash, 'system')
      from new_rows as n where n.status = 'finalised' order by n.tenant_id, n.sequence;
    return null;
end $$;
create trigger audited after insert on billing.invoice
    referencing new table as new_rows for each statement execute function audit.on_invoice();

create function audit.on_finalised_draft() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'invoice.finalised', n.number, n.content_hash, 'system')
      from new_rows as n join old_rows as o on o.tenant_id = n.tenant_id and o.invoice_id = n.invoice_id
     where n.status = 'finalised' and o.status <> 'finalised' order by n.tenant_id, n.sequence;
    return null;
end $$;
create trigger audited_again after update on billing.invoice
    referencing old table as old_rows new table as new_rows
    for each statement execute function audit.on_finalised_draft();

create function audit.on_void() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'invoice.voided', n.invoice_id::text,
                                         encode(sha256(convert_to(n.reason, 'UTF8')), 'hex'), 'system')
      from new_rows as n order by n.tenant_id, n.invoice_id;
    return null;
end $$;
create trigger audited after insert on billing.invoice_void
    referencing new table as new_rows for each statement execute function audit.on_void();

create function audit.on_rerating() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'rerating.applied', n.plan_id, '', 'system')
      from new_rows as n group by n.tenant_id, n.plan_id order by n.tenant_id, n.plan_id;
    return null;
end $$;
create trigger audited after insert on billing.rerating
    referencing new table as new_rows for each statement execute function audit.on_rerating();

create function audit.on_ingestion() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'events.ingested', n.file, n.file_hash, 'system')
      from new_rows as n order by n.tenant_id, n.file;
    return null;
end $$;
create trigger audited after insert on billing.ingestion_file
    referencing new table as new_rows for each statement execute function audit.on_ingestion();

create function audit.on_release() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id, audit.entry_text(n.tenant_id, 'marts.' || n.status, n.period,
                                         encode(sha256(convert_to(coalesce(n.reason, ''), 'UTF8')), 'hex'), 'system')
      from new_rows as n order by n.tenant_id, n.period;
    return null;
end $$;
create trigger audited after insert on billing.release
    referencing new table as new_rows for each statement execute function audit.on_release();
create trigger audited_again after update on billing.release
    referencing new table as new_rows for each statement execute function audit.on_release();

create function audit.on_commit_event() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id,
           audit.entry_text(n.tenant_id, 'commit.' || n.action, n.commit_id,
                            encode(sha256(convert_to(n.document, 'UTF8')), 'hex'),
                            audit.pseudonym(n.tenant_id, coalesce(n.document::json ->> 'by', '')))
      from new_rows as n order by n.tenant_id, n.sequence;
    return null;
end $$;
create trigger audited after insert on value.commit_event
    referencing new table as new_rows for each statement execute function audit.on_commit_event();

create function audit.on_verdict() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id,
           audit.entry_text(n.tenant_id, 'fee.' || n.verdict, n.proposal,
                            encode(sha256(convert_to(coalesce(n.reason, ''), 'UTF8')), 'hex'),
                            audit.pseudonym(n.tenant_id, n.said_by))
      from new_rows as n order by n.tenant_id, n.proposal, n.verdict;
    return null;
end $$;
create trigger audited after insert on value.verdict
    referencing new table as new_rows for each statement execute function audit.on_verdict();

create function audit.on_api_key() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    values (new.tenant_id,
            audit.entry_text(new.tenant_id, case tg_op when 'INSERT' then 'api_key.created' else 'api_key.revoked' end,
                             new.prefix, encode(sha256(convert_to(array_to_string(new.scopes, ' '), 'UTF8')), 'hex'), 'system'));
    return null;
end $$;
create trigger audited after insert on auth.api_key for each row execute function audit.on_api_key();
create trigger audited_revocation after update of revoked_at on auth.api_key
    for each row when (old.revoked_at is null and new.revoked_at is not null) execute function audit.on_api_key();

revoke execute on function audit.on_invoice() from public;
revoke execute on function audit.on_finalised_draft() from public;
revoke execute on function audit.on_void() from public;
revoke execute on function audit.on_rerating() from public;
revoke execute on function audit.on_ingestion() from public;
revoke execute on function audit.on_release() from public;
revoke execute on function audit.on_commit_event() from public;
revoke execute on function audit.on_verdict() from public;
revoke execute on function audit.on_api_key() from public;

-- What functions of schema api change they submit themselves: they know who acts.
create function audit.submit(for_tenant text, action text, object text, digest text, actor text) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
    insert into audit.submitted (tenant_id, entry)
    values (for_tenant, audit.entry_text(for_tenant, action, object, digest, actor))
$$;
revoke execute on function audit.submit(text, text, text, text, text) from public;
grant execute on function audit.submit(text, text, text, text, text) to valueverse_reader;
grant usage on schema audit to valueverse_reader;
grant select on audit.entry to valueverse_reader;
create policy api_reader on audit.entry to valueverse_reader using (true);
create policy api_tenant on audit.entry as restrictive to valueverse_reader
    using (tenant_id = (select current_setting('valueverse.tenant', true)));
reset role;

set local role valueverse_reader;
create or replace function api.open_session(
    for_tenant text, with_key_prefix text, new_family uuid, new_hash text, idle interval, lifetime interval
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    delete from auth.refresh_token as r where r.tenant_id = for_tenant and r.expires_at < now();
    insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, scopes, idle_expires_at, expires_at)
    select k.tenant_id, new_hash, new_family, k.prefix, k.scopes, now() + idle, now() + lifetime
      from auth.api_key as k
     where k.tenant_id = for_tenant and k.prefix = with_key_prefix and k.revoked_at is null;
    if found then
        perform audit.submit(for_tenant, 'session.opened', new_family::text, '', with_key_prefix);
    end if;
end $$;

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

-- 32 bytes for each of the first entries, in order: what a proof is made from.
create function api.audit_leaves(for_tenant text, up_to bigint) returns table (sequence bigint, leaf_hash bytea)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select e.sequence, sha256('\x00'::bytea || convert_to(e.entry, 'UTF8')) from audit.entry as e
         where e.tenant_id = for_tenant and (up_to is null or e.sequence <= up_to) order by e.sequence;
end $$;
revoke execute on function api.audit_leaves(text, bigint) from public;
grant execute on function api.audit_leaves(text, bigint) to valueverse_api;
reset role;
