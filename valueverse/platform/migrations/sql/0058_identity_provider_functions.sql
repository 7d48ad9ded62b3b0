set local role valueverse_reader;
create function api.identity_provider(for_tenant text)
returns table (provider text, issuer text, client_id text, client_secret bytea, changed_at timestamptz)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select i.provider, i.issuer, i.client_id, i.client_secret, i.changed_at from auth.identity_provider as i
         where i.tenant_id = for_tenant;
end $$;

-- Puts a provider in the place of old_provider (null: there is none), or removes it (new_issuer is null). With another issuer or
-- client the subjects mean nobody any more: who signs in next is found by address again. outcome: changed | ended (the session of
-- whoever changes it) | moved (another provider is there than was thought).
create function api.change_identity_provider(
    for_tenant text, by_family uuid, old_provider text, new_provider text, new_issuer text, new_client text, sealed bytea,
    with_actor text, with_request text
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    before auth.identity_provider;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.actor', with_actor, true),
            set_config('valueverse.request', with_request, true),
            pg_advisory_xact_lock(hashtextextended('identity provider of ' || for_tenant, 0));
    if by_family is not null and not auth.is_open(for_tenant, by_family) then
        return 'ended';
    end if;
    select i.* into before from auth.identity_provider as i where i.tenant_id = for_tenant;
    if before.provider is distinct from old_provider then
        return 'moved';
    end if;
    if new_issuer is null then
        delete from auth.identity_provider as i where i.tenant_id = for_tenant;
    else
        insert into auth.identity_provider (tenant_id, provider, issuer, client_id, client_secret)
        values (for_tenant, new_provider, new_issuer, new_client, sealed)
            on conflict (tenant_id) do update
           set provider = excluded.provider, issuer = excluded.issuer, client_id = excluded.client_id,
               client_secret = excluded.client_secret, changed_at = now();
    end if;
    if (before.issuer, before.client_id) is distinct from (new_issuer, new_client) then
        update auth.user_account as a set provider_subject = null
         where a.tenant_id = for_tenant and a.provider_subject is not null;
    end if;
    perform audit.submit(
        for_tenant, case when new_issuer is null then 'identity_provider.removed' else 'identity_provider.set' end,
        coalesce(new_provider, before.provider),
        encode(sha256(convert_to(jsonb_build_array(new_issuer, new_client)::text, 'UTF8')), 'hex'), with_actor);
    return 'changed';
end $$;

-- Takes a state that came back from the provider, once. False: it came before, or the tenant has another provider now.
create function api.take_sign_in_state(
    for_tenant text, with_hash text, from_provider text, with_challenge text, until timestamptz
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    delete from auth.provider_sign_in as s
     where s.tenant_id = for_tenant and s.expires_at < now() and coalesce(s.token_expires_at, s.expires_at) < now();
    insert into auth.provider_sign_in (tenant_id, state_hash, provider, challenge, expires_at)
    select for_tenant, with_hash, i.provider, with_challenge, until from auth.identity_provider as i
     where i.tenant_id = for_tenant and i.provider = from_provider and until > now()
        on conflict do nothing;
    return found;
end $$;

-- Who the subject of the provider is: the person whom it was before; else whoever has the address and signs in by the provider for
-- the first time; else whoever was invited by it. with_email is null unless the provider has verified it.
-- outcome: found | stranger | another (whoever has the address is another subject).
create function api.name_provider_subject(
    for_tenant text, with_state_hash text, with_subject text, with_email text, new_token_hash text, lifetime interval
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    person auth.user_account;
    invited auth.invitation;
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    select a.* into person from auth.user_account as a
     where a.tenant_id = for_tenant and a.disabled_at is null and a.provider_subject = with_subject;
    if person.user_id is null then
        select a.* into person from auth.user_account as a
         where a.tenant_id = for_tenant and a.disabled_at is null and a.email = with_email;
        if person.provider_subject is not null then
            return 'another';
        end if;
    end if;
    if person.user_id is null then
        select i.* into invited from auth.invitation as i
         where i.tenant_id = for_tenant and i.email = with_email and api.invited_email(for_tenant, i.token_hash) is not null;
        if invited.invitation is null then
            return 'stranger';
        end if;
    end if;
    update auth.provider_sign_in as s
       set token_hash = new_token_hash, token_expires_at = now() + lifetime, subject = with_subject,
           user_id = person.user_id, invitation = invited.invitation
     where s.tenant_id = for_tenant and s.state_hash = with_state_hash and s.token_hash is null;
    return case when found then 'found' else 'stranger' end;
end $$;

-- A log-in that its provider has answered, which can be finished: user_id and second_factor of a person, null of an invitation.
create function api.provider_sign_in(for_tenant text, with_hash text)
returns table (challenge text, user_id text, email text, second_factor boolean)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select s.challenge, s.user_id, a.email, coalesce(a.totp_since is not null, false) from auth.provider_sign_in as s
          join auth.identity_provider as i on i.tenant_id = s.tenant_id and i.provider = s.provider
          left join auth.user_account as a
            on a.tenant_id = s.tenant_id and a.user_id = s.user_id and a.disabled_at is null
         where s.tenant_id = for_tenant and s.token_hash = with_hash and s.used_at is null and s.token_expires_at > now();
end $$;

-- Once, the token signs its person in: the id, whose subject is known from now on. Null: it was used, has expired, the provider was
-- changed, or the person or invitation is no more what it was.
create function api.finish_provider_sign_in(for_tenant text, with_hash text, new_user text, with_request text) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    done auth.provider_sign_in;
    person text;
begin
    perform set_config('valueverse.tenant', for_tenant, true), set_config('valueverse.request', with_request, true);
    update auth.provider_sign_in as s set used_at = clock_timestamp()
     where s.tenant_id = for_tenant and s.token_hash = with_hash and s.used_at is null and s.token_expires_at > clock_timestamp()
       and exists (select from auth.identity_provider as i where i.tenant_id = for_tenant and i.provider = s.provider)
    returning s.* into done;
    if not found then
        return null;
    end if;
    person := coalesce(done.user_id, new_user);
    if done.user_id is null and not api.accept_invitation(
        for_tenant, (select i.token_hash from auth.invitation as i
                      where i.tenant_id = for_tenant and i.invitation = done.invitation),
        new_user, null, null, with_request) then
        return null;
    end if;
    perform set_config('valueverse.actor', person, true);
    update auth.user_account as a set provider_subject = done.subject
     where a.tenant_id = for_tenant and a.user_id = person and a.disabled_at is null
       and coalesce(a.provider_subject, done.subject) = done.subject;
    return case when found then person end;
exception when unique_violation then
    return null;
end $$;

do $$
declare
    one regprocedure;
begin
    for one in select p.oid from pg_proc as p where p.pronamespace = 'api'::regnamespace
                  and p.proname in ('identity_provider', 'change_identity_provider', 'take_sign_in_state', 'name_provider_subject',
                                    'provider_sign_in', 'finish_provider_sign_in') loop
        execute format('revoke execute on function %s from public', one);
        execute format('grant execute on function %s to valueverse_api', one);
    end loop;
end $$;
reset role;
