set local role valueverse_reader;
drop function api.begin_second_factor(text, uuid, text, bytea);
drop function api.second_factor(text, text);
drop function api.confirm_second_factor(text, uuid, text, bigint, text[], text);
drop function api.use_code(text, text, bigint);
drop function api.use_recovery_code(text, text, text, text);
drop function api.remove_second_factor(text, uuid, text, text);
drop function api.begin_reset(text, text, text, interval, text);
drop function api.reset_email(text, text);
drop function api.reset_password(text, text, text, text);
drop function api.change_password(text, uuid, text, text, text, text);
drop function api.data_keys(text);
drop function api.take_data_key(text, integer, bigint);
drop function api.add_data_key(text, integer, text);
drop function api.sign_in_account(text, text);
create function api.sign_in_account(for_tenant text, with_email text) returns table (user_id text, password_hash text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
    perform set_config('valueverse.tenant', for_tenant, true);
    return query
        select a.user_id, a.password_hash from auth.user_account as a
         where a.tenant_id = for_tenant and a.email = with_email and a.disabled_at is null;
end $$;
revoke execute on function api.sign_in_account(text, text) from public;
grant execute on function api.sign_in_account(text, text) to valueverse_api;
reset role;

set local role valueverse_owner;
create or replace function audit.on_user_account() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select new.tenant_id, audit.entry_text(new.tenant_id, did.action, new.user_id, encode(sha256(convert_to(new.role, 'UTF8')), 'hex'),
                                           coalesce(nullif(current_setting('valueverse.actor', true), ''), 'system'))
      from (values ('user.created', tg_op = 'INSERT'),
                   ('user.role_changed', tg_op = 'UPDATE' and new.role is distinct from old.role),
                   ('user.password_changed', tg_op = 'UPDATE' and new.password_hash is distinct from old.password_hash
                                             and coalesce(current_setting('valueverse.rehash', true), '') = ''),
                   ('user.disabled', tg_op = 'UPDATE' and new.disabled_at is not null and old.disabled_at is null))
           as did (action, done)
     where did.done;
    return null;
end $$;
drop policy api_own_key on vault.data_key;
drop policy api_reader on vault.data_key;
drop policy api_tenant on vault.data_key;
revoke select, insert, update (uses) on vault.data_key from valueverse_reader;
revoke usage on schema vault from valueverse_reader;
drop table auth.recovery_code, auth.password_reset;
alter table auth.user_account drop column totp_secret, drop column totp_since, drop column totp_step;
reset role;
