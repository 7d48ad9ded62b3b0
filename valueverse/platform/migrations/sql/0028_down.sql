set local role valueverse_reader;
drop function api.audit_leaves(text, bigint);
drop function api.audit_entries(text, bigint, bigint, integer);
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
end $$;
reset role;

set local role valueverse_owner;
revoke usage on schema audit from valueverse_reader;
drop trigger audited on billing.invoice;
drop trigger audited_again on billing.invoice;
drop trigger audited on billing.invoice_void;
drop trigger audited on billing.rerating;
drop trigger audited on billing.ingestion_file;
drop trigger audited on billing.release;
drop trigger audited_again on billing.release;
drop trigger audited on value.commit_event;
drop trigger audited on value.verdict;
drop trigger audited on auth.api_key;
drop trigger audited_revocation on auth.api_key;
drop function audit.on_invoice();
drop function audit.on_finalised_draft();
drop function audit.on_void();
drop function audit.on_rerating();
drop function audit.on_ingestion();
drop function audit.on_release();
drop function audit.on_commit_event();
drop function audit.on_verdict();
drop function audit.on_api_key();
drop function audit.submit(text, text, text, text, text);
drop function audit.entry_text(text, text, text, text, text);
drop function audit.pseudonym(text, text);
drop table audit.pseudonym_key;
drop table audit.entry;
drop table audit.submitted;
reset role;
