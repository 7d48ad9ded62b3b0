set local role valueverse_reader;
drop function api.proposals(text, text, text);
drop function api.add_closing(text, text, text, text, text, timestamptz);
drop function api.add_approval(text, text, text, text, timestamptz);
drop function api.add_commit_event(text, bigint, text, text, text, text, text, text, text);
drop function api.add_commit(text, bigint, text, text, text, text, text, text, text, timestamptz);
drop function api.chain_ends(text);
drop function api.commit_events(text);
drop function api.commit_history(text, text);
drop function api.agreed_commits(text);
drop function api.commits(text, text, boolean);
drop function api.metrics_known_at(text);
drop function api.metrics(text, text, text);
drop function api.known_customers(text, text);
drop function api.lock_value(text);
drop function api.tenant_known(text, boolean);
reset role;

set local role valueverse_owner;
drop function value.proposals(text, text, text);
drop function value.add_closing(text, text, text, text, text, timestamptz);
drop function value.add_approval(text, text, text, text, timestamptz);
drop function value.add_commit_event(text, bigint, text, text, text, text, text, text, text);
drop function value.add_commit(text, bigint, text, text, text, text, text, text, text, timestamptz);
drop function value.chain_ends(text);
drop function value.commit_events(text);
drop function value.commit_history(text, text);
drop function value.agreed_commits(text);
drop function value.commits(text, text, boolean);
drop function value.metrics_known_at(text);
drop function value.metrics(text, text, text);
drop function value.known_customers(text, text);
drop function value.lock_value(text);
drop function value.tenant_known(text, boolean);
create or replace function audit.on_commit_event() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
    insert into audit.submitted (tenant_id, entry)
    select n.tenant_id,
           audit.entry_text(n.tenant_id, 'commit.' || n.action, n.commit_id,
                            encode(sha256(convert_to(n.document, 'UTF8')), 'hex'),
                            audit.pseudonym(n.tenant_id, coalesce(n.document::json ->> 'by', '')))
      from new_rows as n order by n.tenant_id, n.sequence;
    return null;
end $$;
drop function value.lock_tenants(text[]);
drop function value.agreed_of(text[]);
revoke insert on value.commit, value.approval, value.closing, value.commit_event from valueverse_reader;
do $$
declare
    one regclass;
begin
    foreach one in array array['value.approval', 'value.closing', 'value.commit_event', 'value.metric',
        'billing.unbilled_usage']::regclass[]
    loop
        execute format('drop policy api_tenant on %s', one);
        execute format('drop policy api_reader on %s', one);
        execute format('revoke select on %s from valueverse_reader', one);
    end loop;
end $$;
reset role;
