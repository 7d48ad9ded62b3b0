set local role valueverse_reader;
drop function api.invitations(text, text, timestamptz, text, integer);
drop function api.begin_reset(text, text, uuid, text, interval, text);
create function api.invitations(for_tenant text, one text, after_created timestamptz, after_id text, at_most integer)
returns table (invitation text, email text, role text, invited_by text, created_at timestamptz, expires_at timestamptz,
               accepted_at timestamptz, revoked_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select i.invitation, i.email, i.role, i.invited_by, i.created_at, i.expires_at, i.accepted_at, i.revoked_at
          from auth.invitation as i
         where i.tenant_id = for_tenant and (one is null or i.invitation = one)
           and (after_created is null or (i.created_at, i.invitation) > (after_created, after_id))
         order by i.created_at, i.invitation limit at_most;
end $$;
create function api.begin_reset(for_tenant text, with_email text, new_hash text, lifetime interval, with_request text)
returns boolean
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
    insert into auth.password_reset (tenant_id, token_hash, user_id, expires_at)
    values (for_tenant, new_hash, found_user, now() + lifetime);
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

set local role valueverse_owner;
drop trigger deferred on auth.invitation;
drop trigger deferred on auth.password_reset;
drop function auth.defer_invitation();
drop function auth.defer_reset();
drop trigger audited on auth.invitation;
create trigger audited after insert or update on auth.invitation for each row execute function audit.on_invitation();
revoke update (mail) on auth.invitation from valueverse_builder;
revoke select (tenant_id, user_id, reset, expires_at, used_at) on auth.password_reset from valueverse_builder;
alter table auth.invitation drop column mail;
alter table auth.password_reset drop column reset;
drop trigger deferred on billing.webhook_delivery;
drop trigger deferred_again on billing.webhook_delivery;
drop function billing.defer_deliveries();
comment on column billing.webhook_delivery.due_at is 'When it is tried next; while it is tried, when another process may take it over.';
comment on column billing.webhook_attempt.reason is null;
create or replace function queue.defer(
    for_tenant text, to_queue text, for_task text, of_object text, due timestamptz default now()
) returns bigint
language sql security definer set search_path = pg_catalog, queue, pg_temp as $$
    select (procrastinate_defer_jobs_v1(array[row(
        to_queue, for_task, 0, concat_ws(' ', for_task, for_tenant, of_object), null,
        jsonb_strip_nulls(jsonb_build_object(
            'tenant', for_tenant, 'key', of_object, 'request', nullif(current_setting('valueverse.request', true), ''),
            'traceparent', nullif(current_setting('valueverse.traceparent', true), ''))),
        due)::procrastinate_job_to_defer_v1]))[1]
$$;
drop function queue.defer_all(text[], text, text, text[], timestamptz[]);
delete from queue.procrastinate_jobs where queue_name in ('webhooks', 'mails');
delete from queue.tenant_share where queue_name in ('webhooks', 'mails');
reset role;
