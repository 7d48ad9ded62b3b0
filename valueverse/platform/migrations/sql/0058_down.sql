set local role valueverse_reader;
drop function api.identity_provider(text);
drop function api.change_identity_provider(text, uuid, text, text, text, text, bytea, text, text);
drop function api.take_sign_in_state(text, text, text, text, timestamptz);
drop function api.name_provider_subject(text, text, text, text, text, interval);
drop function api.provider_sign_in(text, text);
drop function api.finish_provider_sign_in(text, text, text, text);
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
                   ('user.second_factor_added', tg_op = 'UPDATE' and new.totp_since is not null and old.totp_since is null),
                   ('user.second_factor_removed', tg_op = 'UPDATE' and new.totp_since is null and old.totp_since is not null),
                   ('user.disabled', tg_op = 'UPDATE' and new.disabled_at is not null and old.disabled_at is null))
           as did (action, done)
     where did.done;
    return null;
end $$;
alter table auth.user_account drop column provider_subject;
drop table auth.identity_provider, auth.provider_sign_in;
reset role;
