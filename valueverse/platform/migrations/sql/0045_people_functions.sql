-- People and invitations of a tenant. A function that changes something for somebody does nothing in a session that has ended.
set local role valueverse_reader;
-- Whoever may sign in by a password, as it is claimed; the caller compares the hash.
create function api.sign_in_account(for_tenant text, with_email text) returns table (user_id text, password_hash text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select a.user_id, a.password_hash from auth.user_account as a
         where a.tenant_id = for_tenant and a.email = with_email and a.disabled_at is null;
end $$;

-- The role of a person whose session is opened; nothing for one who is disabled.
create function api.open_user_session(
    for_tenant text, of_user text, new_family uuid, new_hash text, idle interval, lifetime interval, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found_role text;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    select a.role into found_role from auth.user_account as a
     where a.tenant_id = for_tenant and a.user_id = of_user and a.disabled_at is null;
    if found then
        delete from auth.refresh_token as r where r.tenant_id = for_tenant and r.expires_at < now();
        insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, idle_expires_at, expires_at)
        values (for_tenant, new_hash, new_family, of_user, now() + idle, now() + lifetime);
        perform audit.submit(for_tenant, 'session.opened', new_family::text, '', of_user);
    end if;
    return found_role;
end $$;

-- The role that a person has now, asked with each request: nothing once the session has ended or the person is disabled.
create function api.user_session(for_tenant text, of_family uuid, of_user text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return (select a.role from auth.user_account as a
             where a.tenant_id = for_tenant and a.user_id = of_user and a.disabled_at is null
               and exists (select from auth.refresh_token as r
                            where r.tenant_id = for_tenant and r.family = of_family and r.key_prefix = of_user
                              and r.revoked_at is null and r.expires_at > now()));
end $$;

-- People by the instant they came, or the one person asked for.
create function api.users(for_tenant text, one text, after_created timestamptz, after_id text, at_most integer)
returns table (user_id text, email text, name text, role text, created_at timestamptz, disabled_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select a.user_id, a.email, a.name, a.role, a.created_at, a.disabled_at from auth.user_account as a
         where a.tenant_id = for_tenant and (one is null or a.user_id = one)
           and (after_created is null or (a.created_at, a.user_id) > (after_created, after_id))
         order by a.created_at, a.user_id limit at_most;
end $$;

-- Gives a person another role, or disables the person (new_role is null): sessions and invitations of theirs are good no more,
-- as auth.key_is_valid says. outcome: changed | ended (the session of whoever
-- changes it) | moved (the person has another role than was thought, or is disabled) | last_owner.
create function api.change_user(
    for_tenant text, by_family uuid, of_user text, old_role text, new_role text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    update auth.user_account as a
       set role = coalesce(new_role, a.role), disabled_at = case when new_role is null then now() end
     where a.tenant_id = for_tenant and a.user_id = of_user and a.role = old_role and a.disabled_at is null;
    if not found then
        return 'moved';
    end if;
    -- Whoever may do less from now on has not invited anybody into the role of before.
    update auth.invitation as i set revoked_at = now()
     where i.tenant_id = for_tenant and i.invited_by = of_user and i.accepted_at is null and i.revoked_at is null;
    return 'changed';
exception when restrict_violation then
    return 'last_owner';
end $$;

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

-- A new invitation; those before it to the same address are revoked. outcome: made | ended | known (who has the address is a
-- user already).
create function api.create_invitation(
    for_tenant text, by_family uuid, new_id text, with_email text, with_role text, new_hash text, lifetime interval,
    with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    if exists (select from auth.user_account as a
                where a.tenant_id = for_tenant and a.email = with_email and a.disabled_at is null) then
        return 'known';
    end if;
    update auth.invitation as i set revoked_at = now()
     where i.tenant_id = for_tenant and i.email = with_email and i.accepted_at is null and i.revoked_at is null;
    insert into auth.invitation (tenant_id, invitation, email, role, token_hash, invited_by, expires_at)
    values (for_tenant, new_id, with_email, with_role, new_hash, with_actor, now() + lifetime);
    return 'made';
end $$;

-- outcome: revoked, also what was before | ended | unknown, also one that was accepted.
create function api.revoke_invitation(
    for_tenant text, by_family uuid, one text, with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true);
    if not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    update auth.invitation as i set revoked_at = now()
     where i.tenant_id = for_tenant and i.invitation = one and i.accepted_at is null and i.revoked_at is null;
    return case when exists (select from auth.invitation as i
                              where i.tenant_id = for_tenant and i.invitation = one and i.revoked_at is not null)
                then 'revoked' else 'unknown' end;
end $$;

-- The email of an invitation that can be accepted, which the password is judged against; nothing for one that cannot.
create function api.invited_email(for_tenant text, with_hash text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return (select i.email from auth.invitation as i
             where i.tenant_id = for_tenant and i.token_hash = with_hash and i.accepted_at is null and i.revoked_at is null
               and i.expires_at > now() and (i.invited_by = 'system' or auth.key_is_valid(for_tenant, i.invited_by)));
end $$;

-- Once, the invitation becomes a person. False: it was accepted, revoked, has expired, or never was.
create function api.accept_invitation(
    for_tenant text, with_hash text, new_user text, with_name text, with_password_hash text, with_request text
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    accepted auth.invitation;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', new_user, true),
            set_config('valueverse.request', with_request, true);
    update auth.invitation as i set accepted_at = clock_timestamp()
     where i.tenant_id = for_tenant and i.token_hash = with_hash and i.accepted_at is null and i.revoked_at is null
       and i.expires_at > clock_timestamp() and (i.invited_by = 'system' or auth.key_is_valid(for_tenant, i.invited_by))
    returning i.* into accepted;
    if not found then
        return false;
    end if;
    insert into auth.user_account (tenant_id, user_id, email, name, role, password_hash)
    values (for_tenant, new_user, accepted.email, with_name, accepted.role, with_password_hash);
    return true;
exception when unique_violation then
    return false;
end $$;

-- The same password by newer parameters of the hash, unless it has changed meanwhile.
create function api.rehash_password(for_tenant text, of_user text, old_hash text, new_hash text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.rehash', 'on', true);
    update auth.user_account as a set password_hash = new_hash
     where a.tenant_id = for_tenant and a.user_id = of_user and a.password_hash = old_hash;
    perform set_config('valueverse.rehash', '', true);
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('sign_in_account', 'open_user_session', 'user_session', 'users', 'change_user', 'invitations',
                                    'create_invitation', 'revoke_invitation', 'invited_email', 'accept_invitation',
                                    'rehash_password') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
