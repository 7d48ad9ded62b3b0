-- The notes that were written outside of the database stand in it too: whoever removes or shortens the file leaves them here, and
-- whoever removes them here leaves them there (docs/decisions/1649). They are signed: nobody else makes one.
set local role valueverse_owner;
create table audit.checkpoint (
    tenant_id billing.tenant_key not null,
    size bigint not null check (size >= 1),
    note text not null,
    primary key (tenant_id, size)
);
comment on table audit.checkpoint is 'Signed checkpoints of the log, as they were written to the file outside of the database.';
comment on column audit.checkpoint.size is 'How many entries it covers.';
create trigger insert_only before update or delete or truncate on audit.checkpoint
    for each statement execute function billing.refuse_change();
alter table audit.checkpoint enable always trigger insert_only;

-- Every login of the database may notify on any channel whose name it knows, and reads the text of every function: the name is
-- drawn here, and told to the API alone (docs/decisions/1659).
create table auth.answer_channel (name text not null);
comment on table auth.answer_channel is 'The channel on which the API is notified that answers about invoices have changed.';
insert into auth.answer_channel select 'answers_' || replace(gen_random_uuid()::text, '-', '');
create function auth.answer_channel_name() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select c.name from auth.answer_channel as c
$$;
revoke execute on function auth.answer_channel_name() from public;
grant execute on function auth.answer_channel_name() to valueverse_reader;
create or replace function billing.notify_of_changed_answers() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform pg_notify(auth.answer_channel_name(), '');
    return null;
end $$;
revoke execute on function billing.notify_of_changed_answers() from public;
reset role;

set local role valueverse_reader;
create function api.answer_channel() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
    select auth.answer_channel_name()
$$;
revoke execute on function api.answer_channel() from public;
grant execute on function api.answer_channel() to valueverse_api;

drop function api.open_session(text, text, uuid, text, interval, interval);
create function api.open_session(
    for_tenant text, with_key_prefix text, new_family uuid, new_hash text, idle interval, lifetime interval, with_request text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    delete from auth.refresh_token as r where r.tenant_id = for_tenant and r.expires_at < now();
    insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, scopes, idle_expires_at, expires_at)
    select k.tenant_id, new_hash, new_family, k.prefix, k.scopes, now() + idle, now() + lifetime
      from auth.api_key as k
     where k.tenant_id = for_tenant and k.prefix = with_key_prefix and k.revoked_at is null
       and (k.expires_at is null or k.expires_at > now());
    if found then
        perform audit.submit(for_tenant, 'session.opened', new_family::text, '', with_key_prefix);
    end if;
end $$;
revoke execute on function api.open_session(text, text, uuid, text, interval, interval, text) from public;
grant execute on function api.open_session(text, text, uuid, text, interval, interval, text) to valueverse_api;
reset role;
