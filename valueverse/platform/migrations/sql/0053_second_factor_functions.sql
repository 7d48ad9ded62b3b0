set local role valueverse_reader;
drop function api.sign_in_account(text, text);
-- Whoever may sign in by a password, as it is claimed; the caller compares the hash, and asks for a code where one is needed.
create function api.sign_in_account(for_tenant text, with_email text)
returns table (user_id text, password_hash text, second_factor boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select a.user_id, a.password_hash, a.totp_since is not null from auth.user_account as a
         where a.tenant_id = for_tenant and a.email = with_email and a.disabled_at is null;
end $$;

-- A secret that is not asked for yet, in place of one before that was never asked for. False: the session has ended, or the
-- person has a second factor.
create function api.begin_second_factor(for_tenant text, by_family uuid, of_user text, sealed bytea) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    update auth.user_account as a set totp_secret = sealed, totp_step = null
     where a.tenant_id = for_tenant and a.user_id = of_user and a.disabled_at is null and a.totp_since is null
       and auth.is_open(for_tenant, by_family);
    return found;
end $$;

create function api.second_factor(for_tenant text, of_user text) returns table (secret bytea, since timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select a.totp_secret, a.totp_since from auth.user_account as a
         where a.tenant_id = for_tenant and a.user_id = of_user and a.disabled_at is null and a.totp_secret is not null;
end $$;

-- The secret is asked for from now on: whoever has it has proven it by the code of this step. Its recovery codes come with it.
create function api.confirm_second_factor(
    for_tenant text, by_family uuid, of_user text, step bigint, code_hashes text[], with_request text
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', of_user, true),
            set_config('valueverse.request', with_request, true);
    update auth.user_account as a set totp_since = now(), totp_step = step
     where a.tenant_id = for_tenant and a.user_id = of_user and a.disabled_at is null and a.totp_since is null
       and a.totp_secret is not null and auth.is_open(for_tenant, by_family);
    if not found then
        return false;
    end if;
    delete from auth.recovery_code as c where c.tenant_id = for_tenant and c.user_id = of_user;
    insert into auth.recovery_code (tenant_id, user_id, code_hash) select for_tenant, of_user, unnest(code_hashes);
    return true;
end $$;

-- Takes the code of a step, each once: none that is older than one which was taken.
create function api.use_code(for_tenant text, of_user text, step bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    update auth.user_account as a set totp_step = step
     where a.tenant_id = for_tenant and a.user_id = of_user and a.totp_since is not null and a.totp_step < step;
    return found;
end $$;

create function api.use_recovery_code(for_tenant text, of_user text, with_hash text, with_request text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    update auth.recovery_code as c set used_at = clock_timestamp()
     where c.tenant_id = for_tenant and c.user_id = of_user and c.code_hash = with_hash and c.used_at is null;
    if not found then
        return false;
    end if;
    perform audit.submit(for_tenant, 'user.recovery_code_used', of_user, with_hash, of_user);
    return true;
end $$;

create function api.remove_second_factor(for_tenant text, by_family uuid, of_user text, with_request text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', of_user, true),
            set_config('valueverse.request', with_request, true);
    update auth.user_account as a set totp_secret = null, totp_since = null, totp_step = null
     where a.tenant_id = for_tenant and a.user_id = of_user and a.totp_since is not null and auth.is_open(for_tenant, by_family);
    if found then
        delete from auth.recovery_code as c where c.tenant_id = for_tenant and c.user_id = of_user;
        return true;
    end if;
    return false;
end $$;

-- A token by which whoever reads the mails of an address chooses a new password. False: nobody has the address, or was mailed
-- within two minutes.
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

-- The address of a token that is good, which the new password is judged against.
create function api.reset_email(for_tenant text, with_hash text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return (select a.email from auth.user_account as a
             where a.tenant_id = for_tenant and a.disabled_at is null
               and a.user_id = (select p.user_id from auth.password_reset as p
                                 where p.tenant_id = for_tenant and p.token_hash = with_hash and p.used_at is null
                                   and p.expires_at > now()));
end $$;

-- Once, the token gives its person a new password, and ends every session of theirs.
create function api.reset_password(for_tenant text, with_hash text, new_hash text, with_request text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    found_user text;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    update auth.password_reset as p set used_at = clock_timestamp()
     where p.tenant_id = for_tenant and p.token_hash = with_hash and p.used_at is null and p.expires_at > clock_timestamp()
    returning p.user_id into found_user;
    if not found then
        return false;
    end if;
    perform set_config('valueverse.actor', found_user, true);
    update auth.user_account as a set password_hash = new_hash
     where a.tenant_id = for_tenant and a.user_id = found_user and a.disabled_at is null;
    if not found then
        return false;
    end if;
    update auth.refresh_token as r set revoked_at = clock_timestamp()
     where r.tenant_id = for_tenant and r.key_prefix = found_user and r.revoked_at is null;
    return true;
end $$;

-- Another password in place of the one that was just proven; every other session of the person ends.
create function api.change_password(
    for_tenant text, by_family uuid, of_user text, old_hash text, new_hash text, with_request text
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', of_user, true),
            set_config('valueverse.request', with_request, true);
    update auth.user_account as a set password_hash = new_hash
     where a.tenant_id = for_tenant and a.user_id = of_user and a.password_hash = old_hash and auth.is_open(for_tenant, by_family);
    if not found then
        return false;
    end if;
    update auth.refresh_token as r set revoked_at = clock_timestamp()
     where r.tenant_id = for_tenant and r.key_prefix = of_user and r.family <> by_family and r.revoked_at is null;
    return true;
end $$;

-- The tenant's own data keys, wrapped; the newest that may seal as many more values is taken, null: none.
create function api.data_keys(for_tenant text) returns table (version integer, wrapped text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query select k.version, k.wrapped from vault.data_key as k where k.tenant_id = for_tenant and k.subject = '';
end $$;
create function api.take_data_key(for_tenant text, more integer, most bigint) returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    taken integer;
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    update vault.data_key as k set uses = k.uses + more
     where k.tenant_id = for_tenant and k.subject = '' and k.wrapped is not null and k.uses + more <= most
       and k.version = (select max(n.version) from vault.data_key as n where n.tenant_id = for_tenant and n.subject = '')
    returning k.version into taken;
    return taken;
end $$;
create function api.add_data_key(for_tenant text, new_version integer, new_wrapped text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    insert into vault.data_key (tenant_id, subject, version, wrapped) values (for_tenant, '', new_version, new_wrapped)
        on conflict do nothing;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('sign_in_account', 'begin_second_factor', 'second_factor', 'confirm_second_factor', 'use_code',
                                    'use_recovery_code', 'remove_second_factor', 'begin_reset', 'reset_email', 'reset_password',
                                    'change_password', 'data_keys', 'take_data_key', 'add_data_key') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
