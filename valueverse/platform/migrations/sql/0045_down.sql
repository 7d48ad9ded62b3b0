set local role valueverse_reader;
drop function api.sign_in_account(text, text);
drop function api.open_user_session(text, text, uuid, text, interval, interval, text);
drop function api.user_session(text, uuid, text);
drop function api.users(text, text, timestamptz, text, integer);
drop function api.change_user(text, uuid, text, text, text, text, text);
drop function api.invitations(text, text, timestamptz, text, integer);
drop function api.create_invitation(text, uuid, text, text, text, text, interval, text, text);
drop function api.revoke_invitation(text, uuid, text, text, text);
drop function api.invited_email(text, text);
drop function api.accept_invitation(text, text, text, text, text, text);
drop function api.rehash_password(text, text, text, text);
reset role;

set local role valueverse_owner;
create or replace function auth.key_is_valid(for_tenant text, with_prefix text) returns boolean
language sql stable set search_path = pg_catalog, pg_temp as $$
    select exists (select from auth.api_key as k
                    where k.tenant_id = for_tenant and k.prefix = with_prefix and k.revoked_at is null
                      and (k.expires_at is null or k.expires_at > now()))
$$;
drop table auth.user_account, auth.invitation;
drop function auth.keep_an_owner();
drop function audit.on_user_account();
drop function audit.on_invitation();
reset role;
