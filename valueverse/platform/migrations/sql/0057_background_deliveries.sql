-- Deliveries of webhooks and mails to people are jobs of the queue. Whatever makes one wait puts its job in, in its transaction.
set local role valueverse_owner;
insert into queue.tenant_share (queue_name, jobs) values ('webhooks', 4), ('mails', 2);

-- Put jobs into a queue, one for each tenant, object and instant of the arrays, in the transaction of whatever they are about; their
-- numbers. Of one object no two jobs of a task are under way at once. They carry the request and the trace that the transaction
-- names, so that what the worker logs and sends is theirs too.
create function queue.defer_all(for_tenants text[], to_queue text, for_task text, of_objects text[], due timestamptz[]) returns bigint[]
language sql security definer set search_path = pg_catalog, queue, pg_temp as $$
    select procrastinate_defer_jobs_v1(array_agg(row(
               to_queue, for_task, 0, concat_ws(' ', for_task, j.tenant, j.object), null,
               jsonb_strip_nulls(jsonb_build_object(
                   'tenant', j.tenant, 'key', j.object, 'request', nullif(current_setting('valueverse.request', true), ''),
                   'traceparent', nullif(current_setting('valueverse.traceparent', true), ''))),
               j.due)::procrastinate_job_to_defer_v1 order by j.place))
      from unnest(for_tenants, of_objects, due) with ordinality as j (tenant, object, due, place)
$$;
revoke execute on function queue.defer_all(text[], text, text, text[], timestamptz[]) from public;

-- The same for one.
create or replace function queue.defer(
    for_tenant text, to_queue text, for_task text, of_object text, due timestamptz default now()
) returns bigint
language sql security definer set search_path = pg_catalog, queue, pg_temp as $$
    select (defer_all(array[for_tenant], to_queue, for_task, array[of_object], array[due]))[1]
$$;

comment on column billing.webhook_delivery.due_at is 'When it is tried next: a job is due at that instant while it waits. Older jobs do nothing.';
comment on column billing.webhook_attempt.reason is 'Why no answer came; written when the attempt begins, for one whose worker ends.';

create function billing.defer_deliveries() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'INSERT' then
        perform queue.defer_all(array_agg(n.tenant_id::text order by n.delivery), 'webhooks', 'deliver_webhook',
                                array_agg(n.delivery::text order by n.delivery), array_agg(n.due_at order by n.delivery))
           from new_rows as n where n.state = 'waiting';
    else
        perform queue.defer_all(array_agg(n.tenant_id::text order by n.delivery), 'webhooks', 'deliver_webhook',
                                array_agg(n.delivery::text order by n.delivery), array_agg(n.due_at order by n.delivery))
           from new_rows as n
           join old_rows as o on o.tenant_id = n.tenant_id and o.delivery = n.delivery
          where n.state = 'waiting' and (o.state <> 'waiting' or o.due_at <> n.due_at);
    end if;
    return null;
end $$;
revoke execute on function billing.defer_deliveries() from public;
create trigger deferred after insert on billing.webhook_delivery
    referencing new table as new_rows for each statement execute function billing.defer_deliveries();
create trigger deferred_again after update on billing.webhook_delivery
    referencing old table as old_rows new table as new_rows for each statement execute function billing.defer_deliveries();
select queue.defer_all(array_agg(d.tenant_id::text order by d.delivery), 'webhooks', 'deliver_webhook',
                       array_agg(d.delivery::text order by d.delivery), array_agg(d.due_at order by d.delivery))
  from billing.webhook_delivery as d where d.state = 'waiting';

-- Mails. Their tokens are derived from a secret of the installation and the id of the row, so that no job and no table holds them.
alter table auth.invitation add column mail text not null default 'sent' check (mail in ('waiting', 'sent', 'failed'));
alter table auth.invitation alter column mail set default 'waiting';
alter table auth.password_reset add column reset uuid not null default gen_random_uuid(), add unique (tenant_id, reset);
comment on column auth.invitation.mail is 'What has become of the mail with its link.';
comment on column auth.password_reset.reset is 'Names it; its token is derived from it.';
grant update (mail) on auth.invitation to valueverse_builder;
grant select (tenant_id, user_id, reset, expires_at, used_at) on auth.password_reset to valueverse_builder;
drop trigger audited on auth.invitation;
create trigger audited after insert or update of accepted_at, revoked_at on auth.invitation
    for each row execute function audit.on_invitation();

create function auth.defer_invitation() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform queue.defer(new.tenant_id, 'mails', 'mail_invitation', new.invitation);
    return null;
end $$;
create function auth.defer_reset() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform queue.defer(new.tenant_id, 'mails', 'mail_reset', new.reset::text);
    return null;
end $$;
revoke execute on function auth.defer_invitation() from public;
revoke execute on function auth.defer_reset() from public;
create trigger deferred after insert on auth.invitation for each row when (new.mail = 'waiting') execute function auth.defer_invitation();
create trigger deferred after insert on auth.password_reset for each row execute function auth.defer_reset();
reset role;

set local role valueverse_reader;
drop function api.invitations(text, text, timestamptz, text, integer);
create function api.invitations(for_tenant text, one text, after_created timestamptz, after_id text, at_most integer)
returns table (invitation text, email text, role text, mail text, invited_by text, created_at timestamptz, expires_at timestamptz,
               accepted_at timestamptz, revoked_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select i.invitation, i.email, i.role, i.mail, i.invited_by, i.created_at, i.expires_at, i.accepted_at, i.revoked_at
          from auth.invitation as i
         where i.tenant_id = for_tenant and (one is null or i.invitation = one)
           and (after_created is null or (i.created_at, i.invitation) > (after_created, after_id))
         order by i.created_at, i.invitation limit at_most;
end $$;

-- A token by which whoever reads the mails of an address chooses a new password. False: nobody has the address, or was mailed
-- within two minutes.
drop function api.begin_reset(text, text, text, interval, text);
create function api.begin_reset(
    for_tenant text, with_email text, new_reset uuid, new_hash text, lifetime interval, with_request text
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found_user text;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    select a.user_id into found_user from auth.user_account as a
     where a.tenant_id = for_tenant and a.email = with_email and a.disabled_at is null for update;
    if not found or exists (select from auth.password_reset as p where p.tenant_id = for_tenant and p.user_id = found_user
                               and p.created_at > now() - interval '2 minutes') then
        return false;
    end if;
    delete from auth.password_reset as p where p.tenant_id = for_tenant and p.user_id = found_user;
    insert into auth.password_reset (tenant_id, reset, token_hash, user_id, expires_at)
    values (for_tenant, new_reset, new_hash, found_user, now() + lifetime);
    perform audit.submit(for_tenant, 'user.reset_requested', found_user, new_hash, 'system');
    return true;
end $$;
do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace and p.proname in ('invitations', 'begin_reset') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
